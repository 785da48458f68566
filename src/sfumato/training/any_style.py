"""Train the networks that paint in the manner of any one picture; it reads no folder.

After Ghiasi et al., "Exploring the structure of a real-time, arbitrary neural artistic stylization network", 2017.
"""

from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from sfumato.nets.any_style import AnyStyleGenerator, Modulated, StyleEncoder
from sfumato.nets.generator import GeneratorLight
from sfumato.nets.vgg import Features, load_vgg
from sfumato.training.grid import grid_loss
from sfumato.training.lightning_run import Drawn
from sfumato.training.loop import set_layout
from sfumato.training.picture_module import log_losses, log_validation, make_adam
from sfumato.training.start import load_weights
from sfumato.training.stylizer_losses import (
    content_loss,
    flatness_loss,
    gram,
    moments,
    similarity_loss,
)


@dataclass(frozen=True, slots=True)
class AnyStyleOptions:
    """Say what the networks are and how their losses weigh.

    Attributes:
        vgg: weights of VGG19 to relu3_1.
        size: side of a training picture in pixels; a multiple of 16.
        similarity_floor: structural similarity of luminance that painting must leave.
        start: weights of a light generator, safetensors or an exported ONNX: the painter then begins with its brush
            and has only to learn to change it.
        frozen_from: step from which the normalisations keep their statistics, so that the networks learn as they
            will paint; those of a painter with a `start` always do.
        learning_rate: of Adam, with betas 0.9 and 0.999.
    """

    vgg: Path
    blocks: int = 5
    size: int = 160
    gram: float = 6.0
    moments: float = 45.0
    content: float = 1.0
    flatness: float = 6.0
    grid: float = 200.0
    similarity: float = 10.0
    similarity_floor: float = 0.5
    start: Path | None = None
    frozen_from: int = 1000
    learning_rate: float = 1e-3


class AnyStyle(nn.Module):
    """Hold both networks: the encoder of a manner and the painter."""

    def __init__(self, blocks: int = 5) -> None:
        super().__init__()
        self.encoder, self.painter = StyleEncoder(), AnyStyleGenerator(blocks=blocks)

    def forward(self, over: Tensor, style: Tensor) -> Tensor:
        """Paint each photo in the manner of the style picture of its place."""
        painted: Tensor = self.painter(over, self.encoder(style))
        return painted


class AnyStyleModule(pl.LightningModule):
    """Train both networks. Batches hold `photo` and `style`, Nx3xSxS bytes, and `canvas`, Nx1xSxS."""

    def __init__(self, options: AnyStyleOptions, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.options = options
        self.net = AnyStyle(options.blocks)
        if options.start is not None:
            begin_with(self.net.painter, options.start)
        set_layout(self.net, torch.channels_last)
        self._vgg = (
            load_vgg(options.vgg),
        )  # in a tuple, a module is no part of this one: neither saved nor averaged

    def on_fit_start(self) -> None:
        """Bring VGG to the device."""
        self._vgg[0].to(self.device)

    def training_step(self, batch: Drawn, _index: int) -> Tensor:
        """Return the sum of the losses of a batch."""
        learns = self.global_step < self.options.frozen_from
        self.net.encoder.train(learns)
        self.net.painter.train(learns and self.options.start is None)
        return log_losses(self, self.losses(batch))

    def losses(self, batch: Drawn) -> dict[str, Tensor]:
        """Return every loss of a batch by name, weighted."""
        options, vgg = self.options, self._vgg[0]
        photos, styles = batch["photo"].float() / 255, batch["style"].float() / 255
        with torch.no_grad():
            layout, manner = vgg(photos), vgg(styles)
        over, code = photos + batch["canvas"], self.net.encoder(styles)
        painted = self.net.painter(over, code)
        seen = vgg(painted)
        grid = painted.new_zeros(())
        if options.grid and not self.net.painter.training:  # else its statistics would differ, too
            grid = grid_loss(lambda piece: self.net.painter(piece, code), over, painted, self.global_step)
        return {
            "gram": options.gram * gram_error(seen, manner),
            "moments": options.moments * moment_error(seen, manner),
            "content": options.content * content_loss(seen.relu3_1.float(), layout.relu3_1.float()),
            "flatness": options.flatness * flatness_loss(painted, photos),
            "grid": options.grid * grid,
            "similarity": options.similarity * similarity_loss(painted, photos, options.similarity_floor),
        }

    def validation_step(self, batch: Drawn, _index: int) -> None:
        """Log the losses on photos and styles that were not trained on."""
        total = torch.stack(list(self.losses(batch).values())).sum()
        log_validation(self, total, len(batch["photo"]))

    def sample(self, batch: Drawn) -> list[Tensor]:
        """Return the photo, the style and the painting: three batches of pictures in 0..1."""
        photos, styles = batch["photo"].float() / 255, batch["style"].float() / 255
        return [photos, styles, self.net(photos + batch["canvas"], styles)]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam over both networks."""
        return make_adam(self.net, self.options.learning_rate)


def begin_with(painter: AnyStyleGenerator, start: Path) -> None:
    """Give the painter the layers of a trained light generator; what its codes change stays as it is.

    Raises:
        ModelError: the file holds no light generator of as many blocks.
    """
    trained = GeneratorLight(width=painter.width, blocks=painter.blocks)
    load_weights(trained, start, f"a light generator of {painter.blocks} blocks")
    inner = [
        module
        for name, module in trained.named_modules()
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d) and not name.startswith("paint")
    ]
    for layer, convolution, norm in zip(painter.layers, inner[::2], inner[1::2], strict=True):
        assert isinstance(layer, Modulated)  # by construction
        layer.convolution.load_state_dict(convolution.state_dict())
        layer.norm.load_state_dict(norm.state_dict())
    painter.paint.load_state_dict(trained.paint.state_dict())


def gram_error(seen: Features, manner: Features) -> Tensor:
    """Return the squared distance of the Gram matrices, each picture and layer relative to its style's square."""
    pairs = [(getattr(seen, name), getattr(manner, name)) for name in ("relu1_1", "relu2_1", "relu3_1")]
    return torch.stack([own_error(gram(a).flatten(1), gram(b).flatten(1)) for a, b in pairs]).mean()


def moment_error(seen: Features, manner: Features) -> Tensor:
    """Return the squared distance of mean and deviation at relu3_1, each picture relative to its style's square."""
    return own_error(moments(seen.relu3_1.float()), moments(manner.relu3_1.float()))


def own_error(actual: Tensor, target: Tensor) -> Tensor:
    """Return the mean over rows of the squared distance divided by the target's square: no loud row drowns another."""
    return ((actual - target).square().sum(1) / target.square().sum(1)).mean()
