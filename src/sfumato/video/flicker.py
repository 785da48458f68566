"""Measure how much a video flickers: what changes along the motion of its source; pure."""

from dataclasses import dataclass

import numpy as np

from sfumato.types import Image
from sfumato.video.flow import Motion, grow_flow, grow_mask, warp

MEASURED_SIDE = 854
"""Longer side in pixels at which frames are compared, that of the 480p videos which the measure was made for."""


@dataclass(frozen=True, slots=True)
class Flicker:
    """Sums over the pairs of frames so far.

    Attributes:
        pairs: how many were measured.
        source, plain, steady: sums of the warping errors of the source, of its painting frame by frame, and of ours.
    """

    pairs: int = 0
    source: float = 0.0
    plain: float = 0.0
    steady: float = 0.0

    def add(self, source: float, plain: float, steady: float) -> "Flicker":
        """Return the sums with the errors of one more pair of frames."""
        return Flicker(self.pairs + 1, self.source + source, self.plain + plain, self.steady + steady)

    def levels(self) -> dict[str, float | None]:
        """Return the three as levels: the root of the mean error.

        >>> Flicker(2, 18.0, 128.0, 32.0).levels()
        {'source': 3.0, 'frame_by_frame': 8.0, 'steadied': 4.0}
        """
        sums = {"source": self.source, "frame_by_frame": self.plain, "steadied": self.steady}
        return {
            name: float(np.sqrt(total / self.pairs)) if self.pairs else None for name, total in sums.items()
        }


def warping_error(former: Image, new: Image, motion: Motion) -> float:
    """Return the mean square of what changed between two frames along the motion, in squared levels.

    Lai et al., "Learning blind video temporal consistency", 2018, equation 9, on sRGB of 0..255, over the pixels that
    were followed; the motion is that of the source, whichever video is measured.

    Args:
        former, new: HxWx3 of one size, which may differ from that of the motion.
    """
    moved = warp(former, grow_flow(motion.back, new.shape))
    apart = ((new - moved) ** 2).mean(axis=2)
    sure = grow_mask(motion.sure, new.shape)
    total = float(sure.sum())
    return float((sure * apart).sum() / total) if total else 0.0
