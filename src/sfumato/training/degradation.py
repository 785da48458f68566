"""Damage a good face as old and small photos are damaged: blur, shrink, noise, JPEG; it never improves a picture."""

from dataclasses import dataclass
from math import ceil
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.types import Image

Interpolation = Literal["area", "linear", "cubic"]

_FLAGS = {"area": cv2.INTER_AREA, "linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}


@dataclass(frozen=True, slots=True)
class DegradationRanges:
    """Say how strongly faces are damaged: the ranges of Wang et al., "GFPGAN", 2021, section 4.1.

    Attributes:
        blur: standard deviation of the Gaussian kernel in pixels of the 512x512 crop.
        shrink: factor of the downsampling (0.8 enlarges).
        noise: standard deviation of white Gaussian noise in levels of 255.
        quality: JPEG quality.
        isotropic: share of round blur kernels; the others have two widths and an angle.
        skew: exponent of the uniform draw for blur, shrink and noise; 1 is the paper's, more prefers mild damage.
        clean: share of faces that stay as they are, so that the network learns to leave them alone.
        nearly_clean: share of faces that only pass through JPEG of quality 90 and more.
    """

    blur: tuple[float, float] = (0.2, 10.0)
    shrink: tuple[float, float] = (0.8, 8.0)
    noise: tuple[float, float] = (0.0, 15.0)
    quality: tuple[float, float] = (60.0, 100.0)
    isotropic: float = 0.5
    skew: float = 3.0
    clean: float = 0.05
    nearly_clean: float = 0.05


@dataclass(frozen=True, slots=True)
class Degradation:
    """Say what happens to one face, in this order; the default leaves it untouched.

    Attributes:
        blur: standard deviations of the Gaussian along its two axes in pixels; 0 is no blur.
        angle: direction of the first axis in radians.
        shrink: factor of the downsampling.
        noise: standard deviation in levels of 255.
        quality: JPEG quality, or None for no JPEG.
        down, up: interpolation of the two resizes.
    """

    blur: tuple[float, float] = (0.0, 0.0)
    angle: float = 0.0
    shrink: float = 1.0
    noise: float = 0.0
    quality: int | None = None
    down: Interpolation = "area"
    up: Interpolation = "cubic"


def draw_degradation(ranges: DegradationRanges, rng: np.random.Generator) -> Degradation:
    """Draw one degradation from the ranges."""
    kind = rng.random()
    if kind < ranges.clean:
        return Degradation()
    if kind < ranges.clean + ranges.nearly_clean:
        return Degradation(quality=int(rng.integers(90, 101)))
    first = _draw(ranges.blur, ranges.skew, rng)
    second = first if rng.random() < ranges.isotropic else _draw(ranges.blur, ranges.skew, rng)
    return Degradation(
        blur=(first, second),
        angle=float(rng.uniform(0, np.pi)),
        shrink=_draw(ranges.shrink, ranges.skew, rng),
        noise=_draw(ranges.noise, ranges.skew, rng),
        quality=round(_draw(ranges.quality, 1.0, rng)),
        down=("area", "linear", "cubic")[int(rng.integers(3))],
        up=("linear", "cubic", "cubic")[int(rng.integers(3))],
    )


def _draw(limits: tuple[float, float], skew: float, rng: np.random.Generator) -> float:
    return limits[0] + (limits[1] - limits[0]) * float(rng.random() ** skew)


def degrade(image: Image, degradation: Degradation, rng: np.random.Generator) -> Image:
    """Return the damaged picture at its old size: ((image * blur) shrunk + noise) through JPEG, enlarged again.

    Wang et al., "GFPGAN", 2021, equation 1. `rng` draws the noise only.
    """
    height, width = image.shape[:2]
    small = damage(image, degradation, rng)
    return _round(_resize(small.astype(np.float32), (width, height), degradation.up))


def damage(image: Image, degradation: Degradation, rng: np.random.Generator) -> Image:
    """Return the damaged picture before it is enlarged again, as it would lie in a small file."""
    height, width = image.shape[:2]
    values = image.astype(np.float32)
    if max(degradation.blur) > 0:
        kernel = gaussian_kernel(degradation.blur, degradation.angle)
        blurred = cv2.filter2D(values, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
        values = np.asarray(blurred, dtype=np.float32)
    if degradation.shrink != 1:
        values = _resize(values, (_side(width, degradation), _side(height, degradation)), degradation.down)
    if degradation.noise > 0:
        values = values + rng.standard_normal(values.shape, dtype=np.float32) * np.float32(degradation.noise)
    return compress(_round(values), degradation.quality)


def gaussian_kernel(sigmas: tuple[float, float], angle: float) -> NDArray[np.float32]:
    """Return the normalised kernel of a Gaussian with two standard deviations, the first along `angle`.

    >>> gaussian_kernel((0.5, 0.5), 0.0).shape
    (5, 5)
    """
    radius = min(ceil(3 * max(sigmas)), 20)
    grid = np.arange(-radius, radius + 1, dtype=np.float64)
    x, y = np.meshgrid(grid, grid)
    along = np.cos(angle) * x + np.sin(angle) * y
    across = np.cos(angle) * y - np.sin(angle) * x
    first, second = max(sigmas[0], 0.05), max(sigmas[1], 0.05)
    kernel = np.exp(-0.5 * ((along / first) ** 2 + (across / second) ** 2))
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def compress(image: Image, quality: int | None) -> Image:
    """Return the picture after JPEG of that quality, or itself for None."""
    if quality is None:
        return image
    _, encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])


def _side(length: int, degradation: Degradation) -> int:
    return max(8, round(length / degradation.shrink))


def _resize(
    values: NDArray[np.float32], size: tuple[int, int], interpolation: Interpolation
) -> NDArray[np.float32]:
    if (values.shape[1], values.shape[0]) == size:
        return values
    return np.asarray(cv2.resize(values, size, interpolation=_FLAGS[interpolation]), dtype=np.float32)


def _round(values: NDArray[np.float32]) -> Image:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
