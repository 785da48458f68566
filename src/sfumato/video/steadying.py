"""Carry what was painted along with the motion, so that paint stays where it lies; pure, and it runs no network."""

from dataclasses import dataclass

import cv2
import numpy as np

from sfumato.fields import blur, shrink
from sfumato.types import FloatImage, Image, Mask
from sfumato.video.flow import Motion, grow_flow, grow_mask, warp


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How much of the former frame stays.

    Attributes:
        paint: part of the former painting in the new one where it was followed, 0..1.
        mask: the same for the mask of what is kept.
        freedom: levels by which the former painting may leave the range that the fresh one has nearby.
        reach: pixels to each side that count as nearby.
        doubt: difference of levels between the frame and the former one moved to it at which half is believed.
    """

    paint: float = 0.8
    mask: float = 0.7
    freedom: float = 12.0
    reach: int = 2
    doubt: float = 16.0


STROKE, MOST_GAIN = 4.0, 1.15
"""Deviation in pixels of the blur below which detail counts as strokes, and how far they are strengthened at most."""

STEADY, FREE = Steadiness(), Steadiness(paint=0.0, mask=0.0)
"""As it is by default, and every frame for itself."""

CUT_RESIDUAL, CUT_SHARE, CUT_HISTOGRAM = 12.0, 0.4, 0.5
"""A new scene begins where levels differ by more than the first though they were followed, and less than the second of
the frame was followed or the histograms of its colours are further apart (Bhattacharyya) than the third."""


def is_cut(former: Image, new: Image, motion: Motion) -> bool:
    """Return whether two reduced frames are of different scenes."""
    if float(motion.residual.mean()) < CUT_RESIDUAL:
        return False
    return motion.share < CUT_SHARE or colour_distance(former, new) > CUT_HISTOGRAM


def colour_distance(one: Image, other: Image) -> float:
    """Return how far apart the colours of two pictures are, wherever they lie: 0 alike, 1 nothing in common."""
    ours, theirs = (cv2.calcHist([image], [0, 1, 2], None, [8, 8, 8], [0, 256] * 3) for image in (one, other))
    return float(cv2.compareHist(ours, theirs, cv2.HISTCMP_BHATTACHARYYA))


def trust(motion: Motion, steadiness: Steadiness) -> Mask:
    """Return how far the former frame is believed at each pixel of the reduced one, 0..1, with soft borders.

    A pixel counts the less the more its levels changed on its way: light, shadows and mouths change, too.
    """
    alike = np.exp2(-((motion.residual / np.float32(steadiness.doubt)) ** 2))
    kernel = np.ones((3, 3), np.uint8)
    inner = np.asarray(cv2.erode(motion.sure, kernel), dtype=np.float32)
    return np.minimum(inner, blur(inner * alike, 1.5)).astype(np.float32)


def steady_painting(fresh: Image, former: FloatImage, motion: Motion, steadiness: Steadiness) -> FloatImage:
    """Return the fresh painting, mixed with the former one moved to it where that may be believed.

    What is moved is held within the range of the fresh painting nearby, as games do it (Karis, "High-quality temporal
    supersampling", 2014): so nothing that is gone stays behind as a ghost, and nothing smears.

    Args:
        former: what this function returned for the former frame.
    """
    if not steadiness.paint:
        return fresh.astype(np.float32)
    back = grow_flow(motion.back, fresh.shape)
    moved = warp(former, back, cv2.INTER_CUBIC)
    kernel = np.ones((2 * steadiness.reach + 1,) * 2, np.uint8)
    low, high = (operation(fresh, kernel).astype(np.float32) for operation in (cv2.erode, cv2.dilate))
    np.clip(moved, low - steadiness.freedom, high + steadiness.freedom, out=moved)
    share = steadiness.paint * grow_mask(trust(motion, steadiness), fresh.shape)
    return keep_grain(np.asarray(fresh + share[..., None] * (moved - fresh), dtype=np.float32), fresh)


def keep_grain(mixed: FloatImage, fresh: Image) -> FloatImage:
    """Return a mix of paintings with its strokes as strong as those of the fresh one.

    Where two paintings differ, their mean is flatter than either, frame after frame, until no stroke is left. So what
    is finer than `STROKE` is strengthened, by `MOST_GAIN` at most, to the local deviation that it has in the fresh one.
    """
    whole = fresh.astype(np.float32)
    broad, fine = _split(mixed)
    strength = [_local_energy(part) for part in (_split(whole)[1], fine)]
    gain = np.sqrt((strength[0] + 1) / (strength[1] + 1))
    grown = grow_mask(np.clip(gain, 1, MOST_GAIN).astype(np.float32), fresh.shape)
    return np.asarray(broad + grown[..., None] * fine, dtype=np.float32)


def _split(image: FloatImage) -> tuple[FloatImage, FloatImage]:
    """Return what is broader and what is finer than a stroke."""
    broad = blur(image, STROKE)
    return broad, image - broad


def _local_energy(fine: FloatImage) -> Mask:
    """Return the mean square of fine detail around each pixel, at a reduced size."""
    energy = shrink((fine * fine).mean(axis=2), 1 / STROKE)
    return blur(energy, 2.0)


def to_levels(painting: FloatImage) -> Image:
    """Return a painting rounded to the levels of a picture."""
    return np.clip(np.rint(painting), 0, 255).astype(np.uint8)
