"""Name what is known of a video and of one frame of it; no file is touched here."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from sfumato.types import Image

Orientation: TypeAlias = tuple[int, int, int, int]
"""(a, b, c, d) of -1, 0 or 1: a stored pixel (x, y) is shown at (a x + c y, b x + d y)."""

AS_STORED: Orientation = (1, 0, 0, 1)


@dataclass(frozen=True, slots=True)
class Tags:
    """How the levels of a video are meant: numbers of ITU-T H.273.

    Attributes:
        matrix: from RGB to luma and chroma: 1 is BT.709, 5 and 6 BT.601.
        full: levels use 0..255, not 16..235.
        primaries, transfer: passed on as they are, for colours are changed neither here nor by the painters.
    """

    matrix: int
    full: bool
    primaries: int
    transfer: int


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a video is painted, in seconds from its first frame; None goes to its end."""

    start: float = 0.0
    length: float | None = None


@dataclass(frozen=True, slots=True)
class Clip:
    """A video that was looked through.

    Attributes:
        stream: index of the video stream among all streams of the file.
        shape: (h, w) of the frames as they are painted: upright, reduced.
        orientation: from stored frames to upright ones.
        aspect: width of an upright pixel over its height, or None where they are square.
        rate: mean frames per second.
        time_base: seconds of one unit of the time stamps.
        first, start, end: time stamps of the first frame of all, and of what is painted: from `start` on, before `end`.
        frames: how many are painted.
        regular: every frame has a time stamp of its own, so that any may be sought.
    """

    path: Path
    stream: int
    shape: tuple[int, int]
    orientation: Orientation
    aspect: Fraction | None
    tags: Tags
    rate: Fraction
    time_base: Fraction
    first: int
    start: int
    end: int | None
    frames: int
    regular: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, upright and of the size that is painted.

    Attributes:
        stamp: when it is shown, in units of the clip's time base.
        lasts: for how long, as far as the file says; 0 if it does not.
    """

    image: Image
    stamp: int
    lasts: int


def turn_upright(image: Image, orientation: Orientation) -> Image:
    """Return a stored frame as it is shown.

    >>> turn_upright(np.arange(6, dtype=np.uint8).reshape(2, 3, 1), (0, 1, -1, 0))[..., 0].tolist()
    [[3, 0], [4, 1], [5, 2]]
    """
    a, b, c, d = orientation
    turned = image[:: d or 1, :: a or 1] if a else image.transpose(1, 0, 2)[:: b or 1, :: c or 1]
    return np.ascontiguousarray(turned)


def reduced_shape(shape: tuple[int, int], longest: int | None) -> tuple[int, int]:
    """Return (h, w) reduced so that the longer side has at most `longest` pixels, in even numbers.

    >>> reduced_shape((1080, 1920), 640), reduced_shape((121, 161), 640), reduced_shape((121, 161), None)
    ((360, 640), (121, 161), (121, 161))
    """
    if longest is None or max(shape) <= longest:
        return shape
    scale = longest / max(shape)
    height, width = (max(2, 2 * round(side * scale / 2)) for side in shape)
    return height, width


def resize_frame(image: Image, shape: tuple[int, int]) -> Image:
    """Return the frame averaged down to (h, w); itself if it has that size."""
    if image.shape[:2] == shape:
        return image
    return np.asarray(cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA), dtype=np.uint8)
