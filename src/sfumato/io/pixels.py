"""Turn a decoded picture into upright sRGB arrays, band by band, to save memory; no file is touched here."""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from sfumato.errors import InputError
from sfumato.io.colour import Conversion, conversion_to_srgb
from sfumato.io.picture import Alpha
from sfumato.types import Image

_Plane: TypeAlias = NDArray[np.uint8]

_BAND_PIXELS = 1_000_000
_GREY_16_BITS = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})
_COLOURS = {
    "1": "L",
    "L": "L",
    "LA": "L",
    "La": "L",
    "P": "RGB",
    "PA": "RGB",
    "RGB": "RGB",
    "RGBA": "RGB",
    "RGBa": "RGB",
    "RGBX": "RGB",
    "YCbCr": "RGB",
    "CMYK": "CMYK",
} | dict.fromkeys(_GREY_16_BITS, "L")
"""Kind of colours that each mode of Pillow holds, alpha aside; modes not listed are refused."""


def upright_srgb(image: PIL.Image.Image, orientation: int, name: str) -> tuple[Image, Alpha | None]:
    """Return new arrays of the colours and, where `image` has one, of the alpha.

    Samples of 16 bits are brought to 8 within one level.

    Raises:
        InputError: 32-bit samples, CMYK without a profile, or a mode that no picture file should have.
    """
    colours = _COLOURS.get(image.mode)
    if colours is None:
        raise InputError(f"{name} holds samples of kind {image.mode}; save it with 8 or 16 bits a channel")
    conversion = conversion_to_srgb(image.info.get("icc_profile"), colours)
    if colours == "CMYK" and conversion is None:
        raise InputError(f"{name} holds CMYK colours without an ICC profile; save it as RGB")
    width, height = image.size if orientation < 5 else image.size[::-1]
    upright = np.empty((height, width, 3), dtype=np.uint8)
    alpha = np.empty((height, width), dtype=np.uint8) if image.has_transparency_data else None
    for rows, band in _bands(image):
        layered = band if alpha is None else _with_alpha(band, colours)
        as_stored(upright, orientation)[rows] = _srgb(layered, colours, conversion)
        if alpha is not None:
            as_stored(alpha, orientation)[rows] = np.asarray(layered.getchannel("A"))
    return upright, alpha


def as_stored(upright: _Plane, orientation: int) -> _Plane:
    """Return a view of `upright` in the row and column order of a file with this EXIF orientation.

    EXIF 2.32 section 4.6.4: the value names where row 0 and column 0 of the file lie in the scene.
    """
    turned = upright.swapaxes(0, 1) if orientation >= 5 else upright
    rows = -1 if orientation in (3, 4, 6, 7) else 1
    columns = -1 if orientation in (2, 3, 7, 8) else 1
    return turned[::rows, ::columns]


def _bands(image: PIL.Image.Image) -> Iterator[tuple[slice, PIL.Image.Image]]:
    width, height = image.size
    step = max(1, _BAND_PIXELS // width)
    for top in range(0, height, step):
        bottom = min(top + step, height)
        band = image.crop((0, top, width, bottom))
        yield slice(top, bottom), _grey_8_bits(band) if band.mode in _GREY_16_BITS else band


def _grey_8_bits(band: PIL.Image.Image) -> PIL.Image.Image:
    """Return an "L" band, or "LA" where one level is declared clear."""
    levels = np.asarray(band)
    grey = PIL.Image.fromarray(((levels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8))
    clear = band.info.get("transparency")
    if clear is None:
        return grey
    return PIL.Image.merge(
        "LA", (grey, PIL.Image.fromarray(np.where(levels == clear, 0, 255).astype(np.uint8)))
    )


def _with_alpha(band: PIL.Image.Image, colours: str) -> PIL.Image.Image:
    mode = "LA" if colours == "L" else "RGBA"
    return band if band.mode == mode else band.convert(mode)


def _srgb(band: PIL.Image.Image, colours: str, conversion: Conversion | None) -> _Plane:
    """Return the colours of a band as rows x width x 3, or x 1 where they are grey."""
    plain = band if band.mode == colours else band.convert(colours)
    levels = np.asarray(plain if conversion is None else conversion(plain))
    return levels if levels.ndim == 3 else levels[..., None]
