"""Name what the decoder hands over: a picture, its alpha and its metadata; no file is touched here."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sfumato.types import Image

Alpha: TypeAlias = NDArray[np.uint8]
"""HxW opacity, 0 is clear and 255 opaque; colours are not premultiplied."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a picture says about itself, fit for a picture that is upright and painted.

    Attributes:
        exif: a TIFF block that begins with its byte order; orientation 1, no thumbnail.
        xmp: an XMP packet; orientation 1, no thumbnail.
    """

    exif: bytes | None = None
    xmp: bytes | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """An upright sRGB picture and what came with it.

    Attributes:
        image: the colours.
        alpha: the opacity, or None where the source has none.
        format: "JPEG", "PNG", "WEBP", "TIFF", "AVIF" or "HEIF": what the source was, and so the
            default of the encoder; "PNG" for an array.
        metadata: EXIF and XMP, without ICC: the colours are sRGB by now.
    """

    image: Image
    alpha: Alpha | None = None
    format: str = "PNG"
    metadata: Metadata = Metadata()


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest picture that is decoded.

    Attributes:
        pixels: width times height, as the header says, before anything is decoded.
        bytes: size of the file.
    """

    pixels: int = 120_000_000
    bytes: int = 500_000_000


SMALLEST_SIDE = 16
"""Pixels below which there is nothing to paint."""


def shown(name: str | Path) -> str:
    r"""Return `name` fit for one line of text: what cannot be printed is escaped.

    >>> shown("a\nb.jpg")
    'a\\nb.jpg'
    """
    text = os.fspath(name)
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
