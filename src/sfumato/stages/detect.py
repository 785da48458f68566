"""Find faces with the embedded network on a pyramid of the picture; it never loads a model or a file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import cos, sin

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.backends import Backend
from sfumato.geometry import align, invert_affine, tiles, transform_points
from sfumato.stages.face_rows import (
    SAME_FACE,
    Rows,
    clip_rows,
    decode_map,
    face_angle,
    group_rows,
    mean_row,
    merge_rows,
    mirror_rows,
    rescale_rows,
    row_sizes,
    row_to_face,
)
from sfumato.stages.planes import fill_planes
from sfumato.types import Affine, Face, Image

STRIDES = (8, 16)
"""Pixels between neighbouring cells of the network's two maps."""

GRID = 32
"""Sides of the network's input are multiples of this."""

TOP_SIDE = 176
"""The pyramid ends with the first level whose longer side is at most this."""

FIRST_SCALE = 0.85
"""The pyramid begins at this scale, for 72 % of the work: a face of 32 pixels has 27 there."""

MOST_PIXELS = 16_000_000
"""A picture with more pixels is halved before its first level, until it has fewer."""

LEVEL_RANGE = (36.0, 120.0)
"""Face sizes in level pixels that an inner level reports; they overlap, so most faces are seen twice."""

TILE_CORE, TILE_MARGIN = 1024, 128
"""A level is searched in tiles of this core and margin, so that memory stays flat."""

SEEN = 0.25
"""Cells below this score are dropped at once; those above it take part in averaging."""

VIEW_SIDE, VIEW_FACE = 192, 100.0
"""Side of the upright view in which a face is looked at again, and the size of the face there, in pixels."""

VIEWS_AT_ONCE = 8
"""Faces looked at again in one run of the network, so that memory stays flat."""

MOST_FACES = 100
"""Only this many of the best candidates are looked at again; the rest is dropped."""


@dataclass(frozen=True, slots=True)
class Level:
    """A reduced copy of the picture to search.

    Attributes:
        shape: (h, w) of the copy.
        smallest, largest: sizes in pixels of the copy of the faces it reports.
    """

    shape: tuple[int, int]
    smallest: float
    largest: float


@dataclass(frozen=True, slots=True)
class LightDetector:
    """Find faces of 32 pixels and more, upright or turned by up to 45 degrees.

    Attributes:
        backend: the network `detector-light`.
        threshold: the least score of a reported face.
        first_scale: scale of the first level.
    """

    backend: Backend
    threshold: float = 0.6
    first_scale: float = FIRST_SCALE

    def __call__(self, image: Image) -> tuple[Face, ...]:
        """Return the faces, best score first; boxes and points in pixels, boxes inside the picture.

        The score is the geometric mean of two: that of the pyramid and that of a second look at the face
        alone, turned upright, plain and mirrored, which also settles the points.
        """
        candidates = merge_rows(self._search(image))
        candidates = candidates[candidates[:, 14] >= self.threshold**2][:MOST_FACES]
        rows = self._look_again(image, candidates)
        kept = rows[rows[:, 14] >= self.threshold]
        best_first = kept[np.argsort(-kept[:, 14], kind="stable")]
        return tuple(row_to_face(row) for row in clip_rows(best_first, image.shape[:2]))

    def _search(self, image: Image) -> Rows:
        """Return what every level reports, in pixels of the picture."""
        frame = (image.shape[0], image.shape[1])
        found, copy = [], image
        for level in plan_levels(frame, self.first_scale):
            copy = reduce_image(copy, level.shape)
            rows = self._search_level(copy)
            size = row_sizes(rows)
            rows = rows[(size >= level.smallest) & (size <= level.largest)]
            found.append(rescale_rows(rows, level.shape, frame))
        return np.concatenate(found)

    def _search_level(self, image: Image) -> Rows:
        tiles = cut_tiles((image.shape[0], image.shape[1]))
        return np.concatenate([self._search_tile(image, *tile) for tile in tiles])

    def _search_tile(self, image: Image, inner: "Window", outer: "Window") -> Rows:
        """Return the faces of one tile whose centre lies in its inner part, in pixels of the level."""
        y0, y1, x0, x1 = outer
        maps = self.backend.run({"input": to_input(image[y0:y1, x0:x1])})
        rows = np.concatenate([decode_map(m[0], s, SEEN) for m, s in zip(maps, STRIDES, strict=True)])
        rows[:, 0:14:2] += x0
        rows[:, 1:14:2] += y0
        return rows[_centred(rows, inner)]

    def _look_again(self, image: Image, rows: Rows) -> Rows:
        parts = [rows[k : k + VIEWS_AT_ONCE] for k in range(0, len(rows), VIEWS_AT_ONCE)]
        return np.concatenate([rows[:0], *[self._look_at(image, part) for part in parts]])

    def _look_at(self, image: Image, rows: Rows) -> Rows:
        """Return the rows with the points and the score of their upright views worked in."""
        matrices = [view_affine(row) for row in rows]
        views = [align(image, matrix, VIEW_SIDE) for matrix in matrices]
        tensor = np.concatenate([to_input(v) for view in views for v in (view, view[:, ::-1])])
        maps = self.backend.run({"input": tensor})
        seen = [find_centred([m[k] for m in maps]) for k in range(len(tensor))]
        pairs = zip(seen[::2], (mirror_rows(row[None], VIEW_SIDE)[0] for row in seen[1::2]), strict=True)
        looks = zip(rows, matrices, pairs, strict=True)
        return np.array([work_in(row, matrix, *pair) for row, matrix, pair in looks], dtype=np.float32)


