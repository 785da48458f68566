"""Cover a part of a labelled sample: hands, parts of other people, lenses, things; it reads no file."""

import cv2
import numpy as np

from sfumato.training.parsing_samples import Sample
from sfumato.types import Image, Labels

_EYES = (5, 6)


def stretch(image: Image, size: int) -> Image:
    """Return the picture as a square of `size` pixels a side."""
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def occlude_sample(sample: Sample, donor: Sample, background: Image, rng: np.random.Generator) -> Sample:
    """Lay one thing over the sample: a hand of its own skin, part of the donor's body, dark lenses or a thing.

    Hands, bodies and lenses become person (1), things background (0), as in EasyPortrait.
    """
    size = sample.image.shape[0]
    kind = rng.random()
    if kind < 0.4:
        return _cover(sample, _hand_shape(size, rng), _skin_texture(sample, size), 1)
    if kind < 0.6:
        texture, body = _body_texture(donor, size, rng)
        return _cover(sample, np.minimum(_thing_shape(size, rng, 0.2), body), texture, 1)
    if kind < 0.7:
        colour = rng.uniform(0, 70, 3).astype(np.uint8)
        return _cover(sample, _lens_shape(sample.labels, rng), np.full_like(sample.image, colour), 1)
    return _cover(sample, _thing_shape(size, rng, 0.12), background, 0)


def _cover(sample: Sample, shape: Labels, texture: Image, label: int) -> Sample:
    """Return the sample with `texture` where `shape` is 255, its edge softened."""
    soft = cv2.GaussianBlur(shape, (3, 3), 0)[..., None].astype(np.float32) / 255
    image = np.rint(sample.image + (texture.astype(np.float32) - sample.image) * soft).astype(np.uint8)
    return Sample(image, np.where(shape > 127, label, sample.labels).astype(np.uint8))


def _hand_shape(size: int, rng: np.random.Generator) -> Labels:
    """Draw a palm with two to five fingers, somewhere near the middle, and the arm behind it."""
    shape = np.zeros((size, size), np.uint8)
    centre = rng.uniform(0.2, 0.9, 2) * size
    length, heading = rng.uniform(0.12, 0.35) * size, rng.uniform(0, 2 * np.pi)
    palm = (int(length * 0.45), int(length * 0.38))
    middle = [int(v) for v in centre]
    cv2.ellipse(shape, middle, palm, float(np.degrees(heading)), 0, 360, 255, -1)
    for k in range(int(rng.integers(2, 6))):
        angle = heading + (k - 2) * rng.uniform(0.12, 0.3)
        tip = centre + length * rng.uniform(0.9, 1.3) * np.array([np.cos(angle), np.sin(angle)])
        cv2.line(shape, middle, [int(v) for v in tip], 255, max(2, int(length * 0.18)))
    if rng.random() < 0.5:
        elbow = centre - length * 4 * np.array([np.cos(heading), np.sin(heading)])
        cv2.line(shape, middle, [int(v) for v in elbow], 255, max(2, int(length * 0.55)))
    return shape


def _thing_shape(size: int, rng: np.random.Generator, spread: float) -> Labels:
    """Draw a random convex outline."""
    shape = np.zeros((size, size), np.uint8)
    points = rng.uniform(0, 1, 2) * size + rng.normal(0, spread * size, (6, 2))
    cv2.fillConvexPoly(shape, cv2.convexHull(points.astype(np.int32)), 255)
    return shape


def _lens_shape(labels: Labels, rng: np.random.Generator) -> Labels:
    """Draw two lenses over the eyes of a close-up; nothing where both eyes are not seen."""
    shape = np.zeros_like(labels)
    eyes = [np.argwhere(labels == eye).mean(axis=0)[::-1] for eye in _EYES if (labels == eye).any()]
    if len(eyes) < 2:
        return shape
    apart = float(np.hypot(*(eyes[1] - eyes[0])))
    axes = (int(apart * rng.uniform(0.32, 0.46)), int(apart * rng.uniform(0.22, 0.38)))
    for eye in eyes:
        cv2.ellipse(shape, [int(v) for v in eye], axes, 0, 0, 360, 255, -1)
    first, second = ([int(v) for v in eye] for eye in eyes)
    cv2.line(shape, first, second, 255, max(1, int(apart * 0.06)))
    return shape


def _skin_texture(portrait: Sample, size: int) -> Image:
    """Return the middle of a face's skin, stretched over the whole sample; a plain skin tone where there is none."""
    ys, xs = np.nonzero(portrait.labels == 2)
    if ys.size < 100:
        return np.full((size, size, 3), (200, 150, 120), np.uint8)
    y, x, reach = int(np.median(ys)), int(np.median(xs)), max(4, int(np.sqrt(ys.size) / 6))
    patch = portrait.image[max(0, y - reach) : y + reach, max(0, x - reach) : x + reach]
    return stretch(patch, size)


def _body_texture(donor: Sample, size: int, rng: np.random.Generator) -> tuple[Image, Labels]:
    """Return a random part of the donor's photo and where it shows person but not face (255)."""
    height, width = donor.labels.shape
    side = max(8, int(min(height, width) * rng.uniform(0.3, 1)))
    y, x = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
    image = stretch(donor.image[y : y + side, x : x + side], size)
    body = 255 * (donor.labels[y : y + side, x : x + side] == 1).astype(np.uint8)
    return image, cv2.resize(body, (size, size), interpolation=cv2.INTER_NEAREST)
