"""Paint a picture of any size with a generator: tile by tile as if whole, or in one piece."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.backends import Backend
from sfumato.fields import grow_rows, luma, strips
from sfumato.stages.grain import grain
from sfumato.stages.planes import to_batch, to_picture
from sfumato.stages.style_facts import StyleFacts
from sfumato.types import Image, Transform

DETAIL_REACH = 4
"""Pixels of the reduced picture, to each side, over which the painting is compared with the photo."""

DETAIL_FLOOR = 25.0
"""Variance of levels below which a part of the photo counts as flat, so that its noise is not carried."""

GRID = 4
"""Tiles start at multiples of this many pixels, as the networks work at a quarter of the size."""


@dataclass(frozen=True, slots=True)
class LightStylizer:
    """Paint by a generator without picture statistics; around the picture its mirror image is read.

    A large picture is painted from broad to fine, as painters do: its half-size version first, which gives broad
    strokes; that, enlarged and mixed with the photo, is then painted over at full size. So strokes grow with the
    picture. Tiles stay equal to the whole.

    Attributes:
        backend: maps "input", an RGB batch in 0..1 whose sides are multiples of 4, to one of the same shape.
        margin: read around each tile and thrown away; a multiple of 4, no less than the receptive radius.
        rim: of that, how much is read beyond the picture's own border, from its mirror image; a multiple of 4. Beyond
            the rim the network sees nothing, which acts on the border pixels alone.
        core: longest side of a tile in pixels without its margin; a multiple of 4.
        whole: longest side of a picture that is painted as one tile, which is faster; memory then goes with its size.
        underpaint: part of the broad painting in what is painted over, 0..1.
        broad_from: a picture whose shorter side has this many pixels or more is painted broadly first.
        grain: deviation of the canvas added to what is painted over, of levels in 0..1.
    """

    backend: Backend
    margin: int = 52
    core: int = 512
    whole: int = 1024
    underpaint: float = 0.3
    broad_from: int = 400
    grain: float = 0.0
    rim: int = 16

    def __call__(self, image: Image) -> Image:
        """Return the painted picture, of the same size; tiles equal the whole within one level per layer."""
        return self._painted(image, self.whole if max(image.shape) <= self.whole else self.core)

    def _painted(self, image: Image, core: int) -> Image:
        height, width = image.shape[:2]
        broad = None
        if min(height, width) >= self.broad_from and self.underpaint:
            broad = self._painted(halve(image), core)
        painted = np.empty_like(image)
        across = list(spans(width, core))
        for y, y_side in spans(height, core):
            rows = self._reach(y, y_side, height)
            for x, x_side in across:
                columns = self._reach(x, x_side, width)
                tile = self._paint(self._read(image, broad, rows, columns))
                place = painted[y : y + y_side, x : x + x_side]
                top, left = y - rows[0], x - columns[0]
                place[:] = tile[top : top + place.shape[0], left : left + place.shape[1]]
        return painted

    def _read(
        self, image: Image, broad: Image | None, rows: tuple[int, int], columns: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Return what one tile paints over: the mirrored picture with its margin, mixed with the broad painting."""
        over = mirrored(image, rows, columns).astype(np.float32)
        if broad is not None:
            over += np.float32(self.underpaint) * (enlarged(broad, rows, columns) - over)
        if self.grain:
            over += np.float32(255 * self.grain) * grain(rows, columns)[..., None]
        return over

    def _reach(self, start: int, side: int, length: int) -> tuple[int, int]:
        """Return from where to where a part of a side is read, the same place for the border however it is tiled."""
        end = GRID * -(-length // GRID) + self.rim
        return max(start - self.margin, -self.rim), min(start + side + self.margin, end)

    def _paint(self, over: NDArray[np.float32]) -> Image:
        (output,) = self.backend.run({"input": to_batch([over])})
        return to_picture(output[0])


@dataclass(frozen=True, slots=True)
class WholeStylizer:
    """Paint by a generator that measures the whole picture, in one piece.

    A picture longer than `longest` is reduced and painted, and the painting enlarged with the photo's details
    (`carry_details`): its parts, painted alone, would each be measured alone and not fit together, and InstanceNorm's
    generators take 4 kB of memory a pixel.

    Attributes:
        backend: maps "input", an RGB batch in 0..1 whose sides are multiples of 4, to one of the same shape.
        longest: longest side in pixels that is painted.
        grain: deviation of the canvas added to what is painted over, of levels in 0..1.
    """

    backend: Backend
    longest: int = 1024
    grain: float = 0.0

    def __call__(self, image: Image) -> Image:
        """Return the painted picture, of the same size."""
        height, width = image.shape[:2]
        scale = min(1.0, self.longest / max(height, width))
        rows, columns = max(1, round(scale * height)), max(1, round(scale * width))
        reduced = image
        if scale < 1:
            reduced = np.asarray(
                cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA), dtype=np.uint8
            )
        ends = _whole_cells(rows), _whole_cells(columns)
        over = mirrored(reduced, *ends).astype(np.float32)
        if self.grain:
            over += np.float32(255 * self.grain) * grain(*ends)[..., None]
        (output,) = self.backend.run({"input": to_batch([over])})
        painted = to_picture(output[0, :, :rows, :columns])
        return painted if scale == 1 else carry_details(painted, reduced, image)


