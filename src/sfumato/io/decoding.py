"""Decode one picture file by its content, whole or not at all; no colour is converted here."""

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO, TypeAlias

import PIL.Image
from PIL.AvifImagePlugin import AvifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from sfumato.errors import InputError, PictureTooLargeError, UnsupportedFormatError
from sfumato.io.formats import HEAD_BYTES, sniff, sniff_refused
from sfumato.io.picture import SMALLEST_SIDE, Limits

_Open: TypeAlias = Callable[[BinaryIO], PIL.Image.Image]

PILLOW_ERRORS = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""What Pillow and its plugins raise on broken files and on what a format cannot hold."""

_NEW_SUBFILE_TYPE, _BITS, _COMPRESSION, _PHOTOMETRIC, _PLANES, _DNG = 254, 258, 259, 262, 284, 50706


class _TiffFile(TiffImageFile):
    """A TIFF file that is measured against `Limits` only, as the other formats are."""

    def load_prepare(self) -> None:
        """Make room for the pixels without Pillow's own, lower limit: `check_size` has passed by now."""
        self.im = PIL.Image.new(self.mode, self._tile_size).im
        super().load_prepare()


def _open_heif(stream: BinaryIO) -> PIL.Image.Image:
    from pi_heif import HeifImageFile

    image: PIL.Image.Image = HeifImageFile(stream)
    return image


_PLUGINS: Mapping[str, _Open] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "TIFF": _TiffFile,
    "AVIF": AvifImageFile,
    "HEIF": _open_heif,
}
"""Called directly, because Pillow's `open` applies its own limit of pixels and tries other formats."""


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into one line about `name`."""
    try:
        yield
    except PILLOW_ERRORS as error:
        raise InputError(f"{name} is truncated or damaged; get a whole copy of it") from error
    except MemoryError as error:
        raise PictureTooLargeError(f"{name} needs more memory than there is; scale it down") from error


def decode(stream: BinaryIO, limits: Limits, name: str) -> tuple[PIL.Image.Image, str]:
    """Return the loaded picture and its format.

    The content decides about the format, and the header about the size, before a pixel is decoded.

    Raises:
        InputError: not a picture, truncated, an animation, too small or too large.
    """
    image, format = _open_checked(stream, limits, name)
    with decoding(name):
        image.load()
    return image, format


def read_size(stream: BinaryIO, limits: Limits, name: str) -> tuple[int, int]:
    """Return (width, height) as the header says, after all checks that need no pixels.

    Raises:
        InputError: not a picture, damaged at its beginning, an animation, too small or too large.
    """
    return _open_checked(stream, limits, name)[0].size


def _open_checked(stream: BinaryIO, limits: Limits, name: str) -> tuple[PIL.Image.Image, str]:
    format = _format(stream, name)
    with decoding(name):
        image = _PLUGINS[format](stream)
        check_size(image.size, limits, name)
        _refuse_frames(image, format, name)
        if isinstance(image, TiffImageFile):
            _refuse_odd_tiff(image, name)
    return image, format


def check_size(size: tuple[int, int], limits: Limits, name: str) -> None:
    """Refuse a picture of (width, height) that has too few pixels to paint, or too many to hold.

    Raises:
        InputError: a side is below 16 pixels.
        PictureTooLargeError: there are more pixels than `limits` allow.
    """
    width, height = size
    if min(size) < SMALLEST_SIDE:
        raise InputError(
            f"{name} is only {width}x{height} pixels; use a picture of at least {SMALLEST_SIDE} pixels a side"
        )
    if width * height > limits.pixels:
        raise PictureTooLargeError(
            f"{name} has {width}x{height} pixels, over {limits.pixels / 1e6:g} megapixels; scale it down"
        )


def _format(stream: BinaryIO, name: str) -> str:
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    if format := sniff(head):
        return format
    if refused := sniff_refused(head):
        raise UnsupportedFormatError(f"{name} is a {refused} file; convert it to PNG or JPEG")
    raise UnsupportedFormatError(
        f"{name} is no JPEG, PNG, WebP, TIFF, AVIF or HEIC picture; convert it to one"
    )


def _refuse_frames(image: PIL.Image.Image, format: str, name: str) -> None:
    """Refuse animations and pages; a HEIC file may hold more pictures, of which the primary one is meant."""
    if format == "HEIF" or not getattr(image, "is_animated", False):
        return
    what = "several pages" if format == "TIFF" else "an animation"
    raise InputError(f"{name} holds {what}; save the one picture you mean to a file of its own")


def _refuse_odd_tiff(image: TiffImageFile, name: str) -> None:
    """Refuse what Pillow would decode to a thumbnail or to wrong levels without a word."""
    tags = image.tag_v2
    if tags.get(_NEW_SUBFILE_TYPE, 0) & 1 or _DNG in tags:
        raise InputError(f"{name} is a camera's raw file; develop it to JPEG or TIFF first")
    bits = max(tags.get(_BITS, (1,)))
    apart = bits == 16 and tags.get(_PLANES, 1) == 2 and tags.get(_COMPRESSION, 1) == 1
    grey = image.mode.startswith("I;16") and (bits != 16 or tags.get(_PHOTOMETRIC) == 0)
    if apart or grey:
        raise InputError(f"{name} is a TIFF of a rare layout; save it again as RGB of 8 or 16 bits")
