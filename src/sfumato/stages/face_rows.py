"""Handle faces as rows of numbers: decode, scale, mirror, overlap, merge; pure, and it sees no picture."""

from collections.abc import Sequence
from math import atan2

import numpy as np
from numpy.typing import NDArray

from sfumato.types import Face

Rows = NDArray[np.float32]
"""Nx15: box (x0, y0, x1, y1), five points (x, y), score."""

SAME_FACE = 0.45
"""Boxes that share this part of their union are one face."""

INSIDE = 0.7
"""A box of which this part lies in a surer face's box is a part of that face."""


def decode_map(output: NDArray[np.float32], stride: int, seen: float) -> Rows:
    """Return the rows of all cells of a 15xHxW map that score at least `seen`, in pixels of its input.

    A cell predicts centre and points relative to its own centre and the logarithm of the sides, in strides.
    """
    y, x = np.nonzero(output[0] >= seen)
    cells = output[:, y, x].astype(np.float32)
    middle = np.stack([x, y]).astype(np.float32) * stride + (stride - 1) / 2
    centre = cells[1:3] * stride + middle
    half = np.exp(np.clip(cells[3:5], -4, 5)) * (stride / 2)
    points = cells[5:].reshape(5, 2, -1) * stride + middle
    columns = np.concatenate([centre - half, centre + half, points.reshape(10, -1), cells[:1]])
    return np.asarray(columns.T, dtype=np.float32)


def encode_cell(row: Rows, stride: int, cell: tuple[int, int]) -> NDArray[np.float32]:
    """Return the 15 values with which the cell (x, y) of a map says the face of `row`."""
    middle = np.array(cell, dtype=np.float32) * stride + (stride - 1) / 2
    centre = ((row[:2] + row[2:4]) / 2 - middle) / stride
    sides = np.log((row[2:4] - row[:2]) / stride)
    points = (row[4:14].reshape(5, 2) - middle) / stride
    return np.concatenate([row[14:], centre, sides, points.reshape(-1)]).astype(np.float32)


def rescale_rows(rows: Rows, shape: tuple[int, int], target: tuple[int, int]) -> Rows:
    """Map rows from a copy of (h, w) `shape` to the picture of `target`; pixel edges keep their place."""
    factor = np.array([target[1] / shape[1], target[0] / shape[0]], dtype=np.float32)
    points = (rows[:, :14].reshape(-1, 7, 2) + 0.5) * factor - 0.5
    return np.concatenate([points.reshape(-1, 14), rows[:, 14:]], axis=1)


def mirror_rows(rows: Rows, width: int) -> Rows:
    """Return the rows as the mirrored picture of `width` pixels shows them; left and right points swap."""
    points: Rows = rows[:, :14].reshape(-1, 7, 2).copy()
    points[:, :, 0] = width - 1 - points[:, :, 0]
    points[:, :2, 0] = points[:, 1::-1, 0]
    points = points[:, [0, 1, 3, 2, 4, 6, 5]]
    return np.concatenate([points.reshape(-1, 14), rows[:, 14:]], axis=1)


def face_angle(row: Rows) -> float:
    """Return by how much a face is turned clockwise from upright, in radians, by its eyes and mouth.

    Eyes and mouth point across the face, from the eyes to the mouth down; a profile has only the latter.
    """
    left_eye, right_eye, _, left_mouth, right_mouth = row[4:14].reshape(5, 2).astype(np.float64)
    across = (right_eye - left_eye) + (right_mouth - left_mouth)
    down = (left_mouth + right_mouth) - (left_eye + right_eye)
    return atan2(across[1] - down[0], across[0] + down[1])


def row_sizes(rows: Rows) -> NDArray[np.float32]:
    """Return the root of each box's area in pixels."""
    return np.asarray(np.sqrt((rows[:, 2:4] - rows[:, :2]).clip(0).prod(axis=1)), dtype=np.float32)


def merge_rows(rows: Rows) -> Rows:
    """Return one averaged row for each face, best score first; parts of a surer face are dropped."""
    faces: list[Rows] = []
    for group in group_rows(rows, SAME_FACE):
        face = mean_row(group)
        if not any(_share_inside(face, surer) > INSIDE for surer in faces):
            faces.append(face)
    return np.array(faces, dtype=np.float32).reshape(-1, 15)


def group_rows(rows: Rows, threshold: float) -> list[Rows]:
    """Gather the rows that overlap the best remaining one by more than `threshold` of their union.

    Equal scores are taken in the order of their boxes, so that the order of `rows` is of no account.
    """
    order = np.lexsort([*rows.T[:14], -rows[:, 14]])
    groups, left = [], rows[order]
    while len(left):
        same = overlaps(left[0], left) > threshold
        same[0] = True
        groups.append(left[same])
        left = left[~same]
    return groups


def overlaps(row: Rows, rows: Rows) -> NDArray[np.float32]:
    """Return the intersection over union of one box with many."""
    common = _common(row, rows)
    area = (row[2:4] - row[:2]).prod() + (rows[:, 2:4] - rows[:, :2]).prod(axis=1)
    return np.asarray(common / np.maximum(area - common, 1e-6), dtype=np.float32)


def _common(row: Rows, rows: Rows) -> NDArray[np.float32]:
    low, high = np.maximum(row[:2], rows[:, :2]), np.minimum(row[2:4], rows[:, 2:4])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=1), dtype=np.float32)


def _share_inside(row: Rows, other: Rows) -> float:
    """Return which part of the box of `row` lies in the box of `other`."""
    return float(_common(row, other[None])[0] / max((row[2:4] - row[:2]).prod(), 1e-6))


def mean_row(group: Rows) -> Rows:
    """Return the mean of box and points weighted by the fourth power of the score, with the best score."""
    weight = group[:, 14:].astype(np.float64) ** 4
    mean = (group[:, :14] * weight).sum(axis=0) / weight.sum()
    return np.append(mean, group[:, 14].max()).astype(np.float32)


def clip_rows(rows: Rows, shape: Sequence[int]) -> Rows:
    """Return the rows with their boxes inside a picture of (h, w); points stay where they are."""
    clipped = rows.copy()
    edge = np.array([shape[1] - 1, shape[0] - 1] * 2, dtype=np.float32)
    clipped[:, :4] = np.clip(rows[:, :4], 0, edge)
    return clipped


def row_to_face(row: Rows) -> Face:
    """Return the face of one row (box, five points, score)."""
    x0, y0, x1, y1 = (float(value) for value in row[:4])
    a, b, c, d, e = ((float(x), float(y)) for x, y in row[4:14].reshape(5, 2))
    return Face((x0, y0, x1, y1), (a, b, c, d, e), float(row[14]))


def face_to_row(face: Face) -> Rows:
    """Return box, points and score as one row of 15."""
    return np.concatenate([face.box, face.points.reshape(-1), [face.score]]).astype(np.float32)
