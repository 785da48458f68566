"""Turn pictures into the planes that networks read, and back; it knows no network."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.types import Image

Planes = NDArray[np.float32]


def fill_planes(picture: NDArray[Any], planes: Planes) -> None:
    """Write the levels 0..255 of an HxWx3 picture into 3xHxW `planes` in 0..1."""
    for levels, plane in zip(cv2.split(np.ascontiguousarray(picture)), planes, strict=True):
        np.divide(levels, np.float32(255), out=plane)


def to_batch(pictures: Sequence[NDArray[Any]]) -> Planes:
    """Return HxWx3 pictures of one size, of levels 0..255, as Nx3xHxW in 0..1."""
    height, width = pictures[0].shape[:2]
    batch = np.empty((len(pictures), 3, height, width), dtype=np.float32)
    for picture, planes in zip(pictures, batch, strict=True):
        fill_planes(picture, planes)
    return batch


def to_picture(planes: Planes) -> Image:
    """Return 3xHxW planes in 0..1 as an HxWx3 picture, rounded to the nearest level; what lies beyond is clipped."""
    levels = planes * np.float32(255) + np.float32(0.5)
    rounded = np.clip(levels, 0, 255, out=levels).astype(np.uint8)
    return np.asarray(cv2.merge(list(rounded)), dtype=np.uint8)
