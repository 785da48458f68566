"""Reduced fields and how they are enlarged again: what is broad is computed small, and big pictures in strips."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.types import FloatImage, Image, Mask

STRIP_ROWS = 256
"""Rows that are computed at a time, so that memory does not grow with the picture."""


def blur(field: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Return the field blurred by a Gaussian of `sigma` pixels; its border continues outwards."""
    blurred = cv2.GaussianBlur(field, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, dtype=np.float32)


def shrink(field: Image | FloatImage | Mask, scale: float) -> NDArray[np.float32]:
    """Return the picture or mask reduced by area averaging; itself at scale 1."""
    if scale >= 1:
        return np.asarray(field, dtype=np.float32)
    height, width = (max(1, round(side * scale)) for side in field.shape[:2])
    return np.asarray(cv2.resize(field, (width, height), interpolation=cv2.INTER_AREA), dtype=np.float32)


def grow_rows(
    field: NDArray[np.float32],
    rows: tuple[int, int],
    shape: tuple[int, ...],
    *,
    method: int = cv2.INTER_LINEAR,
) -> NDArray[np.float32]:
    """Return some rows of a reduced field, HxW or HxWxC, enlarged linearly to a picture of (h, w).

    Args:
        method: OpenCV's, where another one is wanted.
    """
    return crop_rows(field, (slice(*rows), slice(0, shape[1])), shape, method=method)


def crop_rows(
    field: NDArray[np.float32],
    place: tuple[slice, slice],
    shape: tuple[int, ...],
    *,
    method: int = cv2.INTER_LINEAR,
) -> NDArray[np.float32]:
    """Return one place of a reduced field enlarged to a picture of (h, w)."""
    sy, sx = field.shape[0] / shape[0], field.shape[1] / shape[1]
    y0, x0 = place[0].start, place[1].start
    matrix = np.array([[sx, 0, (x0 + 0.5) * sx - 0.5], [0, sy, (y0 + 0.5) * sy - 0.5]])
    size = (place[1].stop - x0, place[0].stop - y0)
    flags = method | cv2.WARP_INVERSE_MAP
    grown = cv2.warpAffine(field, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(grown, dtype=np.float32)


def broad(field: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Return the field as `blur` does, computed at a size where `sigma` is four pixels at most."""
    scale = min(1.0, 4.0 / sigma)
    return grow_rows(blur(shrink(field, scale), sigma * scale), (0, field.shape[0]), field.shape)


def strips(height: int) -> Iterator[tuple[int, int]]:
    """Yield the first row of each strip and the row after its last."""
    for top in range(0, height, STRIP_ROWS):
        yield top, min(top + STRIP_ROWS, height)


def luma(levels: Image | FloatImage) -> NDArray[np.float32]:
    """Return HxW luma (ITU-R BT.601) of RGB, in its units."""
    weighted = cv2.cvtColor(levels.astype(np.float32, copy=False), cv2.COLOR_RGB2GRAY)
    return np.asarray(weighted, dtype=np.float32)
