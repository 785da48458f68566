"""Melt a kept face into a painted picture: colour, light and brush grain; pure, and it runs no network."""

from dataclasses import dataclass

import cv2
import numpy as np

from sfumato.fields import blur, crop_rows, luma, shrink, strips
from sfumato.types import FloatImage, Image, Mask

SMALL_SIDE = 640
"""Longest side in pixels at which low frequencies are computed."""

LIGHT, HUE, CHROMA = 10.0, float(np.deg2rad(12)), 1.4
"""How far skin follows the painting at most: CIELAB lightness, hue in radians, factor of chroma."""


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


@dataclass(frozen=True, slots=True)
class Kept:
    """What of a photo is kept in its painting.

    Attributes:
        photo: HxWx3, with the faces restored.
        mask: HxW, 1 where the photo is kept.
        extent: height of the faces in pixels.
    """

    photo: Image
    mask: Mask
    extent: float


def melt(painted: Image, kept: Kept, *, paint: float, out: Image | None = None) -> Image:
    """Lay what is kept of the photo over the painting, drawing its colour and grain to the painting.

    Both pictures are split into two bands (after Burt and Adelson, "A multiresolution spline with application to image
    mosaics", 1983): fine detail changes over at the mask's edge, light and colour change over slowly inside of it, so
    that the edge itself lies in one light. The kept part takes the painting's light and colour quickly as `paint`
    grows, within what skin allows (`seat`), and its brush grain more slowly: a little paint already seats the face in
    the light of the picture while it stays the person's.

    Args:
        paint: 0 keeps the photo as it is, 1 the painting.
        out: where to write, as in numpy; may be `painted` itself, which spares a picture of memory.

    Returns:
        `out`, or a new HxWx3 picture; bit-identical to `painted` at mask 0 and, without paint, to `photo` at mask 1.
    """
    photo, mask = kept.photo, kept.mask
    colour, grain = paint_weights(paint)
    low_photo, low_painted = (_low_frequencies(image, kept.extent) for image in (photo, painted))
    apart = np.subtract(low_photo, low_painted, dtype=np.float32)
    light = apart + colour * (seat(low_photo, low_painted, care=1 - paint**2) - low_photo)
    depth = _depth(mask, kept.extent, (light.shape[0], light.shape[1]))
    result = np.empty_like(painted) if out is None else out
    if result is not painted:
        np.copyto(result, painted)
    for top, bottom in strips(mask.shape[0]):
        columns = np.flatnonzero(mask[top:bottom].any(axis=0))
        if columns.size == 0:
            continue
        place = (slice(top, bottom), slice(int(columns[0]), int(columns[-1]) + 1))
        below, above, near = painted[place].astype(np.float32), photo[place].astype(np.float32), mask[place]
        inner = near * (1 + colour * (crop_rows(depth, place, mask.shape) - 1))
        fine = (above - below) - crop_rows(apart, place, mask.shape)
        mixed = np.asarray(below + inner[..., None] * crop_rows(light, place, mask.shape), dtype=np.float32)
        mixed += ((1 - grain) * near)[..., None] * fine
        result[place] = np.clip(np.rint(mixed), 0, 255)
    return result


def seat(low_photo: FloatImage, low_painted: FloatImage, *, care: float) -> FloatImage:
    """Return the painting's light and colour as far as a face can take them and stay of its own skin.

    In CIELAB: lightness may change by `LIGHT`, hue by `HUE`, and chroma by a factor of `CHROMA` at most. What has
    hardly any colour, such as an old photo, has no hue to protect.

    Args:
        low_photo: HxWx3 low frequencies of the photo in 0..255.
        low_painted: those of the painting.
        care: 1 holds to these limits, 0 returns the painting's; in between, a linear mix.
    """
    if care == 0:
        return low_painted
    mine, wanted = (
        cv2.cvtColor(np.clip(low / np.float32(255), 0, 1), cv2.COLOR_RGB2LAB)
        for low in (low_photo, low_painted)
    )
    light = np.clip(wanted[..., 0], mine[..., 0] - LIGHT, mine[..., 0] + LIGHT)
    own, new = (lab[..., 1] + 1j * lab[..., 2] for lab in (mine, wanted))
    strength = np.abs(own)
    turn = np.clip(np.angle(new * own.conj()), -HUE, HUE)
    length = np.clip(np.abs(new), strength / CHROMA, strength * CHROMA)
    limited = own * np.exp(1j * turn) * (length / (strength + 1e-6))
    coloured = np.clip((strength - 4) / 6, 0, 1)
    chroma = new + coloured * (limited - new)
    seated = np.stack([light, chroma.real, chroma.imag], axis=-1).astype(np.float32)
    levels = 255 * cv2.cvtColor(seated, cv2.COLOR_LAB2RGB)
    return np.asarray(low_painted + care * (levels - low_painted), dtype=np.float32)


def keep_colour(picture: Image, photo: Image, share: Mask) -> None:
    """Give a picture the colour of the photo where `share` is 1, in place; it keeps its own light.

    Args:
        picture: HxWx3, a view is enough.
        photo: HxWx3.
        share: HxW in 0..1.
    """
    touched = np.flatnonzero(share.any(axis=1))
    if not len(touched):
        return
    for top, bottom in strips(int(touched[-1]) + 1):
        columns = np.flatnonzero(share[top:bottom].any(axis=0))
        if not len(columns):
            continue
        place = (slice(top, bottom), slice(int(columns[0]), int(columns[-1]) + 1))
        apart = photo[place].astype(np.float32) - picture[place]
        moved = picture[place] + share[place][..., None] * (apart - luma(apart)[..., None])
        picture[place] = np.clip(np.rint(moved), 0, 255)


def paint_weights(paint: float) -> tuple[float, float]:
    """Return how far colour and grain follow the painting; both rise from 0 to 1 with `paint`.

    >>> paint_weights(0.0), paint_weights(1.0)
    ((0.0, 0.0), (1.0, 1.0))
    """
    return 1 - (1 - paint) ** 3, paint


def _low_frequencies(image: Image, extent: float) -> FloatImage:
    """Return the picture blurred by a Gaussian of a sixth of `extent`, at a size where that is four pixels at most."""
    scale = min(1.0, SMALL_SIDE / max(image.shape[:2]), 24 / extent)
    return blur(shrink(image, scale), max(1.0, extent * scale / 6))


def _depth(mask: Mask, extent: float, shape: tuple[int, int]) -> Mask:
    """Return, at a reduced size, 1 deep inside of a mask, falling to 0 at its edge within a sixteenth of the face.

    What is kept in part only is as deep as what is kept whole: it is measured against the highest value nearby.
    """
    small = np.asarray(cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_AREA), dtype=np.float32)
    sigma = max(0.5, extent * shape[0] / mask.shape[0] / 16)
    window = np.ones((2 * round(2 * sigma) + 1,) * 2, np.uint8)
    highest = np.asarray(cv2.dilate(small, window), dtype=np.float32)
    depth = np.clip(2 * blur(small, sigma) / np.maximum(highest, 1e-3) - 1, 0, 1)
    return np.asarray(depth, dtype=np.float32)


def paste(painted: Image, kept: Image, mask: Mask) -> Image:
    """Return the painting with every pixel of `kept` where the mask is a half or more, as the paper does it."""
    return np.where((mask >= 0.5)[..., None], kept, painted)
