"""Melt a kept face into a painted picture: mask edges, colour and brush grain; pure, and it runs no network."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.types import FloatImage, Image, Mask

SMALL_SIDE = 640
"""Longest side in pixels at which low frequencies are computed."""

STRIP_ROWS = 256
"""Rows that are blended at a time, so that memory does not grow with the picture."""

GUIDE_SIDE = 768
"""Longer side in pixels at which the coefficients of the guided filter are computed."""


def lay_over(base: Image, top: Image, mask: Mask) -> Image:
    """Lay `top` over `base` where `mask` is 1, mixing linearly in between.

    Returns:
        A new HxWx3 picture, bit-identical to `base` at 0 and to `top` at 1.
    """
    mixed = base + (top.astype(np.float32) - base) * mask[..., None]
    return np.rint(mixed).astype(np.uint8)


def mix(base: Image, top: Image, share: float) -> Image:
    """Return a new picture that is `base` at share 0, `top` at share 1 and in between a linear mix of both."""
    return np.asarray(cv2.addWeighted(base, 1 - share, top, share, 0), dtype=np.uint8)


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
        _shrink(mask, scale), _luminance(_shrink(image, scale)), radius * scale, smoothness
    )
    refined = np.empty_like(mask)
    for rows in _strips(mask.shape[0]):
        a, b = (_grow_rows(field, rows, mask.shape) for field in (slope, offset))
        edge = a * _luminance(image[slice(*rows)]) + b
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
    small = _blur(_shrink(mask, scale), sigma * scale)
    feathered = np.empty_like(mask)
    for rows in _strips(mask.shape[0]):
        np.clip(_grow_rows(small, rows, mask.shape), 0, 1, out=feathered[slice(*rows)])
    return feathered


def melt(
    painted: Image, photo: Image, mask: Mask, *, paint: float, extent: float, out: Image | None = None
) -> Image:
    """Lay the photo over the painting where `mask` is 1, drawing its colour and grain to the painting.

    Both pictures are split into low and high frequencies. The kept part takes the painting's low
    frequencies (light and colour) quickly as `paint` grows, and its brush grain more slowly, so that a
    little paint already seats the face in the light of the picture while it stays the person's.

    Args:
        paint: 0 keeps the photo as it is, 1 the painting.
        extent: height of the faces in pixels; low frequencies are those longer than a sixth of it.
        out: where to write, as in numpy; may be `painted` itself, which spares a picture of memory.

    Returns:
        `out`, or a new HxWx3 picture; bit-identical to `painted` at mask 0 and, without paint, to `photo` at mask 1.
    """
    colour, grain = paint_weights(paint)
    low_photo, low_painted = _low_frequencies(photo, extent), _low_frequencies(painted, extent)
    result = np.empty_like(painted) if out is None else out
    if result is not painted:
        np.copyto(result, painted)
    for top, bottom in _strips(mask.shape[0]):
        columns = np.flatnonzero(mask[top:bottom].any(axis=0))
        if columns.size == 0:
            continue
        place = (slice(top, bottom), slice(int(columns[0]), int(columns[-1]) + 1))
        below, above = painted[place].astype(np.float32), photo[place].astype(np.float32)
        low = _crop_rows(low_painted - low_photo, place, mask.shape)
        kept = above + colour * low + grain * (below - above - low)
        mixed = below + (kept - below) * mask[place][..., None]
        result[place] = np.clip(np.rint(mixed), 0, 255)
    return result


def paint_weights(paint: float) -> tuple[float, float]:
    """Return how far colour and grain follow the painting; both rise from 0 to 1 with `paint`.

    >>> paint_weights(0.0), paint_weights(1.0)
    ((0.0, 0.0), (1.0, 1.0))
    """
    return 1 - (1 - paint) ** 3, paint


def _low_frequencies(image: Image, extent: float) -> FloatImage:
    """Return the picture blurred by a Gaussian of a sixth of `extent`, at a size where that is four pixels at most."""
    scale = min(1.0, SMALL_SIDE / max(image.shape[:2]), 24 / extent)
    return _blur(_shrink(image, scale), max(1.0, extent * scale / 6))


def _blur(field: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    blurred = cv2.GaussianBlur(field, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, dtype=np.float32)


def _shrink(field: Image | Mask, scale: float) -> NDArray[np.float32]:
    """Return the picture or mask reduced by area averaging; itself at scale 1."""
    if scale >= 1:
        return np.asarray(field, dtype=np.float32)
    height, width = (max(1, round(side * scale)) for side in field.shape[:2])
    return np.asarray(cv2.resize(field, (width, height), interpolation=cv2.INTER_AREA), dtype=np.float32)


def _grow_rows(
    field: NDArray[np.float32], rows: tuple[int, int], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return some rows of a reduced field enlarged linearly to a picture of (h, w)."""
    return _crop_rows(field, (slice(*rows), slice(0, shape[1])), shape)


def _crop_rows(
    field: NDArray[np.float32], place: tuple[slice, slice], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return one place of a reduced field enlarged linearly to a picture of (h, w)."""
    sy, sx = field.shape[0] / shape[0], field.shape[1] / shape[1]
    y0, x0 = place[0].start, place[1].start
    matrix = np.array([[sx, 0, (x0 + 0.5) * sx - 0.5], [0, sy, (y0 + 0.5) * sy - 0.5]])
    size = (place[1].stop - x0, place[0].stop - y0)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    grown = cv2.warpAffine(field, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(grown, dtype=np.float32)


def _luminance(image: Image | FloatImage) -> Mask:
    """Return Rec. 601 luma in 0..1."""
    luma = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return np.asarray(luma / 255, dtype=np.float32)


def _strips(height: int) -> Iterator[tuple[int, int]]:
    for top in range(0, height, STRIP_ROWS):
        yield top, min(top + STRIP_ROWS, height)
