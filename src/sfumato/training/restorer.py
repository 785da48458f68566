"""Train the light face restorer on aligned faces that are damaged on the fly; it needs no labels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from sfumato.errors import MissingInputError
from sfumato.export import check_parity, export_onnx
from sfumato.geometry import ALIGNED_SIZE
from sfumato.nets.restorer import LightRestorer
from sfumato.nets.vgg import Features, VggFeatures, load_vgg
from sfumato.training.card import ModelCard, count_parameters
from sfumato.training.degradation import DegradationRanges, degrade, draw_degradation
from sfumato.training.loop import Batch, Schedule, mixed_precision, train, update_average, write_config
from sfumato.types import Image

NAME = "restorer-light"

_MARGIN = 16
"""Pixels damaged around a training crop and cut away, so that its border looks like its inside."""


@dataclass(frozen=True, slots=True)
class LossWeights:
    """Weigh the terms of the loss.

    Attributes:
        pixel: distance of the pixels in units of the damage.
        feature: L1 distance of VGG19 activations.
        texture: L1 distance of the local standard deviations of VGG19 activations; it asks for as much texture as
            the truth has, wherever exactly it lies.
    """

    pixel: float = 1.0
    feature: float = 1.0
    texture: float = 0.5


@dataclass(frozen=True, slots=True)
class RestorerOptions:
    """Say what the light restorer learns from and how.

    Attributes:
        images: folder of FFHQ-aligned 512x512 faces.
        vgg: VGG19 weights in the layout of `VggFeatures`.
        batch: faces in a step.
        crop: side of the square cut from each face; a multiple of 16.
        window: side of the part of it that VGG19 compares; a multiple of 4.
        seen: how many faces of the batch it compares, which is the dearest part of a step.
        grey: share of faces without colour, so that old photos do not gain any.
        rate: learning rate at its highest.
        pixels_only: first steps, in which VGG19 does not count; they are cheap and teach the most.
        average: decay of the running mean of the weights, which is what is exported.
    """

    images: Path
    vgg: Path
    schedule: Schedule
    batch: int = 8
    crop: int = 96
    window: int = 64
    seen: int = 4
    grey: float = 0.12
    rate: float = 1e-3
    pixels_only: int = 1600
    average: float = 0.996
    ranges: DegradationRanges = field(default_factory=DegradationRanges)
    weights: LossWeights = field(default_factory=LossWeights)


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


def local_deviation(features: torch.Tensor, size: int = 8) -> torch.Tensor:
    """Return the standard deviation of each channel in windows of `size`, half overlapping."""
    mean = functional.avg_pool2d(features, size, size // 2)
    square = functional.avg_pool2d(features.square(), size, size // 2)
    return (square - mean.square()).clamp_min(1e-4).sqrt()


def relative_distance(restored: torch.Tensor, damaged: torch.Tensor, good: torch.Tensor) -> torch.Tensor:
    """Return the Charbonnier distance to the truth in units of the damage, averaged over the batch.

    The distance is sqrt(d^2 + 0.001^2), an L1 distance that is smooth at 0. In units of the damage (plus eight levels
    of 255) each face counts alike; otherwise the faces that are damaged beyond repair would drown the others.
    """
    distance = ((restored - good).square() + 1e-6).sqrt().mean((1, 2, 3))
    damage = (damaged - good).abs().mean((1, 2, 3)) + 8 / 255
    return (distance / damage).mean()


class RestorerTrainer:
    """Hold the restorer, its running average and its optimizer."""

    def __init__(self, options: RestorerOptions, faces: Sequence[Image], vgg: VggFeatures) -> None:
        torch.manual_seed(options.schedule.seed)
        self.options, self.faces, self.vgg = options, faces, vgg
        self.net, self.average = LightRestorer(), LightRestorer()
        self.average.load_state_dict(self.net.state_dict())
        self.optimizer = torch.optim.AdamW(self.net.parameters(), options.rate, betas=(0.9, 0.99), fused=True)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Return the network and its running average."""
        return {"net": self.net, "average": self.average}

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Return the one optimizer."""
        return {"net": self.optimizer}

    def sample(self, rng: np.random.Generator) -> Batch:
        """Draw pairs of damaged and good crops."""
        pairs = [self._pair(rng) for _ in range(self.options.batch)]
        damaged, good = (np.stack([pair[k] for pair in pairs]) for k in range(2))
        return {"damaged": _tensor(damaged), "good": _tensor(good)}

    def _pair(self, rng: np.random.Generator) -> tuple[Image, Image]:
        face = self.faces[int(rng.integers(len(self.faces)))]
        good = draw_crop(face, self.options.crop + 2 * _MARGIN, rng)
        damaged = degrade(good, draw_degradation(self.options.ranges, rng), rng)
        if rng.random() < self.options.grey:
            good, damaged = without_colour(good), without_colour(damaged)
        inside = slice(_MARGIN, -_MARGIN)
        return damaged[inside, inside], good[inside, inside]

    def step(self, batch: Batch) -> Mapping[str, float]:
        """Take one step and return the terms of the loss; those not yet in use are 0."""
        with mixed_precision():
            restored = self.net(batch["damaged"]).float()
        pixel = relative_distance(restored, batch["damaged"], batch["good"])
        terms = {"pixel": pixel, "feature": pixel.new_zeros(()), "texture": pixel.new_zeros(())}
        if self.steps_taken() >= self.options.pixels_only:
            terms |= self._seen_by_vgg(restored, batch["good"])
        weights = asdict(self.options.weights)
        loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own stub
        nn.utils.clip_grad_norm_(self.net.parameters(), 0.1)
        self.optimizer.step()
        update_average(self.average, self.net, self.options.average)
        return {name: float(term.detach()) for name, term in terms.items()}

    def steps_taken(self) -> int:
        """Return the optimizer's own count of steps, which survives a resumed run."""
        states = list(self.optimizer.state.values())
        return int(states[0]["step"]) if states else 0

    def _seen_by_vgg(self, restored: torch.Tensor, good: torch.Tensor) -> Mapping[str, torch.Tensor]:
        side, crop = self.options.window, self.options.crop
        y, x = (int(v) for v in torch.randint(0, crop - side + 1, (2,)))
        window = (slice(self.options.seen), ..., slice(y, y + side), slice(x, x + side))
        with mixed_precision():
            features = self.vgg(restored[window])
            with torch.no_grad():
                wanted = self.vgg(good[window])
        return feature_terms(features, wanted)


