"""Train the light generator on photos and paintings that are no pairs; it paints no picture of a user.

A slim relative of CycleGAN (Zhu et al., 2017): its least-squares adversary, its pool and its identity term; in
place of the second generator and the cycle, VGG19 layout and luminance keep what a photo shows, and texture
statistics of paintings support the adversary.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sfumato.export_style import export_style, facts_of
from sfumato.nets.discriminator import PatchDiscriminator
from sfumato.nets.generator import GeneratorLight
from sfumato.nets.vgg import VggFeatures, load_vgg
from sfumato.stages.grain import PERIOD, grain
from sfumato.training.crops import hold_out, list_pictures, random_crop, read_picture, to_batch
from sfumato.training.grid import grid_loss
from sfumato.training.image_pool import ImagePool
from sfumato.training.lightning_callbacks import write_weights
from sfumato.training.loop import Batch, Report, mixed_precision, train, update_average, write_config
from sfumato.training.painting_library import PaintingLibrary, build_library
from sfumato.training.start import load_weights
from sfumato.training.stylizer_export import write_card
from sfumato.training.stylizer_losses import (
    adversarial_loss,
    colour_loss,
    content_loss,
    flatness_loss,
    gram_loss,
    patches_loss,
    relative_error,
    similarity_loss,
    spread_loss,
    structure_loss,
    style_of,
)
from sfumato.training.stylizer_options import StylizerOptions
from sfumato.types import Image

Net = TypeVar("Net", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class PhotoSource:
    """Draw crops of landscapes and portraits."""

    photos: tuple[Path, ...]
    portraits: tuple[tuple[Path, ...], ...]
    options: StylizerOptions

    @property
    def landscapes(self) -> int:
        """Return how many of a batch are landscapes; they come first."""
        return round(self.options.batch * (1 - self.options.portrait_share))

    def draw(self, rng: np.random.Generator) -> list[Image]:
        """Return one batch of crops."""
        options = self.options
        crops = []
        for k in range(options.batch):
            paths, scales = self.photos, options.photo_scales
            if k >= self.landscapes:
                paths, scales = self.portraits[rng.integers(len(self.portraits))], options.portrait_scales
            crops.append(
                random_crop(read_picture(paths[rng.integers(len(paths))]), options.size, scales, rng)
            )
        return crops

    def canvas(self, rng: np.random.Generator) -> torch.Tensor:
        """Return the grain to be added to each of a batch, from places anywhere on the plane."""
        size = self.options.size
        places = rng.integers(PERIOD, size=(self.options.batch, 2))
        fields = np.stack([grain((y, y + size), (x, x + size)) for y, x in places])
        return self.options.grain * torch.from_numpy(fields)[:, None]


class StylizerTrainer:
    """Hold the generator, its running average, the discriminator and the painting library.

    Attributes:
        recent: Nx512, the statistics of landscapes painted in the last steps, the newest first.
    """

    def __init__(
        self, options: StylizerOptions, source: PhotoSource, library: PaintingLibrary, vgg: VggFeatures
    ) -> None:
        torch.manual_seed(options.schedule.seed)
        self._options, self._source, self._library, self._vgg = options, source, library, vgg
        self.generator = _channels_last(GeneratorLight())
        if options.start is not None:
            load_weights(self.generator, options.start, "a light generator")
        self.average = deepcopy(self.generator).eval()
        self.discriminator = _channels_last(PatchDiscriminator(width=32))
        rate = options.learning_rate
        self._paint = torch.optim.Adam(self.generator.parameters(), rate, betas=(0.5, 0.999))
        self._judge = torch.optim.Adam(self.discriminator.parameters(), 2e-4, betas=(0.5, 0.999))
        self._pool = ImagePool(50, options.schedule.seed)
        self.recent = torch.empty(0, library.style.moments.shape[1])
        self._directions = torch.Generator().manual_seed(options.schedule.seed)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Return the networks to be stored, by name."""
        return {"generator": self.generator, "average": self.average, "discriminator": self.discriminator}

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Return both optimizers, by name."""
        return {"generator": self._paint, "discriminator": self._judge}

    def sample(self, rng: np.random.Generator) -> Batch:
        """Draw photos, for each a painting crop like it, and the rows of those in the library."""
        photos = self._source.draw(rng)
        rows = self._library.match(photos, self._options.candidates, rng)
        paintings = [self._library.crops[row] for row in rows]
        return {
            "photos": to_batch(photos),
            "canvas": self._source.canvas(rng),
            "paintings": to_batch(paintings),
            "rows": torch.from_numpy(rows),
        }

    def step(self, batch: Batch) -> Mapping[str, float]:
        """Take one step of the generator and one of the discriminator."""
        self.generator.train(self._steps_taken() < self._options.frozen_from)
        with mixed_precision():
            painted, losses = self._generator_losses(batch)
        weights = asdict(self._options.weights)
        total = torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()
        _descend(self._paint, total)
        with mixed_precision():
            judged = self._discriminator_loss(painted, batch["paintings"])
        _descend(self._judge, judged)
        update_average(self.average, self.generator, 0.995)
        return {name: float(loss.detach()) for name, loss in (losses | {"discriminator": judged}).items()}

    def _steps_taken(self) -> int:
        """Return the optimizer's own count of steps, which survives a resumed run."""
        states = list(self._paint.state.values())
        return int(states[0]["step"]) if states else 0

    def _generator_losses(self, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        photos, paintings = batch["photos"], batch["paintings"]
        half = len(paintings) // 2
        over = self._underpainted(photos, batch["canvas"]) + batch["canvas"]
        both = self.generator(torch.cat([over, paintings[:half]]))
        painted, again = both[: len(photos)], both[len(photos) :]
        seen = self._vgg(painted)
        self.discriminator.requires_grad_(False)
        scores = self.discriminator(painted)
        self.discriminator.requires_grad_(True)
        losses = picture_losses(painted, photos, self._options)
        losses["grid"] = painted.new_zeros(())
        if self._options.weights.grid and not self.generator.training:  # or its statistics would differ
            losses["grid"] = grid_loss(self.generator, over, painted, self._steps_taken())
        if self._options.weights.content:
            with torch.no_grad():
                layout = self._vgg(photos)
            losses["content"] = content_loss(seen.relu3_1.float(), layout.relu3_1.float())
        style = style_of(seen)
        target = self._library.style.take(batch["rows"])
        losses["gram"] = gram_loss(style, target)
        losses["moments"] = relative_error(style.moments, target.moments)
        losses["spread"] = self._spread(style.moments[: self._source.landscapes])
        losses["adversarial"] = adversarial_loss(scores, 1.0)
        losses["identity"] = (again.float() - paintings[:half]).abs().mean()
        return painted, losses

    @torch.no_grad()
    def _underpainted(self, photos: torch.Tensor, canvas: torch.Tensor) -> torch.Tensor:
        """Return the photos, every second portrait mixed with its own broad painting as large pictures are."""
        first, share = self._source.landscapes, self._options.underpaint
        chosen = photos[first::2]
        if not len(chosen) or not share:
            return photos
        half = functional.avg_pool2d(chosen, 2)
        broad = self.average(half + canvas[first::2, :, : half.shape[2], : half.shape[3]])
        base = functional.interpolate(broad.float(), scale_factor=2, mode="bicubic")
        photos = photos.clone()
        photos[first::2] += share * (base - chosen)
        return photos

    def _spread(self, rows: torch.Tensor) -> torch.Tensor:
        """Return how unlike the paintings' the recent landscapes' statistics are spread, and remember the new ones."""
        count = rows.shape[1]
        directions = functional.normalize(torch.randn(count, 64, generator=self._directions), dim=0)
        loss = spread_loss(rows, self.recent, self._library.style.moments, directions)
        self.recent = torch.cat([rows.detach(), self.recent])[: self._options.recent]
        return loss

    def _discriminator_loss(self, painted: torch.Tensor, paintings: torch.Tensor) -> torch.Tensor:
        real = adversarial_loss(self.discriminator(paintings), 1.0)
        false = adversarial_loss(self.discriminator(self._pool.exchange(painted)), 0.0)
        return 0.5 * (real + false)


def picture_losses(
    painted: torch.Tensor, photos: torch.Tensor, options: StylizerOptions
) -> dict[str, torch.Tensor]:
    """Return the losses that keep what the photo shows."""
    return {
        "structure": structure_loss(painted, photos, options.tones),
        "colour": colour_loss(painted, photos),
        "flatness": flatness_loss(painted, photos),
        "patches": patches_loss(painted, photos),
        "similarity": similarity_loss(painted, photos, options.similarity_floor),
    }


def _channels_last(net: Net) -> Net:
    """Lay out the weights as the processor convolves fastest."""
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]  # not in its stubs


