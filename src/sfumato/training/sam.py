"""Train a small Segment Anything on labelled portraits, asked as the pipeline asks; it reads the authors' layout back.

The losses are the paper's (Kirillov et al., "Segment anything", 2023, section 3 and appendix A): focal and Dice loss,
20 to 1, of the best of three masks, and the squared error of the IoU that each mask says of itself.
"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from sfumato.backends import OpenVinoBackend
from sfumato.errors import InputError
from sfumato.export_sam import export_sam
from sfumato.nets.sam import SamDecoder, SamEncoder, authors_names, read_sam
from sfumato.nets.torchvision_schema import declare_torchvision_operators
from sfumato.registry import find_embedded, model_path
from sfumato.stages.detect import LightDetector
from sfumato.stages.sam import LABELS
from sfumato.training.lightning_callbacks import SCORE, write_weights
from sfumato.training.lightning_run import Drawn, DrawnData, run_training
from sfumato.training.loop import Report, write_config
from sfumato.training.loss_curve import draw_loss_curve
from sfumato.training.parsing_samples import read_rgb
from sfumato.training.sam_card import describe, measure_sam
from sfumato.training.sam_draw import Portrait, SamDraw, SquaredPortraits, with_faces
from sfumato.training.sam_options import NAME, SamOptions
from sfumato.training.segmenter_data import SegmenterFolders, load_portraits
from sfumato.training.start import refuse_other_start

if TYPE_CHECKING:
    from transformers import SamModel


class SmallSam(nn.Module):
    """Hold a SAM and answer for whole batches."""

    def __init__(self, options: SamOptions) -> None:
        super().__init__()
        self.model = _fresh(options) if options.start is None else cast("SamModel", read_sam(options.start))
        self.model.requires_grad_(True)
        # of the picture and of the prompts: they are tied
        places: nn.Parameter = self.model.shared_image_embedding.positional_embedding
        if (
            options.start is None
        ):  # as the authors draw it; what transformers draws is too fine to be learnt from
            nn.init.normal_(places)
        places.requires_grad_(False)
        self._parts = SamEncoder(self.model), SamDecoder(self.model)  # in a tuple: weights are stored once

    def forward(self, batch: Drawn) -> tuple[Tensor, Tensor]:
        """Return the logits of three masks (Nx3xhxw) and the IoU that each says of itself (Nx3)."""
        encoder, decoder = self._parts
        embeddings = encoder(batch["image"].float() / 255)
        labels = torch.from_numpy(LABELS).to(batch["points"]).expand(len(batch["points"]), 1, -1)
        answer: tuple[Tensor, Tensor] = decoder(batch["points"], labels, batch["boxes"], *embeddings)
        return answer


def _fresh(options: SamOptions) -> "SamModel":
    declare_torchvision_operators()
    from transformers import SamConfig, SamModel

    channels, sizes = options.channels, {"image_size": options.size, "patch_size": options.patch}
    encoder = {
        **sizes,
        "hidden_size": options.width,
        "num_hidden_layers": options.depth,
        "num_attention_heads": options.heads,
        "output_channels": channels,
        "window_size": max(1, options.size // options.patch // 2),
        "global_attn_indexes": list(range(2, options.depth, 3)),
        "num_pos_feats": channels // 2,
        "initializer_range": 0.02,
    }
    decoder = {"hidden_size": channels, "mlp_dim": 4 * channels, "iou_head_hidden_dim": channels}
    prompts = {**sizes, "hidden_size": channels}
    return SamModel(
        SamConfig(vision_config=encoder, prompt_encoder_config=prompts, mask_decoder_config=decoder)
    )


def sam_loss(logits: Tensor, said: Tensor, mask: Tensor) -> Tensor:
    """Return the loss of three masks (Nx3xhxw logits, Nx3 IoU) of one face each (Nxhxw in 0..1)."""
    true = mask[:, None].expand_as(logits)
    chance = torch.sigmoid(logits)
    right = chance * true + (1 - chance) * (1 - true)
    focal = functional.binary_cross_entropy_with_logits(logits, true, reduction="none")
    focal = (focal * (1 - right) ** 2).mean((2, 3))
    both = (chance * true).sum((2, 3))
    dice = 1 - (2 * both + 1) / (chance.sum((2, 3)) + true.sum((2, 3)) + 1)
    best = (20 * focal + dice).min(1).values
    return (best + ((said - mask_iou(logits, mask).detach()) ** 2).mean(1)).mean()


def mask_iou(logits: Tensor, mask: Tensor) -> Tensor:
    """Return the IoU of each mask (NxMxhxw logits) with the true one (Nxhxw), NxM."""
    found, true = logits > 0, mask[:, None] > 0.5
    either = (found | true).sum((2, 3)).clamp(min=1)
    return (found & true).sum((2, 3)) / either


class SamModule(pl.LightningModule):
    """Hold the network, its loss, its optimizer and its validation."""

    def __init__(self, options: SamOptions) -> None:
        super().__init__()
        self.options = options
        torch.manual_seed(options.run.seed)
        self.net = SmallSam(options)

    def training_step(self, batch: Drawn, _index: int) -> Tensor:
        """Return the loss of a batch."""
        logits, said = self.net(batch)
        loss = sam_loss(logits, said, batch["mask"])
        self.log("loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Drawn, _index: int) -> None:
        """Log the IoU of the mask that says of itself to be the best."""
        logits, said = self.net(batch)
        chosen = mask_iou(logits, batch["mask"]).gather(1, said.argmax(1, keepdim=True))
        self.log(SCORE, chosen.mean(), batch_size=len(logits), prog_bar=True, sync_dist=True)
        self.log("val_loss", sam_loss(logits, said, batch["mask"]), batch_size=len(logits), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW, without decay of biases, norms and embeddings."""
        rate = self.options.learning_rate
        weights = [p for p in self.net.parameters() if p.ndim > 1]
        others = [p for p in self.net.parameters() if p.ndim <= 1]
        groups: list[dict[str, Any]] = [
            {"params": weights, "weight_decay": self.options.weight_decay, "initial_lr": rate},
            {"params": others, "weight_decay": 0.0, "initial_lr": rate},
        ]
        return torch.optim.AdamW(groups, rate)


