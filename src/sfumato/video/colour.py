"""Turn decoded frames into RGB and back, by the matrix and the range that they are tagged with."""

from dataclasses import replace

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation

from sfumato.types import Image
from sfumato.video.clip import Tags

RGB, BT709, UNKNOWN, BT601_PAL, BT601 = 0, 1, 2, 5, 6
"""Matrices of ITU-T H.273."""

LIMITED, FULL = 1, 2
"""Ranges as FFmpeg counts them."""

PQ, HLG = 16, 18
"""Transfers of high dynamic range, after ITU-R BT.2100."""

HD_ROWS = 720
"""Frames of so many rows are taken for BT.709 where nothing is said, smaller ones for BT.601, as players do."""

EXACT = int(
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)
"""How colours are converted: the same on every processor, chroma at full width."""


def read_tags(frame: VideoFrame) -> Tags:
    """Return how the levels of a frame are meant; what it does not say is taken as players take it."""
    matrix = int(frame.colorspace)
    if matrix in (RGB, UNKNOWN):
        matrix = BT709 if frame.height >= HD_ROWS else BT601
    full = int(frame.color_range) == FULL or frame.format.name.startswith("yuvj")
    return Tags(matrix, full, int(frame.color_primaries), int(frame.color_trc))


def tags_written(tags: Tags) -> Tags:
    """Return the tags of the painted video: the range of television, and BT.709 where a matrix is none of the two.

    >>> tags_written(Tags(5, True, 1, 1)).matrix, tags_written(Tags(9, False, 9, 14)).matrix
    (5, 1)
    """
    return replace(tags, matrix=tags.matrix if tags.matrix in (BT601_PAL, BT601) else BT709, full=False)


def to_rgb(frame: VideoFrame, tags: Tags) -> Image:
    """Return the HxWx3 picture of a decoded frame, as stored."""
    converted = frame.reformat(
        format="rgb24",
        src_colorspace=_swscale_matrix(tags.matrix),
        src_color_range=FULL if tags.full else LIMITED,
        dst_color_range=FULL,
        interpolation=EXACT,
    )
    return np.asarray(converted.to_ndarray(), dtype=np.uint8)


def to_frame(image: Image, tags: Tags) -> VideoFrame:
    """Return a 4:2:0 frame of a picture; an odd side is continued by its last pixels."""
    height, width = image.shape[:2]
    even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    frame = VideoFrame.from_ndarray(even, format="rgb24").reformat(
        format="yuv420p",
        dst_colorspace=_swscale_matrix(tags.matrix),
        src_color_range=FULL,
        dst_color_range=FULL if tags.full else LIMITED,
        interpolation=EXACT,
    )
    frame.colorspace, frame.color_range = tags.matrix, FULL if tags.full else LIMITED
    frame.color_primaries, frame.color_trc = tags.primaries, tags.transfer
    return frame


def _swscale_matrix(matrix: int) -> int:
    """Return the number by which swscale knows a matrix; it has one for both kinds of BT.601."""
    return BT601_PAL if matrix in (BT601_PAL, BT601) else matrix
