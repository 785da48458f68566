"""Make labelled training pictures for the segmenter from portraits, person masks and backgrounds; it trains nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.training.photometry import vary_photo
from sfumato.types import MIRRORED_CLASSES, Image, Labels

SOMEBODY = 9
"""Label of a pixel that belongs to a person, with no word on which of the classes 1..8."""

FLIPPED_CLASS: NDArray[np.uint8] = np.array([*MIRRORED_CLASSES, SOMEBODY], dtype=np.uint8)
"""Label of each label after a horizontal flip."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture and its labels, of one size."""

    image: Image
    labels: Labels


def flip_sample(sample: Sample) -> Sample:
    """Mirror picture and labels, swapping the classes of the two sides."""
    return Sample(
        np.ascontiguousarray(sample.image[:, ::-1]),
        FLIPPED_CLASS[np.ascontiguousarray(sample.labels[:, ::-1])],
    )


def read_rgb(path: Path, longest: int | None = None) -> Image:
    """Read a training picture as RGB, reduced so that its longer side is at most `longest`."""
    loaded = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if loaded is None:
        raise ValueError(f"{path} cannot be decoded; remove it from the training data")
    scale = min(1.0, (longest or max(loaded.shape)) / max(loaded.shape[:2]))
    if scale < 1:
        loaded = cv2.resize(loaded, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(loaded[..., ::-1])


def read_parsing(root: Path, split: str) -> list[Sample]:
    """Read `images/SPLIT` and `annotations/SPLIT` of a folder in EasyPortrait's layout."""
    pairs = [
        (p, root / "annotations" / split / f"{p.stem}.png")
        for p in sorted((root / "images" / split).iterdir())
    ]
    samples = []
    for picture, mask in pairs:
        labels = cv2.imread(str(mask), cv2.IMREAD_UNCHANGED)
        image = read_rgb(picture)
        if labels is None or labels.shape != image.shape[:2] or labels.max() > 8:
            raise ValueError(f"{mask} is missing, of another size than its photo or holds ids above 8")
        samples.append(Sample(image, labels.astype(np.uint8)))
    return samples


def read_people(root: Path, longest: int = 640) -> list[Sample]:
    """Read photos with binary person masks (`images`, `masks`, matched by stem); labels are 0 and SOMEBODY."""
    masks = {p.stem: p for p in (root / "masks").iterdir()}
    samples = []
    for picture in sorted((root / "images").iterdir()):
        image = read_rgb(picture, longest)
        stored = read_rgb(masks[picture.stem])[..., 0]
        mask = cv2.resize(stored, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        samples.append(Sample(image, np.where(mask > 127, SOMEBODY, 0).astype(np.uint8)))
    return samples


@dataclass(frozen=True, slots=True)
class ParsingSource:
    """Everything that samples are composed from."""

    portraits: Sequence[Sample]
    people: Sequence[Sample]
    backgrounds: Sequence[Image]


def compose_sample(source: ParsingSource, size: int, rng: np.random.Generator) -> Sample:
    """Draw one training sample of `size` x `size`: a close-up, a scene with small people, or a real photo."""
    kind = rng.random()
    if kind < 0.5:
        sample = _close_up(source, size, rng)
    elif kind < 0.75:
        sample = _scene(source, size, rng)
    else:
        sample = _crop(_pick(source.people, rng), size, rng)
    if rng.random() < 0.3:
        sample = _occlude(sample, source, rng)
    sample = flip_sample(sample) if rng.random() < 0.5 else sample
    return Sample(vary_photo(sample.image, rng), sample.labels)


def _pick(items: Sequence[Sample], rng: np.random.Generator) -> Sample:
    return items[int(rng.integers(len(items)))]


def _background(source: ParsingSource, size: int, rng: np.random.Generator) -> Image:
    image = source.backgrounds[int(rng.integers(len(source.backgrounds)))]
    side = int(rng.integers(min(image.shape[:2]) // 3, min(image.shape[:2]) + 1))
    y, x = (int(rng.integers(0, n - side + 1)) for n in image.shape[:2])
    return _stretch(image[y : y + side, x : x + side], size)


def _stretch(image: Image, size: int) -> Image:
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _placement(
    scale: float, turn: float, source_size: int, size: int, shift: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the 2x3 matrix that scales and turns about the middle of a square and moves it by `shift`."""
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    linear = np.array([[c, -s], [s, c]])
    centre = (source_size - 1) / 2
    return np.column_stack([linear, (size - 1) / 2 + shift - linear @ [centre, centre]])


def _paste(onto: Sample, portrait: Sample, matrix: NDArray[np.float64], *, keep_background: bool) -> Sample:
    """Lay a portrait over a sample: its person alone, or with its own surroundings."""
    size = onto.image.shape[1::-1]
    reduced = portrait.image
    blur = 0.5 / np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if blur > 0.8:
        reduced = np.asarray(cv2.GaussianBlur(reduced, (0, 0), blur), dtype=np.uint8)
    image = cv2.warpAffine(reduced, matrix, size, flags=cv2.INTER_LINEAR)
    labels = cv2.warpAffine(portrait.labels, matrix, size, flags=cv2.INTER_NEAREST)
    solid = np.ones_like(portrait.labels) if keep_background else (portrait.labels > 0).astype(np.uint8)
    alpha = cv2.warpAffine(255 * solid, matrix, size, flags=cv2.INTER_LINEAR)
    alpha = cv2.GaussianBlur(alpha, (3, 3), 0)[..., None].astype(np.float32) / 255
    mixed = onto.image + (image.astype(np.float32) - onto.image) * alpha
    inside = alpha[..., 0] > 0.5
    return Sample(np.rint(mixed).astype(np.uint8), np.where(inside, labels, onto.labels).astype(np.uint8))


def _close_up(source: ParsingSource, size: int, rng: np.random.Generator) -> Sample:
    """Return one face as the aligned crop shows it, at half to twice its size there."""
    portrait = _pick(source.portraits, rng)
    scale = size / portrait.image.shape[0] * float(np.exp(rng.uniform(np.log(0.55), np.log(2.2))))
    matrix = _placement(
        scale, rng.normal(0, 0.22), portrait.image.shape[0], size, rng.normal(0, 0.1 * size, 2)
    )
    ground = Sample(_background(source, size, rng), np.zeros((size, size), np.uint8))
    return _paste(ground, portrait, matrix, keep_background=rng.random() < 0.6)


def _scene(source: ParsingSource, size: int, rng: np.random.Generator) -> Sample:
    """Return a background with nobody, or up to four small people who may overlap."""
    scene = Sample(_background(source, size, rng), np.zeros((size, size), np.uint8))
    for _ in range(int(rng.integers(0, 5))):
        portrait = _pick(source.portraits, rng)
        scale = size / portrait.image.shape[0] * float(np.exp(rng.uniform(np.log(0.18), np.log(0.8))))
        shift = rng.uniform(-0.5, 0.5, 2) * size
        matrix = _placement(scale, rng.normal(0, 0.3), portrait.image.shape[0], size, shift)
        scene = _paste(scene, portrait, matrix, keep_background=False)
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
    image = cv2.warpAffine(sample.image, matrix, (size, size), flags=cv2.INTER_AREA, borderMode=border)
    labels = cv2.warpAffine(sample.labels, matrix, (size, size), flags=cv2.INTER_NEAREST, borderMode=border)
    return Sample(np.asarray(image, dtype=np.uint8), np.asarray(labels, dtype=np.uint8))


def _occlude(sample: Sample, source: ParsingSource, rng: np.random.Generator) -> Sample:
    """Lay a hand of somebody's skin (person) or a thing (background) over the sample."""
    size = sample.image.shape[0]
    if rng.random() < 0.6:
        shape, label = _hand_shape(size, rng), 1
        donor = _pick(source.portraits, rng)
        texture = _skin_texture(donor, size)
    else:
        shape, label = _thing_shape(size, rng), 0
        texture = _background(source, size, rng)
    soft = cv2.GaussianBlur(shape, (3, 3), 0)[..., None].astype(np.float32) / 255
    image = np.rint(sample.image + (texture.astype(np.float32) - sample.image) * soft).astype(np.uint8)
    return Sample(image, np.where(shape > 127, label, sample.labels).astype(np.uint8))


def _hand_shape(size: int, rng: np.random.Generator) -> Labels:
    """Draw a palm with two to five fingers, somewhere near the middle."""
    shape = np.zeros((size, size), np.uint8)
    centre = rng.uniform(0.2, 0.9, 2) * size
    length, heading = rng.uniform(0.12, 0.35) * size, rng.uniform(0, 2 * np.pi)
    palm = (int(length * 0.45), int(length * 0.38))
    cv2.ellipse(shape, [int(v) for v in centre], palm, float(np.degrees(heading)), 0, 360, 255, -1)
    for k in range(int(rng.integers(2, 6))):
        angle = heading + (k - 2) * rng.uniform(0.12, 0.3)
        tip = centre + length * rng.uniform(0.9, 1.3) * np.array([np.cos(angle), np.sin(angle)])
        cv2.line(shape, [int(v) for v in centre], [int(v) for v in tip], 255, max(2, int(length * 0.18)))
    return shape


def _thing_shape(size: int, rng: np.random.Generator) -> Labels:
    """Draw a random convex outline."""
    shape = np.zeros((size, size), np.uint8)
    points = rng.uniform(0, 1, 2) * size + rng.normal(0, 0.12 * size, (6, 2))
    cv2.fillConvexPoly(shape, cv2.convexHull(points.astype(np.int32)), 255)
    return shape


def _skin_texture(portrait: Sample, size: int) -> Image:
    """Return the middle of a face's skin, stretched over the whole sample; a plain skin tone where there is none."""
    ys, xs = np.nonzero(portrait.labels == 2)
    if ys.size < 100:
        return np.full((size, size, 3), (200, 150, 120), np.uint8)
    y, x = int(np.median(ys)), int(np.median(xs))
    patch = portrait.image[max(0, y - 40) : y + 40, max(0, x - 40) : x + 40]
    return _stretch(patch, size)
