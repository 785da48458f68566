"""Draw the edges of a mask to those of the picture, and soften them; pure, and it runs no network."""

import cv2
import numpy as np

from sfumato.fields import blur, grow_rows, luma, shrink, strips
from sfumato.types import Image, Mask, Touches

GUIDE_SIDE = 768
"""Longer side in pixels at which the coefficients of the guided filter are computed."""


def refine_mask(mask: Mask, image: Image, *, radius: float, smoothness: float = 1e-3) -> Mask:
    """Draw the edges of a mask to those of the picture.

    The guided filter of He, Sun and Tang, "Guided image filtering", 2013, equations 5, 6 and 8, on
    luminance in 0..1, with the coefficients computed at reduced size ("Fast guided filter", 2015).
    What comes out below 0.05 or above 0.95 is set to 0 or 1.

    Args:
        radius: half width in pixels of the window that an edge may move within.
        smoothness: epsilon of the paper; edges of a lower variance are not followed.
    """
    scale = min(1.0, GUIDE_SIDE / max(mask.shape))
    slope, offset = _guide_coefficients(
        shrink(mask, scale), luma(shrink(image, scale)) / np.float32(255), radius * scale, smoothness
    )
    refined = np.empty_like(mask)
    for rows in strips(mask.shape[0]):
        a, b = (grow_rows(field, rows, mask.shape) for field in (slope, offset))
        edge = a * luma(image[slice(*rows)]) / 255 + b
        refined[slice(*rows)] = np.clip((edge - 0.05) / 0.9, 0, 1)
    return refined


def _guide_coefficients(mask: Mask, guide: Mask, radius: float, smoothness: float) -> tuple[Mask, Mask]:
    """Return slope and offset of the local linear model mask = slope * guide + offset."""
    side = 2 * max(1, round(radius)) + 1

    def mean(field: Mask) -> Mask:
        return np.asarray(cv2.blur(field, (side, side), borderType=cv2.BORDER_REFLECT), dtype=np.float32)

    mean_guide, mean_mask = mean(guide), mean(mask)
    variance = mean(guide * guide) - mean_guide * mean_guide
    covariance = mean(guide * mask) - mean_guide * mean_mask
    slope = np.asarray(covariance / (variance + smoothness), dtype=np.float32)
    return mean(slope), mean(np.asarray(mean_mask - slope * mean_guide, dtype=np.float32))


def feather_mask(mask: Mask, *, sigma: float) -> Mask:
    """Return the mask blurred by a Gaussian of `sigma` pixels; a sigma of 0 changes nothing."""
    if sigma <= 0:
        return mask.copy()
    scale = min(1.0, 4.0 / sigma)
    small = blur(shrink(mask, scale), sigma * scale)
    feathered = np.empty_like(mask)
    for rows in strips(mask.shape[0]):
        np.clip(grow_rows(small, rows, mask.shape), 0, 1, out=feathered[slice(*rows)])
    return feathered


def touch_up(mask: Mask, touches: Touches) -> None:
    """Add to the mask, and take from it, what a hand has drawn, in place: mask + weight * (keep - mask)."""
    for rows in strips(mask.shape[0]):
        keep, weight = (
            np.clip(grow_rows(field, rows, mask.shape), 0, 1) for field in (touches.keep, touches.weight)
        )
        part = mask[slice(*rows)]
        part += weight * (keep - part)
