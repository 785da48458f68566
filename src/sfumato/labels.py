"""Show class ids and count them; it finds none."""

from collections.abc import Mapping

import numpy as np

from sfumato.types import CLASSES, Image, Labels

COLOURS = np.array(
    [
        (0, 0, 0),
        (64, 120, 200),
        (240, 180, 140),
        (130, 90, 40),
        (190, 140, 60),
        (60, 190, 120),
        (120, 220, 60),
        (220, 50, 90),
        (250, 250, 250),
    ],
    dtype=np.uint8,
)
"""One colour for each class id; background is left as it is."""

OVERLAY_SHARE = 0.55


def colour_classes(image: Image, labels: Labels) -> Image:
    """Lay a colour for each class over the picture; background stays as it is.

    >>> colour_classes(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.uint8)).max()
    np.uint8(0)
    """
    mixed = OVERLAY_SHARE * COLOURS[labels] + (1 - OVERLAY_SHARE) * image.astype(np.float32)
    return np.where(labels[..., None] > 0, np.rint(mixed), image).astype(np.uint8)


def measure_classes(labels: Labels) -> Mapping[str, float]:
    """Return the share of the picture that each class covers."""
    counts = np.bincount(labels.ravel(), minlength=len(CLASSES))
    return {name: round(float(count) / labels.size, 6) for name, count in zip(CLASSES, counts, strict=True)}
