"""Compose labelled training pictures for the segmenter from portraits, people and backgrounds; it reads no file."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.training.parsing_occluders import occlude_sample, stretch
from sfumato.training.parsing_samples import UNKNOWN, Sample, flip_sample
from sfumato.training.photometry import vary_photo
from sfumato.types import Image


@dataclass(frozen=True, slots=True)
class ParsingSource:
    """Everything that samples are composed from.

    Attributes:
        portraits: labelled with classes 0..8.
        people: photos whose labels say less (SOMEBODY, NO_FACE, UNKNOWN).
        backgrounds: pictures without people.
    """

    portraits: Sequence[Sample]
    people: Sequence[Sample]
    backgrounds: Sequence[Image]


def compose_sample(source: ParsingSource, size: int, rng: np.random.Generator) -> Sample:
    """Draw one training sample of `size` x `size`: a close-up, a scene with small people, or a real photo."""
    kind = rng.random()
    if kind < 0.62:
        sample = _close_up(source, size, rng)
    elif kind < 0.78 or not source.people:
        sample = _scene(source, size, rng)
    else:
        sample = _crop(_pick(source.people, rng), size, rng)
    if rng.random() < 0.3:
        donor = _pick(source.people or source.portraits, rng)
        sample = occlude_sample(sample, donor, _background(source, size, rng), rng)
    sample = flip_sample(sample) if rng.random() < 0.5 else sample
    return Sample(vary_photo(sample.image, rng), sample.labels)


def _pick(items: Sequence[Sample], rng: np.random.Generator) -> Sample:
    return items[int(rng.integers(len(items)))]


def _background(source: ParsingSource, size: int, rng: np.random.Generator) -> Image:
    image = source.backgrounds[int(rng.integers(len(source.backgrounds)))]
    side = int(rng.integers(min(image.shape[:2]) // 3, min(image.shape[:2]) + 1))
    y, x = (int(rng.integers(0, n - side + 1)) for n in image.shape[:2])
    return stretch(image[y : y + side, x : x + side], size)


@dataclass(frozen=True, slots=True)
class _Placement:
    """Say how large (`scale` in x and y), how turned (radians) and how far from the middle a picture is laid."""

    scale: tuple[float, float]
    turn: float
    shift: NDArray[np.float64]

    def matrix(self, source_size: int, size: int) -> NDArray[np.float64]:
        """Return the 2x3 matrix from a square of `source_size` to one of `size`."""
        c, s = np.cos(self.turn), np.sin(self.turn)
        linear = np.array([[c, -s], [s, c]]) @ np.diag(self.scale)
        centre = (source_size - 1) / 2
        return np.column_stack([linear, (size - 1) / 2 + self.shift - linear @ [centre, centre]])


def _place(
    spread: tuple[float, float], turn: float, shift: NDArray[np.float64], rng: np.random.Generator
) -> _Placement:
    """Draw a placement: log-uniform in size within `spread`, a little squeezed or stretched."""
    scale = float(np.exp(rng.uniform(*np.log(spread))))
    squeeze = float(np.exp(rng.normal(0, 0.06)))
    return _Placement((scale * squeeze, scale / squeeze), rng.normal(0, turn), shift)


def _close_up(source: ParsingSource, size: int, rng: np.random.Generator) -> Sample:
    """Return one face as the aligned crop shows it, at half to twice its size there.

    Most keep their surroundings; beyond the photo lies a background, or its edge repeated as the aligned crop has it.
    """
    portrait = _relit(_pick(source.portraits, rng), rng)
    side = portrait.image.shape[0]
    shift = rng.normal(0, 0.1 * size, 2)
    placement = _place((0.55 * size / side, 2.2 * size / side), 0.2, shift, rng)
    matrix = placement.matrix(side, size)
    if rng.random() < 0.35:
        return _extend(portrait, matrix, size)
    ground = Sample(_background(source, size, rng), np.zeros((size, size), np.uint8))
    return _paste(ground, portrait, matrix, keep_background=rng.random() < 0.55)


def _relit(portrait: Sample, rng: np.random.Generator) -> Sample:
    """Return the person, at times, in another light than the surroundings: often darker, for skins of all tones."""
    if rng.random() > 0.3:
        return portrait
    gamma = float(np.exp(rng.uniform(-0.25, 0.8)))
    curve = (255 * (np.arange(256) / 255) ** gamma + 0.5).astype(np.uint8)
    person = cv2.blur((portrait.labels > 0).astype(np.float32), (7, 7))[..., None]
    lit = cv2.LUT(portrait.image, curve)
    mixed = portrait.image + (lit.astype(np.float32) - portrait.image) * person
    return Sample(np.rint(mixed).astype(np.uint8), portrait.labels)


def _extend(portrait: Sample, matrix: NDArray[np.float64], size: int) -> Sample:
    """Return the portrait alone, its edge repeated beyond its frame, where nothing is known."""
    image = cv2.warpAffine(
        _reduced(portrait.image, matrix), matrix, (size, size), borderMode=cv2.BORDER_REPLICATE
    )
    labels = cv2.warpAffine(
        portrait.labels, matrix, (size, size), flags=cv2.INTER_NEAREST, borderValue=UNKNOWN
    )
    return Sample(np.asarray(image, dtype=np.uint8), np.asarray(labels, dtype=np.uint8))


def _reduced(image: Image, matrix: NDArray[np.float64]) -> Image:
    """Return the picture blurred as far as `matrix` shrinks it, so that it does not alias."""
    blur = 0.5 / np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if blur <= 0.8:
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), blur), dtype=np.uint8)


def _paste(onto: Sample, portrait: Sample, matrix: NDArray[np.float64], *, keep_background: bool) -> Sample:
    """Lay a portrait over a sample: its person alone, or with its own surroundings."""
    size = onto.image.shape[1::-1]
    image = cv2.warpAffine(_reduced(portrait.image, matrix), matrix, size, flags=cv2.INTER_LINEAR)
    labels = cv2.warpAffine(portrait.labels, matrix, size, flags=cv2.INTER_NEAREST)
    solid = np.ones_like(portrait.labels) if keep_background else (portrait.labels > 0).astype(np.uint8)
    alpha = cv2.warpAffine(255 * solid, matrix, size, flags=cv2.INTER_LINEAR)
    alpha = cv2.GaussianBlur(alpha, (3, 3), 0)[..., None].astype(np.float32) / 255
    mixed = onto.image + (image.astype(np.float32) - onto.image) * alpha
    inside = alpha[..., 0] > 0.5
    return Sample(np.rint(mixed).astype(np.uint8), np.where(inside, labels, onto.labels).astype(np.uint8))


def _scene(source: ParsingSource, size: int, rng: np.random.Generator) -> Sample:
    """Return a background with nobody, or up to four small people who may overlap."""
    scene = Sample(_background(source, size, rng), np.zeros((size, size), np.uint8))
    for _ in range(int(rng.integers(0, 5))):
        portrait = _relit(_pick(source.portraits, rng), rng)
        side = portrait.image.shape[0]
        shift = rng.uniform(-0.5, 0.5, 2) * size
        placement = _place((0.18 * size / side, 0.8 * size / side), 0.3, shift, rng)
        scene = _paste(scene, portrait, placement.matrix(side, size), keep_background=False)
    return scene


def _crop(sample: Sample, size: int, rng: np.random.Generator) -> Sample:
    """Return a random part of a real photo, turned a little; the frame beyond the photo mirrors it."""
    height, width = sample.image.shape[:2]
    side = float(np.exp(rng.uniform(np.log(0.35), np.log(1.1)))) * max(height, width)
    turn = rng.normal(0, 0.12)
    c, s = np.cos(turn) * size / side, np.sin(turn) * size / side
    linear = np.array([[c, -s], [s, c]])
    centre = np.array([rng.uniform(0.25, 0.75) * width, rng.uniform(0.2, 0.7) * height])
    matrix = np.column_stack([linear, np.array([size / 2, size / 2]) - linear @ centre])
    border = cv2.BORDER_REFLECT_101
    reduced = _reduced(sample.image, matrix)
    image = cv2.warpAffine(reduced, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border)
    labels = cv2.warpAffine(sample.labels, matrix, (size, size), flags=cv2.INTER_NEAREST, borderMode=border)
    return Sample(np.asarray(image, dtype=np.uint8), np.asarray(labels, dtype=np.uint8))
