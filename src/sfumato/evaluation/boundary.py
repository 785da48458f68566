"""Compare the borders of two regions (boundary F1); it knows no classes."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Region = NDArray[np.bool_]

TOLERANCE = 2 / 512
"""Distance at which borders still count as met, in longer sides of the picture: 2 px at 512."""

_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


@dataclass(frozen=True, slots=True)
class BoundaryCounts:
    """Count border pixels of the prediction and of the truth, and those of each that lie near the other's border."""

    predicted: int = 0
    predicted_near: int = 0
    true: int = 0
    true_near: int = 0

    def __add__(self, other: "BoundaryCounts") -> "BoundaryCounts":
        return BoundaryCounts(
            self.predicted + other.predicted,
            self.predicted_near + other.predicted_near,
            self.true + other.true,
            self.true_near + other.true_near,
        )

    @property
    def f1(self) -> float:
        """Return the harmonic mean of precision and recall of the borders (Csurka et al., 2013); nan without any.

        >>> BoundaryCounts(10, 5, 4, 4).f1  # precision 1/2, recall 1
        0.6666666666666666
        """
        if self.predicted + self.true == 0:
            return float("nan")
        precision = self.predicted_near / self.predicted if self.predicted else 0.0
        recall = self.true_near / self.true if self.true else 0.0
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def find_border(region: Region) -> Region:
    """Return the pixels of a region that touch, by a side, a pixel that is not in it; the frame is no border."""
    eroded = cv2.erode(region.astype(np.uint8), _CROSS, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(region & (eroded == 0))


def count_boundaries(predicted: Region, true: Region, tolerance: float | None = None) -> BoundaryCounts:
    """Count the border pixels of two regions of one size, and those near the other's border.

    Args:
        tolerance: largest Euclidean distance in pixels; by default `TOLERANCE` of the longer side, 1 at least.
    """
    reach = max(1.0, TOLERANCE * max(true.shape)) if tolerance is None else tolerance
    borders = find_border(predicted), find_border(true)
    counts = [int(np.count_nonzero(border)) for border in borders]
    near = [_count_near(mine, other, reach) for mine, other in (borders, borders[::-1])]
    return BoundaryCounts(counts[0], near[0], counts[1], near[1])


def _count_near(border: Region, other: Region, reach: float) -> int:
    """Return how many pixels of `border` lie within `reach` of a pixel of `other`."""
    if not border.any() or not other.any():
        return 0
    distance = cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return int(np.count_nonzero(distance[border] <= reach + 1e-4))
