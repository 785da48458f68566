"""Measure how visible the edge of a kept face is in the painting; pure, and it changes nothing."""

from dataclasses import dataclass
from math import exp, sqrt
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.fields import shrink
from sfumato.types import Image, Mask

Field = NDArray[np.float32]

SEEN_EXTENT = 320.0
"""Height in pixels to which a larger face is reduced before it is measured."""

REACH = 0.03
"""Distance from the edge at which both sides are compared, in face heights."""

JUST_SEEN = 2.0
"""Colour difference (CIE 1976) that an eye just notices: smaller steps do not count as steps."""

FEWEST = 24
"""Points of an edge below which nothing can be said."""


@dataclass(frozen=True, slots=True)
class Seam:
    """How much more of a step the mask's edge is in the result than in the original; 1 is no more.

    Attributes:
        colour: ratio of the mean colour differences across the edge, in CIELAB.
        grain: ratio of the mean factors by which the grain differs across the edge.
    """

    colour: float
    grain: float

    @property
    def score(self) -> float:
        """Return the geometric mean of both."""
        return sqrt(self.colour * self.grain)


def measure_seam(original: Image, result: Image, mask: Mask, *, extent: float) -> Seam | None:
    """Compare the result on both sides of the mask's edge with the original on both sides of it.

    A jaw before a dark wall is a step in the original too, so only what the result adds counts.

    Args:
        original, result: HxWx3 of one size, the surroundings of one face.
        mask: HxW, 1 where the original was kept.
        extent: height of the face in pixels.

    Returns:
        None where the mask has no edge here.
    """
    scale = min(1.0, SEEN_EXTENT / extent)
    reach = max(2.0, REACH * extent * scale)
    points, normals = edge_of(shrink(mask, scale))
    if len(points) < FEWEST:
        return None
    place, corner = _around(points, 4 * reach)
    before, after = (
        _steps(_lab(shrink(image, scale)[place]), points - corner, reach * normals)
        for image in (original, result)
    )
    colour = (after[0] + JUST_SEEN) / (before[0] + JUST_SEEN)
    return Seam(colour, exp(after[1] - before[1]))


def edge_of(mask: Mask) -> tuple[Field, Field]:
    """Return Nx2 the points (x, y) where the mask passes one half, and Nx2 the unit normals that point inwards.

    The border of the picture is no edge.
    """
    height, width = mask.shape
    inside = (mask >= 0.5).astype(np.uint8)
    contours, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return np.empty((0, 2), np.float32), np.empty((0, 2), np.float32)
    points = np.concatenate([contour[:, 0] for contour in contours])
    x, y = points[:, 0], points[:, 1]
    points = points[(x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)]
    smooth = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 2.0)
    slopes = [cv2.Sobel(smooth, cv2.CV_32F, dx, 1 - dx)[points[:, 1], points[:, 0]] for dx in (1, 0)]
    normals = np.stack(slopes, axis=1)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    steep = lengths[:, 0] > 1e-3
    return points[steep].astype(np.float32), (normals[steep] / lengths[steep]).astype(np.float32)


def _around(points: Field, margin: float) -> tuple[tuple[slice, slice], Field]:
    """Return the part of a picture that holds the points and what is near them, and its corner (x, y)."""
    low = np.maximum(np.floor(points.min(axis=0) - margin), 0).astype(int)
    high = np.ceil(points.max(axis=0) + margin).astype(int) + 1
    return (slice(low[1], high[1]), slice(low[0], high[0])), low.astype(np.float32)


def _steps(lab: Field, points: Field, offsets: Field) -> tuple[float, float]:
    """Return the mean colour difference across the edge, and the mean logarithm of the factor of grain."""
    width = float(np.linalg.norm(offsets[0])) / 2
    broad = cv2.GaussianBlur(lab, (0, 0), width)
    fine = np.abs(lab[..., 0] - cv2.GaussianBlur(lab[..., 0], (0, 0), 1.5))
    grain = cv2.GaussianBlur(fine, (0, 0), width) + 0.5
    within, outside = ((points + side * offsets).T for side in (1, -1))
    colours = [_at(broad, *place) for place in (within, outside)]
    grains = [_at(grain, *place) for place in (within, outside)]
    colour = np.linalg.norm(colours[0] - colours[1], axis=1).mean()
    return float(colour), float(np.abs(np.log(grains[0] / grains[1])).mean())


def _at(field: NDArray[Any], x: Field, y: Field) -> Field:
    """Return the values at points between the pixels."""
    taken = cv2.remap(field, x[:, None], y[:, None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(taken[:, 0], dtype=np.float32)


def _lab(levels: Field) -> Field:
    return np.asarray(cv2.cvtColor(levels / np.float32(255), cv2.COLOR_RGB2LAB), dtype=np.float32)