def carry_details(painted: Image, reduced: Image, image: Image) -> Image:
    """Return the painting of a reduced picture at the picture's own size, with the details that the reduction lost.

    Guided upsampling, after Kopf et al., "Joint bilateral upsampling", 2007, and He et al., "Guided image filtering",
    2010: near each pixel the painting is taken as a linear function of the photo, whose slope, seen at the reduced
    size, says how much of a detail of the photo the painting would show. Where strokes hide the photo it is 0.

    Args:
        painted, reduced: HxWx3 of one size, smaller than `image`.
    """
    slope = detail_slope(painted, reduced)
    small = [picture.astype(np.float32) for picture in (painted, reduced)]
    result = np.empty_like(image)
    for rows in strips(image.shape[0]):
        large, blurred = (grow_rows(field, rows, image.shape, method=cv2.INTER_CUBIC) for field in small)
        detail = image[slice(*rows)] - blurred
        detailed = large + grow_rows(slope, rows, image.shape)[..., None] * detail
        result[slice(*rows)] = np.clip(np.rint(detailed), 0, 255).astype(np.uint8)
    return result


def detail_slope(painted: Image, reduced: Image) -> NDArray[np.float32]:
    """Return how far the painting follows the photo near each pixel, HxW in 0..1: the slope of its best linear fit."""
    photo, paint = luma(reduced.astype(np.float32)), luma(painted.astype(np.float32))

    def mean(field: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(
            cv2.boxFilter(field, -1, (2 * DETAIL_REACH + 1,) * 2, borderType=cv2.BORDER_REFLECT_101),
            np.float32,
        )

    photo_mean, paint_mean = mean(photo), mean(paint)
    covariance = mean(photo * paint) - photo_mean * paint_mean
    variance = mean(photo * photo) - photo_mean * photo_mean
    return np.clip(covariance / (variance + DETAIL_FLOOR), 0.0, 1.0).astype(np.float32)


def _whole_cells(side: int) -> tuple[int, int]:
    """Return from where to where a side is read: on the grid, and two cells at least, which mirroring needs."""
    return 0, GRID * max(2, -(-side // GRID))


def make_stylizer(backend: Backend, facts: StyleFacts) -> Transform:
    """Return the stage that paints as the facts of a network say."""
    if facts.sees == "picture":
        return WholeStylizer(backend, facts.longest, facts.grain)
    return LightStylizer(backend, facts.margin, underpaint=facts.underpaint, grain=facts.grain)


def halve(image: Image) -> Image:
    """Return the means of 2x2 pixels; an odd side is continued by its mirror image."""
    height, width = image.shape[:2]
    even = image
    if height % 2 or width % 2:
        even = mirrored(image, (0, height + height % 2), (0, width + width % 2))
    size = (even.shape[1] // 2, even.shape[0] // 2)
    return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def enlarged(image: Image, vertical: tuple[int, int], horizontal: tuple[int, int]) -> NDArray[np.float32]:
    """Return a part of the picture at twice its size; the ends, in pixels of the result, are even.

    A border of 4 pixels is enlarged too and cut off, so that a part does not depend on where it ends.
    """
    border = 4
    rows = (vertical[0] // 2 - border, vertical[1] // 2 + border)
    columns = (horizontal[0] // 2 - border, horizontal[1] // 2 + border)
    part = mirrored(image, rows, columns).astype(np.float32)
    twice = cv2.resize(part, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    inner = slice(2 * border, -2 * border)
    return np.asarray(twice[inner, inner], dtype=np.float32)


def mirrored(image: Image, rows: tuple[int, int], columns: tuple[int, int]) -> Image:
    """Return the pixels from start to end of an endlessly mirrored picture."""
    inside = [
        (max(0, start), min(end, side))
        for (start, end), side in zip((rows, columns), image.shape[:2], strict=True)
    ]
    (top, bottom), (left, right) = inside
    before, after = (top - rows[0], left - columns[0]), (rows[1] - bottom, columns[1] - right)
    enough = min(bottom - top, right - left) > max(*before, *after)
    if not enough:  # a picture narrower than its rim is mirrored more than once
        taken = image[
            np.ix_(reflect(np.arange(*rows), image.shape[0]), reflect(np.arange(*columns), image.shape[1]))
        ]
        return np.asarray(taken, dtype=np.uint8)
    part = image[top:bottom, left:right]
    border = (before[0], after[0], before[1], after[1])
    return np.asarray(cv2.copyMakeBorder(part, *border, cv2.BORDER_REFLECT_101), dtype=np.uint8)


def spans(length: int, longest: int) -> Iterator[tuple[int, int]]:
    """Yield (start, side) of equal spans that cover `length`; the last may reach past the end.

    >>> list(spans(1030, 1024)), list(spans(5, 1024))
    ([(0, 516), (516, 516)], [(0, 8)])
    """
    count = -(-length // longest)
    side = GRID * -(-length // (GRID * count))
    yield from ((start, side) for start in range(0, length, side))


def reflect(positions: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """Return which of `length` pixels the endlessly mirrored line shows; edge pixels are not doubled.

    >>> reflect(np.arange(-3, 6), 3).tolist()
    [1, 2, 1, 0, 1, 2, 1, 0, 1]
    """
    if length == 1:
        return np.zeros_like(positions)
    period = 2 * (length - 1)
    folded = positions % period
    return np.minimum(folded, period - folded)
