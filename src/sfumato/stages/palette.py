"""Give a painting the palette of another picture; it knows no network, only a picture-to-picture call."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.fields import strips
from sfumato.types import FloatImage, Image, Transform

SIDE = 256
"""Longer side in pixels at which a palette is measured."""

NOISE = 4.0
"""Variance in CIELAB that is added before palettes are compared, so that an even picture is not torn apart."""

GAIN = (0.5, 2.0)
"""How far a colour difference may shrink and grow."""

Colours = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a picture in CIELAB: their mean, 3, and their covariance, 3x3."""

    mean: Colours
    covariance: Colours


@dataclass(frozen=True, slots=True)
class InPalette:
    """Paint a photo, then move its colours to those of a picture.

    Attributes:
        paint: paints the photo; its brush stays.
        palette: the wanted colours.
    """

    paint: Transform
    palette: Palette

    def __call__(self, image: Image) -> Image:
        """Return the painted picture, of the same size."""
        painted = self.paint(image)
        own = measure_palette(painted)
        matrix, moved = transfer(own, self.palette), np.empty_like(painted)
        for top, bottom in strips(painted.shape[0]):
            lab = _lab(painted[top:bottom])
            wanted = cv2.transform(lab - own.mean, matrix) + self.palette.mean
            rgb = cv2.cvtColor(wanted.astype(np.float32), cv2.COLOR_LAB2RGB)
            moved[top:bottom] = np.rint(255 * np.clip(rgb, 0, 1))
        return moved


def measure_palette(image: Image) -> Palette:
    """Return the palette of a picture, seen from afar: its grain does not count."""
    scale = min(1.0, SIDE / max(image.shape[:2]))
    height, width = (max(1, round(scale * side)) for side in image.shape[:2])
    small = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    pixels = _lab(small).reshape(-1, 3).astype(np.float64)
    mean = pixels.mean(axis=0)
    apart = pixels - mean
    return Palette(mean, np.einsum("ni,nj->ij", apart, apart) / len(pixels))


def transfer(own: Palette, wanted: Palette) -> Colours:
    """Return the 3x3 matrix that gives colours of one covariance another, and moves them least.

    The linear Monge-Kantorovich map (Pitié and Kokaram, "The linear Monge-Kantorovitch linear colour mapping for
    example-based colour transfer", 2007, equation 11): symmetric, so no hue is turned without need. How far it may
    stretch is limited by `GAIN`.
    """
    noise = NOISE * np.eye(3)
    root = _power(own.covariance + noise, 0.5)
    back = _power(own.covariance + noise, -0.5)
    matrix = back @ _power(root @ (wanted.covariance + noise) @ root, 0.5) @ back
    gains, axes = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray(axes * np.clip(gains, *GAIN) @ axes.T, dtype=np.float64)


def _power(matrix: Colours, exponent: float) -> Colours:
    """Return a power of a symmetric positive matrix."""
    values, axes = np.linalg.eigh(matrix)
    return np.asarray(axes * values**exponent @ axes.T, dtype=np.float64)


def _lab(image: Image) -> FloatImage:
    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), dtype=np.float32)