def train_sam(options: SamOptions, run: Path, report: Report, resume: Path | None = None) -> Path:
    """Train, write the weights in the authors' layout, convert, measure on val, write the card; return the weights.

    Raises:
        InputError: the data set is faulty or has no such split, or the run to go on with started from other weights.
    """
    checkpoint = resume or run / "last.ckpt"
    refuse_other_start(checkpoint.parent, checkpoint.name, options.start)
    flat = asdict(options)
    write_config(run, {"task": "sam", "options": {**flat.pop("run"), **flat}})
    portraits = _load(options, report)
    backgrounds = [
        read_rgb(path, options.size) for folder in options.backgrounds for path in sorted(folder.iterdir())
    ]
    module = SamModule(options)
    draw = SamDraw(portraits["train"], backgrounds, options)
    data = DrawnData(draw, SquaredPortraits(portraits["val"], options), options.run)
    steps, seconds = run_training(module, data, run, options.run, report, resume)
    path = run / f"{NAME}.safetensors"
    if not module.trainer.is_global_zero:
        return path  # the first of several processes writes it
    draw_loss_curve(run)
    state = {name: tensor.detach().clone() for name, tensor in authors_names(module.net.model.cpu()).items()}
    write_weights(state, path, {"step": str(steps)})
    export_sam(read_sam(path), run, path)
    scores = measure_sam(run, portraits["val"])
    describe(module.net, options, steps, scores, minutes=seconds / 60).write(path)
    return path


def _load(options: SamOptions, report: Report) -> dict[str, list[Portrait]]:
    """Return the portraits of each split in which a face is found.

    Raises:
        InputError: there are too few, or the data set is faulty.
    """
    folders = SegmenterFolders(
        options.portraits,
        None,
        (),
        (),
        options.cache,
        leave_out_faulty=options.leave_out_faulty,
        mend_sides=True,  # a face as a whole has none
    )
    samples = load_portraits(
        folders, ("train", "val"), options.size, workers=options.run.workers, report=report
    )
    detector = LightDetector(OpenVinoBackend(model_path(find_embedded("detector"))))
    portraits = {split: with_faces(found, detector) for split, found in samples.items()}
    report(", ".join(f"{split}: {len(found)} faces" for split, found in portraits.items()))
    for split, found in portraits.items():
        if len(found) < 2:
            raise InputError(
                f"{options.portraits}: fewer than two faces are found in {split}; name other portraits"
            )
    return portraits
