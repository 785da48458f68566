"""Teach a light generator to paint as another does; it reads no folder.

Hinton et al., "Distilling the knowledge in a neural network", 2015, here of pictures: the student sees the photo and is
drawn to what the teacher paints of it.
"""

from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
import torch
from torch import Tensor

from sfumato.nets.generator import GeneratorLight
from sfumato.nets.generators import read_generator
from sfumato.nets.vgg import load_vgg
from sfumato.training.lightning_run import Drawn
from sfumato.training.loop import set_layout
from sfumato.training.picture_module import log_losses, log_validation, make_adam

PUPIL_RATE = 1e-3
"""Learning rate, where none is chosen."""


@dataclass(frozen=True, slots=True)
class DistillationOptions:
    """Say who teaches, who learns and how their pictures are compared.

    Attributes:
        teacher: weights of a generator, `.safetensors` or `.pth`.
        blocks: residual blocks of the student.
        features: weights of VGG19 to relu3_1; with them also the features relu2_1 and relu3_1 are compared, which keeps
            the strokes crisp: the mean absolute difference alone blurs what it cannot foresee.
        perceptual: weight of that comparison.
        learning_rate: of Adam, with betas 0.9 and 0.999.
        size: side of a training picture in pixels.
    """

    teacher: Path
    blocks: int = 5
    features: Path | None = None
    perceptual: float = 0.1
    learning_rate: float = PUPIL_RATE
    size: int = 256


class DistillationModule(pl.LightningModule):
    """Hold the student and, outside its weights, the teacher. Batches hold `photo`, Nx3xSxS bytes."""

    def __init__(self, options: DistillationOptions, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.options = options
        self.net = GeneratorLight(blocks=options.blocks)
        set_layout(self.net, torch.channels_last)
        # in a tuple, a module is no part of this one: neither saved nor averaged
        self._teacher = (read_generator(options.teacher).eval().requires_grad_(False),)
        self._vgg = (load_vgg(options.features),) if options.features else ()

    @property
    def generator(self) -> GeneratorLight:
        """Return the student, which is exported."""
        return self.net

    def on_fit_start(self) -> None:
        """Bring what is no part of the module to its device."""
        for helper in (*self._teacher, *self._vgg):
            helper.to(self.device)

    def training_step(self, batch: Drawn, _index: int) -> Tensor:
        """Return the sum of the losses of a batch."""
        return log_losses(self, self.losses(batch))

    def losses(self, batch: Drawn) -> dict[str, Tensor]:
        """Return how far the student's picture is from the teacher's, and its features, weighted."""
        photos = batch["photo"].float() / 255
        with torch.no_grad():
            wanted = self._teacher[0](photos)
        painted = self.net(photos)
        losses = {"pixels": (painted.float() - wanted.float()).abs().mean()}
        for vgg in self._vgg:
            with torch.no_grad():
                goal = vgg(wanted)
            seen = vgg(painted)
            differences = [
                (seen.relu2_1.float() - goal.relu2_1.float()).abs().mean(),
                (seen.relu3_1.float() - goal.relu3_1.float()).abs().mean(),
            ]
            losses["features"] = self.options.perceptual * torch.stack(differences).mean()
        return losses

    def validation_step(self, batch: Drawn, _index: int) -> None:
        """Log how far the student is from the teacher on photos that were not trained on."""
        total = torch.stack(list(self.losses(batch).values())).sum()
        log_validation(self, total, len(batch["photo"]))

    def sample(self, batch: Drawn) -> list[Tensor]:
        """Return the photo, the teacher's painting and the student's: three batches of pictures in 0..1."""
        photos = batch["photo"].float() / 255
        return [photos, self._teacher[0](photos), self.net(photos)]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam over the student."""
        return make_adam(self.net, self.options.learning_rate)
