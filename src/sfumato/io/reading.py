"""Read pictures and masks from files, bytes, streams, arrays and Pillow images; nothing is written here."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from sfumato.errors import InputError, MissingInputError, PictureTooLargeError
from sfumato.io.decoding import check_size, decode, decoding, read_size
from sfumato.io.formats import FORMATS
from sfumato.io.metadata import exif_of, metadata_of, orientation_of
from sfumato.io.picture import Limits, Picture, shown
from sfumato.io.pixels import upright_srgb
from sfumato.types import Image, Mask, Touches

Source: TypeAlias = Path | str | bytes | BinaryIO
"""A path, the bytes of a file, or a stream that is read to its end."""

PictureSource: TypeAlias = Source | PIL.Image.Image | NDArray[Any] | Picture
"""All that the library takes for a picture."""

_LIMITS = Limits()


def read_picture(source: Source, *, limits: Limits = _LIMITS, name: str | None = None) -> Picture:
    """Decode a picture: upright, in sRGB, whole.

    Args:
        source: what to read; its content decides about the format, not its name.
        limits: what is refused before decoding.
        name: what messages call the source, by default its path or "the picture".

    Raises:
        MissingInputError: there is no such file.
        UnsupportedFormatError: the content is of no format that is read.
        PictureTooLargeError: a limit is exceeded.
        InputError: empty, truncated, animated, below 16 pixels, CMYK without a profile, 32-bit samples.
    """
    called = _called(source, name)
    with _opened(source, limits, called) as stream:
        image, format = decode(stream, limits, called)
        return _picture(image, format, called)


def picture_from(source: PictureSource, *, limits: Limits = _LIMITS, name: str | None = None) -> Picture:
    """Return what `read_picture` returns, also from a Pillow image, an HxWx3 uint8 array or a Picture.

    An array is taken as sRGB, and shared, not copied, where its memory is contiguous.

    Raises:
        InputError: as `read_picture`; an array of another shape or type, or one with NaN.
    """
    called = _called(source, name)
    if isinstance(source, Picture):
        return source
    if isinstance(source, np.ndarray):
        return Picture(_checked_array(source, limits, called))
    if isinstance(source, PIL.Image.Image):
        return _picture_of_pillow(source, limits, called)
    return read_picture(source, limits=limits, name=name)


def read_bytes(source: Source, *, limits: Limits = _LIMITS, name: str | None = None) -> bytes:
    """Return all bytes of a file or stream, so that what is decoded and what is hashed are the same.

    Raises:
        MissingInputError: there is no such file.
        PictureTooLargeError: it is larger than the limit.
        InputError: it is empty, a folder, or may not be read.
    """
    called = _called(source, name)
    with _opened(source, limits, called) as stream:
        return stream.read()


def read_mask(
    source: Source, shape: tuple[int, int] | None = None, *, limits: Limits = _LIMITS, name: str | None = None
) -> Mask:
    """Read a grey picture as weights: black is 0, white 1, what is clear 0; colours count by their luma.

    Args:
        source: what to read.
        shape: (height, width) of the upright picture that the mask is for; by default it is not compared.
        name: what messages call the source, by default its path or "the mask".

    Raises:
        InputError: as `read_picture`; a mask of another size.
    """
    called = _called(source, name, "the mask")
    mask = _drawing(source, limits, called)
    height, width = mask.image.shape[:2]
    if shape not in (None, (height, width)):
        size = "{1}x{0}".format(*shape)
        raise InputError(f"{called} is {width}x{height}, the picture is {size}; scale the mask to {size}")
    weights = _luma_weights(mask)
    return weights if mask.alpha is None else weights * _weights(mask.alpha)


def read_touches(source: Source, *, limits: Limits = _LIMITS, name: str | None = None) -> Touches:
    """Read what was drawn on a clear ground: white keeps the photo, black paints, what is clear changes nothing.

    Args:
        source: a picture with transparency, of the shape of the picture that it is for, at any size.

    Raises:
        InputError: as `read_picture`; a picture without transparency.
    """
    called = _called(source, name, "the picture of touches")
    drawn = _drawing(source, limits, called)
    if drawn.alpha is None:
        raise InputError(f"{called} has no transparency; draw white and black strokes on a clear ground")
    return Touches(_luma_weights(drawn), _weights(drawn.alpha))


def measure_picture(source: Source, *, limits: Limits = _LIMITS, name: str | None = None) -> tuple[int, int]:
    """Return (height, width) as the header of a file says, not turned upright; no pixel is decoded.

    Raises:
        InputError: as `read_picture`, as far as the header tells.
    """
    called = _called(source, name)
    with _opened(source, limits, called) as stream:
        width, height = read_size(stream, limits, called)
    return height, width


def _drawing(source: Source, limits: Limits, called: str) -> Picture:
    """Decode a picture whose levels mean themselves, whatever its colour profile."""
    with _opened(source, limits, called) as stream:
        image, format = decode(stream, limits, called)
        image.info.pop("icc_profile", None)
        return _picture(image, format, called)


def _luma_weights(picture: Picture) -> Mask:
    return _weights(np.asarray(PIL.Image.fromarray(picture.image).convert("L")))


def _weights(levels: NDArray[np.uint8]) -> Mask:
    return np.divide(levels, 255, dtype=np.float32)


def _called(source: object, name: str | None, nameless: str = "the picture") -> str:
    if name is not None:
        return shown(name)
    return shown(source) if isinstance(source, str | Path) else nameless


@contextmanager
def _opened(source: Source, limits: Limits, name: str) -> Iterator[BinaryIO]:
    """Open `source` as a stream that can seek and is neither empty nor too long."""
    if isinstance(source, str | Path):
        with _open_file(Path(source), name) as file:
            yield _checked_stream(file if file.seekable() else _buffered(file, limits), limits, name)
    elif isinstance(source, bytes):
        yield _checked_stream(BytesIO(source), limits, name)
    elif hasattr(source, "read"):
        yield _checked_stream(_buffered(source, limits), limits, name)
    else:
        kind = type(source).__name__
        raise InputError(f"no picture in {kind}; pass a path, bytes, an array or a Pillow image")


def _open_file(path: Path, name: str) -> BinaryIO:
    try:
        if path.is_dir():
            raise InputError(f"{name} is a folder; name a picture file")
        return path.open("rb")
    except FileNotFoundError as error:
        raise MissingInputError(f"no such file: {name}; check the path") from error
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise InputError(f"cannot open {name}: {reason}; check the path and its permissions") from error


def _buffered(stream: BinaryIO, limits: Limits) -> BinaryIO:
    """Read a stream to its end, or to the first byte beyond the limit."""
    return BytesIO(stream.read(limits.bytes + 1))


def _checked_stream(stream: BinaryIO, limits: Limits, name: str) -> BinaryIO:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    if size == 0:
        raise InputError(f"{name} is empty; get a whole copy of it")
    if size > limits.bytes:
        raise PictureTooLargeError(
            f"{name} is larger than the limit of {limits.bytes / 1e6:g} MB; compress it or scale it down"
        )
    return stream


def _picture_of_pillow(image: PIL.Image.Image, limits: Limits, name: str) -> Picture:
    check_size(image.size, limits, name)
    with decoding(name):
        image.load()
    format = {"MPO": "JPEG"}.get(image.format or "", image.format)
    return _picture(image, format if format in FORMATS else "PNG", name)


def _picture(image: PIL.Image.Image, format: str, name: str) -> Picture:
    with decoding(name):
        exif = exif_of(image)
        upright, alpha = upright_srgb(image, orientation_of(exif), name)
        xmp = image.info.get("xmp")
    return Picture(upright, alpha, format, metadata_of(exif, xmp if isinstance(xmp, bytes) else None))


def _checked_array(array: NDArray[Any], limits: Limits, name: str) -> Image:
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise InputError(f"{name} holds NaN; compute it again without")
    if array.dtype != np.uint8:
        raise InputError(f"{name} is an array of {array.dtype}; scale it to 0..255, round it, make it uint8")
    if array.ndim != 3 or array.shape[2] != 3:
        shape = "x".join(map(str, array.shape)) or "scalar"
        raise InputError(f"{name} is an array of shape {shape}; make it HxWx3, RGB")
    check_size((array.shape[1], array.shape[0]), limits, name)
    return np.ascontiguousarray(array)
