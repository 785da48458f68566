"""Train the light U-Net that parses portraits (paper, section 2.4) and export it."""

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sfumato.export import check_parity, export_onnx
from sfumato.nets.segmenter import LightUNet, WithSoftmax
from sfumato.training.loop import Batch, Report, Schedule, set_layout, train, update_average, write_config
from sfumato.training.parsing_samples import (
    SOMEBODY,
    ParsingSource,
    compose_sample,
    read_parsing,
    read_people,
    read_rgb,
)
from sfumato.training.segmenter_card import write_segmenter_card

CLASS_WEIGHTS = (1.0, 1.0, 1.0, 3.0, 3.0, 4.0, 4.0, 2.0, 3.0)
"""Weights of the cross-entropy: brows, eyes and mouth cover few pixels."""


@dataclass(frozen=True, slots=True)
class SegmenterOptions:
    """Say what to train the segmenter on.

    Attributes:
        portraits: folder in EasyPortrait's layout (`images/train`, `annotations/train`).
        people: folder with `images` and binary `masks` of whole people.
        backgrounds: folders of photos without people.
        size: side of a training picture in pixels.
    """

    portraits: Path
    people: Path
    backgrounds: tuple[Path, ...]
    schedule: Schedule
    size: int = 256
    batch: int = 12
    learning_rate: float = 2e-3


def parsing_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return weighted cross-entropy plus Dice of the face classes; SOMEBODY pixels ask only for "not background".

    Args:
        logits: Nx9xHxW.
        labels: NxHxW ids 0..9.
    """
    weights = logits.new_tensor(CLASS_WEIGHTS)
    known = torch.where(labels == SOMEBODY, -100, labels)
    entropy = functional.cross_entropy(logits, known, weights, ignore_index=-100, reduction="sum")
    entropy = entropy / (known >= 0).sum().clamp(min=1)
    log_probabilities = torch.log_softmax(logits, dim=1)
    somebody = torch.logsumexp(log_probabilities[:, 1:], dim=1)
    person = -(somebody * (labels == SOMEBODY)).sum() / (labels == SOMEBODY).sum().clamp(min=1)
    return entropy + 0.5 * person + 0.5 * _dice(log_probabilities.exp(), known)


def _dice(probabilities: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return 1 - Dice, averaged over the classes 1..8 that occur in the batch."""
    truth = functional.one_hot(known.clamp(min=0), 9).movedim(-1, 1).float() * (known >= 0)[:, None]
    seen = probabilities * (known >= 0)[:, None]
    overlap = (seen * truth).sum((0, 2, 3))
    total = seen.sum((0, 2, 3)) + truth.sum((0, 2, 3))
    dice = 1 - (2 * overlap + 1) / (total + 1)
    present = truth.sum((0, 2, 3)) > 0
    present[0] = False
    return dice[present].mean() if bool(present.any()) else dice.sum() * 0


class SegmenterTrainer:
    """Hold the U-Net, its running average and the optimizer."""

    def __init__(self, options: SegmenterOptions) -> None:
        torch.manual_seed(options.schedule.seed)
        self.options = options
        self.net = LightUNet()
        set_layout(self.net, torch.channels_last)
        self.average = copy.deepcopy(self.net)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), options.learning_rate, weight_decay=1e-2)

    @cached_property
    def source(self) -> ParsingSource:
        """Return the training pictures, read once."""
        folders = self.options.backgrounds
        paths = [p for folder in folders for p in sorted(folder.iterdir())]
        return ParsingSource(
            read_parsing(self.options.portraits, "train"),
            read_people(self.options.people),
            [read_rgb(p, 512) for p in paths],
        )

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Return what a checkpoint holds."""
        return {"net": self.net, "average": self.average}

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Return the one optimizer."""
        return {"net": self.optimizer}

    def sample(self, rng: np.random.Generator) -> Batch:
        """Draw `batch` labelled pictures."""
        drawn = [compose_sample(self.source, self.options.size, rng) for _ in range(self.options.batch)]
        images = torch.from_numpy(np.stack([s.image for s in drawn])).permute(0, 3, 1, 2)
        return {"image": images, "labels": torch.from_numpy(np.stack([s.labels for s in drawn]))}

    def step(self, batch: Batch) -> Mapping[str, float]:
        """Take one AdamW step."""
        images = (batch["image"].float() / 255).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.net(images)
        loss = parsing_loss(logits.float(), batch["labels"].long())
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        update_average(self.average, self.net, 0.998)
        return {"loss": float(loss.detach())}


def train_segmenter(options: SegmenterOptions, run: Path, report: Report) -> Path:
    """Train, export `run/segmenter-light.onnx`, measure it on the val split, write its card and return its path."""
    write_config(run, {"task": "segmenter", "options": options})
    trainer = SegmenterTrainer(options)
    start = time.monotonic()
    steps = train(trainer, run, options.schedule, report)
    path = export_segmenter(trainer.average, run / "segmenter-light.onnx")
    data = {"portraits": options.portraits, "people": options.people}
    data |= {f"backgrounds {k}": folder for k, folder in enumerate(options.backgrounds, 1)}
    minutes = options.schedule.minutes or (time.monotonic() - start) / 60
    write_segmenter_card(path, data, options.schedule, steps=steps, minutes=minutes)
    return path


def export_segmenter(net: LightUNet, path: Path) -> Path:
    """Write the network with its softmax as ONNX, checked against PyTorch."""
    set_layout(net, torch.contiguous_format)
    exported = WithSoftmax(net)
    export_onnx(exported, path, example=torch.rand(1, 3, 64, 64), outputs=["probabilities"])
    check_parity(exported, path, torch.rand(1, 3, 96, 128), tolerance=2e-2)
    return path
