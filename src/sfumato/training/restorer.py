"""Train the light face restorer on aligned faces that are damaged on the fly; it needs no labels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import EllipsisType

import cv2
import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from torch import nn

from sfumato.errors import MissingInputError
from sfumato.evaluation.identity import load_mobile_face_net
from sfumato.nets.discriminator import PatchDiscriminator
from sfumato.nets.recogniser import MobileFaceNet
from sfumato.nets.restorer import LightRestorer
from sfumato.nets.vgg import VggFeatures, load_vgg
from sfumato.training.degradation import degrade, draw_degradation
from sfumato.training.loop import Batch, mixed_precision, train, update_average, write_config
from sfumato.training.restorer_export import export_restorer
from sfumato.training.restorer_losses import feature_terms, identity_loss, relative_distance
from sfumato.training.restorer_options import RestorerOptions
from sfumato.training.start import load_weights, refuse_other_start
from sfumato.training.stylizer_losses import adversarial_loss
from sfumato.types import Image

_MARGIN = 16
"""Pixels damaged around a training crop and cut away, so that its border looks like its inside."""


def read_faces(folder: Path) -> tuple[Image, ...]:
    """Return every picture of the folder, in the order of their names.

    Raises:
        MissingInputError: there is none.
    """
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if not paths:
        raise MissingInputError(f"no pictures in {folder}; give a folder of aligned 512x512 faces")
    return tuple(_read(path) for path in paths)


def _read(path: Path) -> Image:
    with PIL.Image.open(path) as picture:
        return np.array(picture.convert("RGB"))


def draw_crop(face: Image, side: int, rng: np.random.Generator) -> Image:
    """Return a random square of the face, flipped by chance and, half of the time, turned and scaled a little.

    The other half keeps its pixels as they are, because resampling blurs.
    """
    corner = rng.integers((face.shape[1] - side + 1, face.shape[0] - side + 1))
    if rng.random() < 0.5:
        cut = _turned_crop(face, side, corner, rng)
    else:
        cut = face[corner[1] : corner[1] + side, corner[0] : corner[0] + side]
    return np.ascontiguousarray(cut[:, ::-1] if rng.random() < 0.5 else cut)


def _turned_crop(face: Image, side: int, corner: NDArray[np.int64], rng: np.random.Generator) -> Image:
    centre = (corner[0] + side / 2, corner[1] + side / 2)
    turn, scale = float(rng.uniform(-12, 12)), float(rng.uniform(0.75, 1.05))
    matrix = np.asarray(cv2.getRotationMatrix2D(centre, turn, scale), dtype=np.float64)
    matrix[:, 2] -= corner
    warped = cv2.warpAffine(
        face, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(warped, dtype=np.uint8)


def without_colour(image: Image) -> Image:
    """Return the picture in grey, with three equal channels."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), dtype=np.uint8)


