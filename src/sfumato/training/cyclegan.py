"""Train CycleGAN (paper, section 2.2): its four networks, their losses and their one optimizer; it reads no folder.

Zhu et al., "Unpaired image-to-image translation using cycle-consistent adversarial networks", 2017. Sections and
equations named below are theirs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from sfumato.nets.cyclegan import ResnetGenerator, Upsampling, initialise
from sfumato.nets.discriminator import PatchDiscriminator
from sfumato.nets.generator import GeneratorLight
from sfumato.nets.generators import Generator
from sfumato.training.image_pool import ImagePool
from sfumato.training.lightning_run import Drawn
from sfumato.training.loop import set_layout
from sfumato.training.picture_module import log_losses, log_validation, make_adam
from sfumato.training.stylizer_losses import adversarial_loss

GeneratorName = Literal["cyclegan", "light"]

LIGHT_BLOCKS = 5
"""Residual blocks of the light generator, where none are asked for."""


@dataclass(frozen=True, slots=True)
class CycleGanOptions:
    """Say what the networks are and how their losses weigh; the defaults are the paper's.

    Attributes:
        generator: "cyclegan" as published; "light" has no statistics of the picture, so that tiles equal the whole.
        blocks: residual blocks; None takes 9 for pictures of 256 pixels and more, 6 below (appendix 7.2), and 5 for
            "light".
        width: channels of the first layer of "cyclegan".
        judge_width: channels of the discriminators' first layer.
        upsampling: of "cyclegan"; "resize" leaves no checkerboard.
        cycle: weight lambda of the cycle-consistency loss (equation 3).
        identity: weight of the identity loss, as a part of `cycle` (section 5.2).
        pool: made pictures that the discriminators are shown again (section 4).
        learning_rate: of Adam, with betas `momentum` and 0.999 (section 4).
        size: side of a training picture in pixels.
    """

    generator: GeneratorName = "cyclegan"
    blocks: int | None = None
    width: int = 64
    judge_width: int = 64
    upsampling: Upsampling = "transposed"
    cycle: float = 10.0
    identity: float = 0.5
    pool: int = 50
    learning_rate: float = 2e-4
    momentum: float = 0.5
    size: int = 256

    @property
    def residual_blocks(self) -> int:
        """Return the residual blocks of a generator."""
        if self.blocks is not None:
            return self.blocks
        if self.generator == "light":
            return LIGHT_BLOCKS
        return 9 if self.size >= 256 else 6


def make_generator(options: CycleGanOptions) -> Generator:
    """Return a generator with fresh weights."""
    if options.generator == "light":
        return GeneratorLight(blocks=options.residual_blocks)
    net = ResnetGenerator(blocks=options.residual_blocks, width=options.width, upsampling=options.upsampling)
    initialise(net)
    return net


def make_judge(options: CycleGanOptions) -> PatchDiscriminator:
    """Return a discriminator of 70x70 patches with fresh weights."""
    net = PatchDiscriminator(width=options.judge_width)
    initialise(net)
    return net


class CycleGan(nn.Module):
    """Hold the four networks: `paint` (G) and `unpaint` (F), and a discriminator (D) of each domain."""

    def __init__(self, options: CycleGanOptions) -> None:
        super().__init__()
        self.paint, self.unpaint = make_generator(options), make_generator(options)
        self.judge_paintings, self.judge_photos = make_judge(options), make_judge(options)

    @property
    def judges(self) -> tuple[nn.Module, nn.Module]:
        """Return both discriminators."""
        return self.judge_paintings, self.judge_photos


class CycleGanModule(pl.LightningModule):
    """Train the four networks with one optimizer, which does what the authors' two do.

    Adam keeps the moments of each parameter apart; the generators' loss looks at the discriminators as they are before
    the step, and the discriminators' at pictures made before it. So one step on the sum of all losses equals the
    authors' two steps, one after the other.

    Batches hold `photo` and `painting`, Nx3xSxS bytes.
    """

    def __init__(self, options: CycleGanOptions, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.options = options
        self.gan = CycleGan(options)
        set_layout(self.gan, torch.channels_last)
        self.pools = (ImagePool(options.pool, seed), ImagePool(options.pool, seed + 1))

    @property
    def net(self) -> nn.Module:
        """Return the generator that paints, whose weights are written."""
        return self.gan.paint

    @property
    def generator(self) -> Generator:
        """Return the same, which is exported."""
        return self.gan.paint

    def training_step(self, batch: Drawn, _index: int) -> Tensor:
        """Return the sum of all losses of a batch."""
        return log_losses(self, self.losses(batch))

    def losses(self, batch: Drawn) -> dict[str, Tensor]:
        """Return every loss of a batch by name, weighted; the pools take in what is made for it."""
        photos, paintings = batch["photo"].float() / 255, batch["painting"].float() / 255
        painted, unpainted = self.gan.paint(photos), self.gan.unpaint(paintings)
        return {
            **self.cycle_losses(photos, paintings, painted, unpainted),
            **self._adversarial_losses(painted, unpainted),
            **self._judge_losses(photos, paintings, painted, unpainted),
        }

    def cycle_losses(
        self, photos: Tensor, paintings: Tensor, painted: Tensor, unpainted: Tensor
    ) -> dict[str, Tensor]:
        """Return the cycle-consistency losses (equation 2) and the identity losses (section 5.2), weighted."""
        gan, options = self.gan, self.options
        losses = {
            "cycle_photos": distance(gan.unpaint(painted), photos),
            "cycle_paintings": distance(gan.paint(unpainted), paintings),
        }
        if options.identity:
            losses["identity_paintings"] = options.identity * distance(gan.paint(paintings), paintings)
            losses["identity_photos"] = options.identity * distance(gan.unpaint(photos), photos)
        return {name: options.cycle * loss for name, loss in losses.items()}

    def _adversarial_losses(self, painted: Tensor, unpainted: Tensor) -> dict[str, Tensor]:
        """Return the generators' losses against the discriminators, which learn nothing from them."""
        for judge in self.gan.judges:
            judge.requires_grad_(False)
        losses = {
            "adversarial_paintings": adversarial_loss(self.gan.judge_paintings(painted), 1.0),
            "adversarial_photos": adversarial_loss(self.gan.judge_photos(unpainted), 1.0),
        }
        for judge in self.gan.judges:
            judge.requires_grad_(True)
        return losses

    def _judge_losses(
        self, photos: Tensor, paintings: Tensor, painted: Tensor, unpainted: Tensor
    ) -> dict[str, Tensor]:
        """Return the discriminators' losses (equation 1 with least squares, section 4), halved as the authors do."""
        paintings_pool, photos_pool = self.pools
        return {
            "judge_paintings": judge_loss(
                self.gan.judge_paintings, paintings, paintings_pool.exchange(painted)
            ),
            "judge_photos": judge_loss(self.gan.judge_photos, photos, photos_pool.exchange(unpainted)),
        }

    def validation_step(self, batch: Drawn, _index: int) -> None:
        """Log how far pictures that were not trained on come back changed; a GAN has no better loss to compare."""
        photos, paintings = batch["photo"].float() / 255, batch["painting"].float() / 255
        painted, unpainted = self.gan.paint(photos), self.gan.unpaint(paintings)
        losses = self.cycle_losses(photos, paintings, painted, unpainted)
        log_validation(self, losses["cycle_photos"] + losses["cycle_paintings"], len(photos))

    def sample(self, batch: Drawn) -> list[Tensor]:
        """Return photo, painted and back; painting, unpainted and back: six batches of pictures in 0..1."""
        photos, paintings = batch["photo"].float() / 255, batch["painting"].float() / 255
        painted, unpainted = self.gan.paint(photos), self.gan.unpaint(paintings)
        there = [photos, painted, self.gan.unpaint(painted)]
        return [*there, paintings, unpainted, self.gan.paint(unpainted)]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam over all four networks."""
        return make_adam(self.gan, self.options.learning_rate, self.options.momentum)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the pools, so that a resumed run goes on with the pictures that they hold."""
        checkpoint["pools"] = [pool.state_dict() for pool in self.pools]

    def on_load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Take the pools up again."""
        for pool, state in zip(self.pools, checkpoint["pools"], strict=True):
            pool.load_state_dict(state)


def distance(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean absolute difference of pictures in 0..1, on the authors' scale of -1..1."""
    return 2 * (a.float() - b).abs().mean()


def judge_loss(judge: nn.Module, real: Tensor, made: Tensor) -> Tensor:
    """Return half the least-squares loss of a discriminator on real and on made pictures."""
    return 0.5 * (adversarial_loss(judge(real), 1.0) + adversarial_loss(judge(made), 0.0))