def feature_terms(features: Features, wanted: Features) -> Mapping[str, torch.Tensor]:
    """Return the distance of three VGG19 activations and of their local deviations, each in units of its own layer."""
    content, texture = [], []
    for name in ("relu1_2", "relu2_2", "relu3_1"):
        mine, truth = getattr(features, name), getattr(wanted, name)
        scale = truth.float().abs().mean() + 1e-3
        content.append((mine.float() - truth.float()).abs().mean() / scale)
        spread = local_deviation(truth.float())
        texture.append((local_deviation(mine.float()) - spread).abs().mean() / (spread.mean() + 1e-3))
    return {"feature": torch.stack(content).mean(), "texture": torch.stack(texture).mean()}


def _tensor(images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> torch.Tensor:
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)
    return torch.from_numpy(planes / 255.0)


def train_restorer(options: RestorerOptions, run: Path, report: Callable[[str], None]) -> Path:
    """Train into the folder `run`, resuming if it holds a checkpoint, and return the exported model's path."""
    write_config(run, asdict(options))
    trainer = RestorerTrainer(options, read_faces(options.images), load_vgg(options.vgg))
    steps = train(trainer, run, options.schedule, report)
    return export_restorer(trainer.average, options, run, steps)


def export_restorer(net: nn.Module, options: RestorerOptions, run: Path, steps: int) -> Path:
    """Write `restorer-light.onnx` and its card into `run` after checking that OpenVINO agrees with the network."""
    path = run / f"{NAME}.onnx"
    coarse = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    example = functional.interpolate(coarse, (ALIGNED_SIZE, ALIGNED_SIZE), mode="bicubic").clamp(0, 1)
    export_onnx(net, path, example=example)
    check_parity(net, path, example, tolerance=4e-3)
    describe_restorer(net, options, steps, {}).write(path)
    return path


def describe_restorer(
    net: nn.Module, options: RestorerOptions, steps: int, scores: Mapping[str, float]
) -> ModelCard:
    """Return the card of a trained restorer."""
    return ModelCard(
        name=NAME,
        task="Restores an FFHQ-aligned 512x512 face: deblurs, denoises, removes JPEG marks; RGB 0..1 in and out",
        parameters=count_parameters(net),
        data=(
            f"{options.images.name}: FFHQ-aligned faces; the embedded model saw 800 of CelebAMask-HQ (non-commercial "
            "research), damaged on the way",
            f"{options.vgg.name}: VGG19 (ImageNet) compares pictures during training; no weight of it is contained",
        ),
        licence="non-commercial research, as its training data",
        command=f"sfumato train restorer --images {options.images.name} --vgg {options.vgg.name}",
        steps=steps,
        minutes=options.schedule.minutes or 0.0,
        seed=options.schedule.seed,
        scores=scores,
        limits=(
            "it sharpens what is there and invents little: a face of under 32 pixels stays soft",
            "skin that was blurred stays smooth: pores and hairs that are gone do not come back",
            "side faces, children and covered faces are rare among aligned portraits",
        ),
    )