def _descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]  # PyTorch leaves it untyped
    optimizer.step()


def build_trainer(options: StylizerOptions) -> StylizerTrainer:
    """Read the folders, measure the paintings and set up the networks."""
    photos, _ = hold_out(list_pictures(options.photos), options.photos_held_out)
    paintings, _ = hold_out(list_pictures(options.paintings), options.paintings_held_out)
    source = PhotoSource(photos, tuple(list_pictures(folder) for folder in options.portraits), options)
    vgg = _channels_last(load_vgg(options.vgg))
    library = build_library(
        paintings,
        vgg,
        count=options.library,
        size=options.size,
        scales=options.painting_scales,
        rng=np.random.default_rng(options.schedule.seed),
    )
    return StylizerTrainer(options, source, library, vgg)


def train_stylizer(options: StylizerOptions, run: Path, report: Report) -> Path:
    """Train, export into `run`, under the name of the paintings' folder, measure on what was held out, write the card.

    Returns:
        The path of the model.
    """
    write_config(run, asdict(options))
    start = monotonic()
    trainer = build_trainer(options)
    steps = train(trainer, run, options.schedule, report)
    model = run / f"{options.paintings.name}-light.onnx"
    write_weights(trainer.average.state_dict(), run / "last.safetensors", {"step": str(steps)})
    export_style(
        trainer.average, model, facts_of(trainer.average, grain=options.grain, underpaint=options.underpaint)
    )
    write_card(options, model, trainer.average, steps=steps, minutes=(monotonic() - start) / 60)
    return model