class RestorerTrainer:
    """Hold the restorer, its running average, the discriminator and both optimizers.

    Args:
        judge: tells persons apart; None trains without.
    """

    def __init__(
        self,
        options: RestorerOptions,
        faces: Sequence[Image],
        vgg: VggFeatures,
        judge: MobileFaceNet | None = None,
    ) -> None:
        torch.manual_seed(options.schedule.seed)
        self.options, self.faces, self.vgg, self._judge = options, faces, vgg, judge
        self.net, self.average = LightRestorer(), LightRestorer()
        if options.start is not None:
            load_weights(self.net, options.start, "the light restorer")
        self.average.load_state_dict(self.net.state_dict())
        self.optimizer = torch.optim.AdamW(self.net.parameters(), options.rate, betas=(0.9, 0.99), fused=True)
        self.discriminator = PatchDiscriminator(width=32, layers=2)
        self._accuser = torch.optim.Adam(self.discriminator.parameters(), 2e-4, betas=(0.5, 0.999))

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Return the networks to be stored, by name."""
        return {"net": self.net, "average": self.average, "discriminator": self.discriminator}

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Return both optimizers, by name."""
        return {"net": self.optimizer, "discriminator": self._accuser}

    def sample(self, rng: np.random.Generator) -> Batch:
        """Draw pairs of damaged and good crops and, in some steps, a whole face."""
        pairs = [self._pair(rng) for _ in range(self.options.batch)]
        damaged, good = (np.stack([pair[k] for pair in pairs]) for k in range(2))
        batch = {"damaged": _tensor(damaged), "good": _tensor(good)}
        if self._judge is not None and rng.random() < self.options.whole_share:
            face = self.faces[int(rng.integers(len(self.faces)))]
            bad = degrade(face, draw_degradation(self.options.ranges, rng), rng)
            batch |= {"whole_damaged": _tensor(bad[None]), "whole_good": _tensor(face[None])}
        return batch

    def _pair(self, rng: np.random.Generator) -> tuple[Image, Image]:
        face = self.faces[int(rng.integers(len(self.faces)))]
        good = draw_crop(face, self.options.crop + 2 * _MARGIN, rng)
        damaged = degrade(good, draw_degradation(self.options.ranges, rng), rng)
        if rng.random() < self.options.grey:
            good, damaged = without_colour(good), without_colour(damaged)
        inside = slice(_MARGIN, -_MARGIN)
        return damaged[inside, inside], good[inside, inside]

    def step(self, batch: Batch) -> Mapping[str, float]:
        """Take one step and return the terms of the loss; those not in use are 0."""
        with mixed_precision():
            restored = self.net(batch["damaged"]).float()
        pixel = relative_distance(restored, batch["damaged"], batch["good"])
        terms = {name: pixel.new_zeros(()) for name in asdict(self.options.weights)} | {"pixel": pixel}
        fine = self.steps_taken() >= self.options.pixels_only
        window = self._window()
        if fine:
            terms |= self._seen_by_vgg(restored[window], batch["good"][window])
            if self.options.weights.adversarial:
                terms["adversarial"] = self._accusation(restored[window])
        if self._judge is not None and "whole_good" in batch:
            with mixed_precision():
                whole = self.net(batch["whole_damaged"]).float()
            terms["identity"] = identity_loss(self._judge, whole, batch["whole_good"])
        weights = asdict(self.options.weights)
        loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own stub
        nn.utils.clip_grad_norm_(self.net.parameters(), 0.1)
        self.optimizer.step()
        if fine and self.options.weights.adversarial:
            self._teach(restored[window].detach(), batch["good"][window])
        update_average(self.average, self.net, self.options.average)
        return {name: float(term.detach()) for name, term in terms.items()}

    def steps_taken(self) -> int:
        """Return the optimizer's own count of steps, which survives a resumed run."""
        states = list(self.optimizer.state.values())
        return int(states[0]["step"]) if states else 0

    def _window(self) -> tuple[slice, EllipsisType, slice, slice]:
        """Return the part of a batch that VGG19 and the discriminator see, at a random place."""
        side = self.options.window
        y, x = (int(v) for v in torch.randint(0, self.options.crop - side + 1, (2,)))
        return slice(self.options.seen), ..., slice(y, y + side), slice(x, x + side)

    def _seen_by_vgg(self, restored: torch.Tensor, good: torch.Tensor) -> Mapping[str, torch.Tensor]:
        with mixed_precision():
            features = self.vgg(restored)
            with torch.no_grad():
                wanted = self.vgg(good)
        return feature_terms(features, wanted)

    def _accusation(self, restored: torch.Tensor) -> torch.Tensor:
        """Return how far the discriminator takes the restored for restored; only the restorer learns from it."""
        self.discriminator.requires_grad_(False)
        with mixed_precision():
            scores = self.discriminator(restored)
        self.discriminator.requires_grad_(True)
        return adversarial_loss(scores, 1.0)

    def _teach(self, restored: torch.Tensor, good: torch.Tensor) -> None:
        """Let the discriminator take one step."""
        with mixed_precision():
            false, true = self.discriminator(torch.cat([restored, good])).chunk(2)
        loss = 0.5 * (adversarial_loss(true, 1.0) + adversarial_loss(false, 0.0))
        self._accuser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own stub
        self._accuser.step()


def _tensor(images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> torch.Tensor:
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)
    return torch.from_numpy(planes / 255.0)


def train_restorer(options: RestorerOptions, run: Path, report: Callable[[str], None]) -> Path:
    """Train into the folder `run`, resuming if it holds a checkpoint, and return the exported model's path."""
    refuse_other_start(run, "last.pt", options.start)
    write_config(run, {"task": "restorer", "options": asdict(options)})
    judge = load_mobile_face_net(options.recognition) if options.recognition else None
    trainer = RestorerTrainer(options, read_faces(options.images), load_vgg(options.vgg), judge)
    steps = train(trainer, run, options.schedule, report)
    return export_restorer(trainer.average, options, run, steps)
