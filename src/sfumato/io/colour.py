"""Bring colours to sRGB by ICC profiles; no picture is decoded here."""

from collections.abc import Callable
from functools import cache
from io import BytesIO
from typing import TypeAlias

import numpy as np
import PIL.Image
from PIL import ImageCms

_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_CREATED = slice(24, 36)
"""Bytes of an ICC header that hold the time of creation, ICC.1:2022 section 7.2."""


Conversion: TypeAlias = Callable[[PIL.Image.Image], PIL.Image.Image]
"""Return a band of sRGB ("L" or "RGB") for a band of the mode that the conversion was made for."""


@cache
def srgb_profile() -> bytes:
    """Return the profile that every written picture carries; the same bytes on every day."""
    profile = bytearray(_srgb().tobytes())
    profile[_CREATED] = bytes(12)
    return bytes(profile)


def conversion_to_srgb(icc: bytes | None, mode: str) -> Conversion | None:
    """Return the way from `mode` ("L", "RGB" or "CMYK") to sRGB, or None where there is nothing to do.

    There is nothing to do without a profile, with a broken one, with one of another kind of colours,
    and with one that moves no colour by more than a level: that is sRGB under another name.
    The intent is relative colorimetric with black point compensation.
    """
    if not icc:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(icc))
        source = _MODES.get(profile.profile.xcolor_space)
        if source is None or not _fits(source, mode):
            return None
        transform = _transform(profile, source)
    except (OSError, ImageCms.PyCMSError):
        return None
    if source == "L":
        return _grey_curve(transform)
    if source == "RGB" and _moves_nothing(transform):
        return None
    return lambda band: transform.apply(band if band.mode == source else band.convert(source))


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _fits(source: str, mode: str) -> bool:
    """Say whether a profile of `source` colours can speak for `mode`; grey is also a kind of RGB."""
    return source == mode or (mode == "L" and source == "RGB")


def _transform(profile: ImageCms.ImageCmsProfile, source: str) -> ImageCms.ImageCmsTransform:
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    if source == "L":
        # Little CMS would lay 33 knots through a grey curve, which is up to 10 levels off near black.
        flags |= ImageCms.Flags.NOOPTIMIZE
    return ImageCms.buildTransform(
        profile, _srgb(), source, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC, flags
    )


def _grey_curve(transform: ImageCms.ImageCmsTransform) -> Conversion:
    """Return the conversion of greys as a table, so that the slow exact transform sees 256 pixels only."""
    ramp = PIL.Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    table = np.asarray(transform.apply(ramp))[0, :, 1].tolist()
    return lambda band: band.point(table)


def _moves_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Say whether every colour of a lattice of 9x9x9 keeps its place within a level."""
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    lattice = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
    converted = np.asarray(transform.apply(PIL.Image.fromarray(lattice)))
    return bool(np.abs(converted.astype(np.int16) - lattice).max() <= 1)