Window = tuple[int, int, int, int]
"""(y0, y1, x0, x1), end excluded."""


def plan_levels(shape: tuple[int, int], first_scale: float) -> tuple[Level, ...]:
    """Return the levels for a picture of (h, w): the first at `first_scale`, if it is not small, then half and half.

    >>> [level.shape for level in plan_levels((300, 500), 0.8)]
    [(240, 400), (120, 200), (60, 100)]
    """
    while shape[0] * shape[1] > MOST_PIXELS:
        shape = _halve(shape)
    shapes = [shape if max(shape) <= TOP_SIDE else _scale(shape, first_scale)]
    while max(shapes[-1]) > TOP_SIDE:
        shapes.append(_halve(shapes[-1]))
    low, high = LEVEL_RANGE
    last = len(shapes) - 1
    return tuple(
        Level(level, low if k else 0.0, high if k < last else float("inf")) for k, level in enumerate(shapes)
    )


def _scale(shape: tuple[int, int], factor: float) -> tuple[int, int]:
    return max(1, round(factor * shape[0])), max(1, round(factor * shape[1]))


def _halve(shape: tuple[int, int]) -> tuple[int, int]:
    return max(1, -(-shape[0] // 2)), max(1, -(-shape[1] // 2))


def reduce_image(image: Image, shape: tuple[int, int]) -> Image:
    """Return the picture averaged down to (h, w)."""
    if image.shape[:2] == shape:
        return image
    return np.asarray(cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA), dtype=np.uint8)


def cut_tiles(shape: tuple[int, int]) -> Iterator[tuple[Window, Window]]:
    """Yield what each tile reports and what it reads; both lie inside a picture of (h, w)."""
    height, width = shape
    for tile in tiles(shape, core=TILE_CORE, margin=TILE_MARGIN):
        y0, y1, x0, x1 = tile.outer
        yield tile.inner, (max(y0, 0), min(y1, height), max(x0, 0), min(x1, width))


def _centred(rows: Rows, window: Window) -> NDArray[np.bool_]:
    """Tell which boxes have their centre in the window; the outermost pixels reach beyond the picture."""
    y0, y1, x0, x1 = window
    x, y = (rows[:, 0] + rows[:, 2]) / 2 + 0.5, (rows[:, 1] + rows[:, 3]) / 2 + 0.5
    return np.asarray((x >= x0) & (x < x1) & (y >= y0) & (y < y1))


def to_input(image: Image) -> NDArray[np.float32]:
    """Return 1x3xHxW in [0, 1], filled up to whole cells with the grey that the network takes for nothing."""
    height, width = image.shape[:2]
    padded = np.full((1, 3, -(-height // GRID) * GRID, -(-width // GRID) * GRID), 0.5, dtype=np.float32)
    fill_planes(image, padded[0, :, :height, :width])
    return padded


def view_affine(row: Rows) -> Affine:
    """Return the matrix from the picture to the view that shows the box of a face in its middle, upright."""
    scale = VIEW_FACE / max(float(row_sizes(row[None])[0]), 1.0)
    angle = -face_angle(row)
    c, s = scale * cos(angle), scale * sin(angle)
    linear = np.array([[c, -s], [s, c]])
    middle = (row[:2] + row[2:4]).astype(np.float64) / 2
    return np.column_stack([linear, (VIEW_SIDE - 1) / 2 - linear @ middle])


def find_centred(maps: Sequence[NDArray[np.float32]]) -> Rows:
    """Return the averaged row of the best face near the middle of a view; one of score 0 if there is none."""
    return take_centred(np.concatenate([decode_map(m, s, SEEN) for m, s in zip(maps, STRIDES, strict=True)]))


def take_centred(rows: Rows) -> Rows:
    """Return the averaged row of the best face among `rows` near the middle of a view, or one of score 0."""
    shift = np.abs((rows[:, :2] + rows[:, 2:4]) / 2 - (VIEW_SIDE - 1) / 2).max(axis=1)
    near = rows[shift < VIEW_FACE / 3]
    return mean_row(group_rows(near, SAME_FACE)[0]) if len(near) else np.zeros(15, dtype=np.float32)


def work_in(row: Rows, matrix: Affine, plain: Rows, mirrored: Rows) -> Rows:
    """Return `row` with the mean points of its views that saw the face, and with the common score."""
    seen = [view for view in (plain, mirrored) if view[14] > 0]
    if not seen:
        return np.append(row[:14], np.float32(0))
    points = np.mean([view[4:14] for view in seen], axis=0).reshape(5, 2).astype(np.float32)
    there = transform_points(invert_affine(matrix), points).reshape(-1)
    score = np.sqrt(row[14] * (plain[14] + mirrored[14]) / 2)
    return np.concatenate([row[:4], there, [score]]).astype(np.float32)
