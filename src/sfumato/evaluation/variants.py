"""Make the pictures by which robustness is measured, each with its labels; it measures nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np

from sfumato.training.degradation import compress
from sfumato.training.parsing_samples import Sample
from sfumato.types import FACE_CLASSES, Affine

Vary = Callable[[Sample, np.random.Generator], Sample]

GREY = (128, 128, 128)
"""Colour of what lies beside a turned or reduced picture; its class is background."""

PERSON = 1
"""Class of what lies before a face."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way in which pictures get harder.

    Attributes:
        means: what it does, in words.
    """

    means: str
    vary: Vary


def _keep(sample: Sample, _rng: np.random.Generator) -> Sample:
    return sample


def _jpeg(sample: Sample, _rng: np.random.Generator) -> Sample:
    return Sample(compress(sample.image, 10), sample.labels)


def _blur(sample: Sample, _rng: np.random.Generator) -> Sample:
    sigma = 4 / 512 * max(sample.labels.shape)
    return Sample(np.asarray(cv2.GaussianBlur(sample.image, (0, 0), sigma), dtype=np.uint8), sample.labels)


def _darken(sample: Sample, rng: np.random.Generator) -> Sample:
    levels = 0.2 * sample.image + rng.normal(0, 3, sample.image.shape)
    return Sample(np.clip(np.rint(levels), 0, 255).astype(np.uint8), sample.labels)


def _occlude(sample: Sample, rng: np.random.Generator) -> Sample:
    """Lay a patch of the picture's own upper corner, enlarged, before a part of the face."""
    rows, columns = np.nonzero(np.isin(sample.labels, FACE_CLASSES))
    if not rows.size:
        return sample
    (top, bottom), (left, right) = (np.percentile(side, (0, 100)) for side in (rows, columns))
    height, width = max(1, round(0.45 * (bottom - top))), max(1, round(0.45 * (right - left)))
    y, x = int(rng.integers(top, bottom - height + 2)), int(rng.integers(left, right - width + 2))
    corner = sample.image[: max(8, height // 4), : max(8, width // 4)]
    place = (slice(y, y + height), slice(x, x + width))
    image, labels = sample.image.copy(), sample.labels.copy()
    shape = labels[place].shape
    image[place] = cv2.resize(corner, shape[::-1], interpolation=cv2.INTER_LINEAR)
    labels[place] = PERSON
    return Sample(image, labels)


def _rotate(sample: Sample, rng: np.random.Generator) -> Sample:
    angle = 30 if rng.random() < 0.5 else -30
    height, width = sample.labels.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    return _moved(sample, np.asarray(matrix, dtype=np.float64))


def _shrink(sample: Sample, rng: np.random.Generator) -> Sample:
    """Reduce the picture to a quarter of its sides, somewhere in a grey one of its size."""
    height, width = sample.labels.shape
    h, w = max(1, height // 4), max(1, width // 4)
    y, x = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    image, labels = np.full_like(sample.image, GREY[0]), np.zeros_like(sample.labels)
    place = (slice(y, y + h), slice(x, x + w))
    image[place] = cv2.resize(sample.image, (w, h), interpolation=cv2.INTER_AREA)
    labels[place] = cv2.resize(sample.labels, (w, h), interpolation=cv2.INTER_NEAREST_EXACT)
    return Sample(image, labels)


def _moved(sample: Sample, matrix: Affine) -> Sample:
    size = sample.labels.shape[::-1]
    image = cv2.warpAffine(sample.image, matrix, size, flags=cv2.INTER_LINEAR, borderValue=GREY)
    labels = cv2.warpAffine(sample.labels, matrix, size, flags=cv2.INTER_NEAREST, borderValue=0)
    return Sample(np.asarray(image, dtype=np.uint8), np.asarray(labels, dtype=np.uint8))


VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "plain": Variant("as it is", _keep),
        "jpeg": Variant("JPEG of quality 10", _jpeg),
        "blur": Variant("Gaussian blur, standard deviation 4 px at 512", _blur),
        "dark": Variant("a fifth of the light, noise of 3 levels", _darken),
        "occlusion": Variant("a patch before a fifth of the face", _occlude),
        "rotation": Variant("turned by 30 degrees to either side", _rotate),
        "small": Variant("a quarter of its size, in grey", _shrink),
    }
)
"""Ways in which pictures get harder, by name; `plain` leaves them as they are."""


def vary(sample: Sample, variant: str, number: int, *, seed: int = 0) -> Sample:
    """Return a picture made harder, with its labels.

    Args:
        variant: one of `VARIANTS`.
        number: of the picture; each picture and variant has its own draw, which every model sees.
    """
    place = list(VARIANTS).index(variant)
    return VARIANTS[variant].vary(sample, np.random.default_rng((seed, place, number)))
