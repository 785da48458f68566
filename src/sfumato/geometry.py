"""Relate faces, crops and tiles to the picture: fits, warps and grids; pure, and it never looks at content."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.types import Affine, Box, Image, Points

ALIGNED_SIZE = 512
"""Side of an aligned face crop in pixels (GFPGAN and FFHQ use 512)."""

FFHQ_TEMPLATE: Points = np.array(
    [
        [192.98138, 239.94708],
        [318.90277, 240.19360],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ],
    dtype=np.float32,
)
"""Landmarks of an upright face in a 512x512 crop: FFHQ's, as GFPGAN aligns them (facexlib, face size 512)."""


def fit_similarity(source: Points, target: Points) -> Affine:
    """Return the rotation, scale and shift that maps `source` to `target` best in least squares.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991,
    equations 40-42, without reflection.

    >>> import numpy as np
    >>> square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
    >>> (fit_similarity(square, 2 * square + 3).round(6) + 0.0).tolist()
    [[2.0, 0.0, 3.0], [0.0, 2.0, 3.0]]
    """
    a, b = source.astype(np.float64), target.astype(np.float64)
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    centred_a, centred_b = a - mean_a, b - mean_b
    dot = float((centred_a * centred_b).sum())
    cross = float((centred_a[:, 0] * centred_b[:, 1] - centred_a[:, 1] * centred_b[:, 0]).sum())
    norm = float((centred_a**2).sum())
    if norm == 0:
        raise ValueError("all source points are the same; a similarity needs two different ones")
    c, s = dot / norm, cross / norm
    rotation = np.array([[c, -s], [s, c]])
    return np.column_stack([rotation, mean_b - rotation @ mean_a])


def face_affine(landmarks: Points, size: int = ALIGNED_SIZE) -> Affine:
    """Return the matrix that maps picture pixels to the FFHQ-aligned crop of `size` x `size`."""
    to_512 = fit_similarity(landmarks, FFHQ_TEMPLATE)
    return scale_affine(to_512, size / ALIGNED_SIZE)


def scale_affine(matrix: Affine, scale: float) -> Affine:
    """Return `matrix` followed by a resize by `scale` that keeps pixel edges in place.

    Pixel centres have integer coordinates, so a resize maps x to (x + 0.5) * scale - 0.5.
    """
    scaled = matrix * scale
    scaled[:, 2] += 0.5 * scale - 0.5
    return scaled


def invert_affine(matrix: Affine) -> Affine:
    """Return the inverse 2x3 matrix."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def affine_scale(matrix: Affine) -> float:
    """Return by how much the matrix enlarges lengths."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def transform_points(matrix: Affine, points: Points) -> Points:
    """Map Nx2 points by a 2x3 matrix."""
    mapped = points.astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return mapped.astype(np.float32)


def align(image: Image, matrix: Affine, size: int = ALIGNED_SIZE) -> Image:
    """Cut the crop of `size` x `size` that `matrix` names; outside the picture its edge is repeated.

    A crop that shrinks the picture is averaged down first, so that it does not alias.
    """
    region, local = _reduced_region(image, matrix, size)
    crop = cv2.warpAffine(region, local, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, dtype=np.uint8)


def _reduced_region(image: Image, matrix: Affine, size: int) -> tuple[Image, Affine]:
    """Return the part of the picture under the crop, reduced by a whole factor, and the matrix from there."""
    x0, y0, x1, y1 = clip_box(crop_bounds(matrix, size, margin=4), image.shape[:2])
    region = image[y0:y1, x0:x1]
    factor = max(1, int(1 / affine_scale(matrix) + 0.01))
    shift = np.array([[1.0, 0.0, x0], [0.0, 1.0, y0]])
    if factor > 1:
        height, width = max(1, region.shape[0] // factor), max(1, region.shape[1] // factor)
        whole = region[: height * factor, : width * factor]
        region = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
        shift[0] = [factor, 0.0, x0 + 0.5 * factor - 0.5]
        shift[1] = [0.0, factor, y0 + 0.5 * factor - 0.5]
    return region, compose(matrix, shift)


def compose(outer: Affine, inner: Affine) -> Affine:
    """Return the matrix of `inner` followed by `outer`."""
    linear = outer[:, :2] @ inner[:, :2]
    return np.column_stack([linear, outer[:, :2] @ inner[:, 2] + outer[:, 2]])


def crop_bounds(matrix: Affine, size: int, *, margin: float = 0.0) -> Box:
    """Return the box in the picture that holds the whole crop, `margin` crop pixels wider."""
    low, high = -0.5 - margin, size - 0.5 + margin
    corners = np.array([[low, low], [high, low], [high, high], [low, high]], dtype=np.float32)
    there = transform_points(invert_affine(matrix), corners)
    (x0, y0), (x1, y1) = there.min(axis=0), there.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def clip_box(box: Box, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return the whole pixels (x0, y0, x1, y1), end excluded, of `box` inside a picture of (h, w); never empty."""
    height, width = shape[0], shape[1]
    x0 = int(np.clip(np.floor(box[0]), 0, width - 1))
    y0 = int(np.clip(np.floor(box[1]), 0, height - 1))
    x1 = int(np.clip(np.ceil(box[2]) + 1, x0 + 1, width))
    y1 = int(np.clip(np.ceil(box[3]) + 1, y0 + 1, height))
    return x0, y0, x1, y1


def unalign(
    crop: NDArray[np.float32], matrix: Affine, bounds: tuple[int, int, int, int]
) -> NDArray[np.float32]:
    """Lay a crop (HxW or HxWxC) back over the pixels `bounds` (x0, y0, x1, y1) of the picture; 0 outside the crop."""
    x0, y0, x1, y1 = bounds
    local = compose(matrix, np.array([[1.0, 0.0, x0], [0.0, 1.0, y0]]))
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(crop, local, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(warped, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a picture: `inner` is written, `outer` is read; both (y0, y1, x0, x1), end excluded."""

    inner: tuple[int, int, int, int]
    outer: tuple[int, int, int, int]


def tiles(shape: tuple[int, int], *, core: int, margin: int) -> Iterator[Tile]:
    """Cover a picture of (h, w) by tiles whose inner parts are disjoint and at most `core` wide.

    `outer` reaches `margin` further on every side and may lie outside the picture; the caller pads.
    Equal cores: with core c along a side of n pixels there are ceil(n / c) tiles.
    """
    height, width = shape
    for y0 in range(0, height, core):
        for x0 in range(0, width, core):
            y1, x1 = min(y0 + core, height), min(x0 + core, width)
            yield Tile((y0, y1, x0, x1), (y0 - margin, y1 + margin, x0 - margin, x1 + margin))
