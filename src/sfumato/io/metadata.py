"""Keep what a picture says about itself, but for orientation and thumbnails; no pixel is touched here.

EXIF blocks are patched in place, so that every other byte, makers' notes with their absolute offsets
included, stays as the camera wrote it.
"""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

import PIL.Image
from PIL import ExifTags

from sfumato.io.decoding import PILLOW_ERRORS
from sfumato.io.picture import Metadata

_PREFIX = b"Exif\0\0"
_ORIENTATION = ExifTags.Base.Orientation
_SOFTWARE = ExifTags.Base.Software
_XMP_TAG = 700
_GROUPS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
_DESCRIPTIVE_TAGS = frozenset(
    {
        ExifTags.Base.ImageDescription,
        ExifTags.Base.Make,
        ExifTags.Base.Model,
        ExifTags.Base.XResolution,
        ExifTags.Base.YResolution,
        ExifTags.Base.ResolutionUnit,
        ExifTags.Base.Software,
        ExifTags.Base.DateTime,
        ExifTags.Base.Artist,
        ExifTags.Base.HostComputer,
        ExifTags.Base.Rating,
        ExifTags.Base.Copyright,
        ExifTags.Base.XPTitle,
        ExifTags.Base.XPComment,
        ExifTags.Base.XPAuthor,
        ExifTags.Base.XPKeywords,
        ExifTags.Base.XPSubject,
    }
)
"""Tags of a TIFF file that speak about the scene; the others say how its pixels are laid out."""

_THUMBNAIL_RANGES = ((0x0201, 0x0202), (0x0111, 0x0117))
"""Tags (offset, length) of a JPEG and of an uncompressed thumbnail, EXIF 2.32 section 4.5.5."""

_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|>)\s*)[0-9]+")
_XMP_THUMBNAILS = tuple((b"<%b:Thumbnails" % name, b"</%b:Thumbnails>" % name) for name in (b"xmp", b"xap"))
"""How a list of thumbnails begins and ends."""

_TEXT = 2
"""Kind of a value of EXIF that is ASCII text, TIFF 6.0 section 2."""


class _Entry(NamedTuple):
    """One tag of a directory; `at` is where in the block its value, or the offset of its values, lies."""

    tag: int
    kind: int
    number: int
    at: int


def metadata_of(exif: bytes | None, xmp: bytes | None) -> Metadata:
    """Return the metadata that fit the upright, painted picture; what is broken is left out."""
    return Metadata(exif=_upright_exif(exif) if exif else None, xmp=_upright_xmp(xmp) if xmp else None)


def exif_of(image: PIL.Image.Image) -> bytes | None:
    """Return the EXIF block of a loaded picture as it stands, orientation and all."""
    exif = image.info.get("exif")
    if isinstance(exif, bytes):
        return exif.removeprefix(_PREFIX) or None
    profile = image.info.get("Raw profile type exif")
    if isinstance(profile, str):
        return _unhex(profile)
    if image.format == "TIFF":
        return _descriptive_exif(image.getexif()).tobytes().removeprefix(_PREFIX)
    return None


def orientation_of(exif: bytes | None) -> int:
    """Return the EXIF orientation, 1..8; 1 where none or nonsense is said."""
    if not exif:
        return 1
    try:
        order, first = _header(exif)
        for entry in _entries(exif, order, first):
            if entry.tag == _ORIENTATION:
                value = _value(exif, order, entry)
                return value if value in range(1, 9) else 1
    except struct.error:
        return 1
    return 1


def tiff_exif(metadata: Metadata) -> bytes:
    """Return the metadata as a block of tags for a TIFF file, without those that describe a layout of pixels."""
    source = PIL.Image.Exif()
    source.load(metadata.exif or b"")
    tags = _descriptive_exif(source)
    if metadata.xmp:
        tags[_XMP_TAG] = metadata.xmp
    return tags.tobytes()


def without_orientation(exif: bytes) -> bytes:
    """Return the block without its orientation tag; every value stays at its offset."""
    if not exif:
        return exif
    block = bytearray(exif)
    order, first = _header(exif)
    entries = list(_entries(exif, order, first))
    for number, entry in enumerate(entries):
        if entry.tag == _ORIENTATION:
            end = first + 2 + 12 * len(entries) + 4
            start = first + 2 + 12 * number
            block[start:end] = block[start + 12 : end] + bytes(12)
            struct.pack_into(order + "H", block, first, len(entries) - 1)
            break
    return bytes(block)


def with_software(exif: bytes, software: str) -> bytes:
    """Return the block with its Software tag set; a broken block as it is.

    The first directory, which may grow, is written anew at the end, so that every value stays at its offset.
    """
    try:
        order, first = _header(exif)
        held = list(_entries(exif, order, first))
    except struct.error:
        return exif
    end = first + 2 + 12 * len(held)
    block = exif + bytes(len(exif) % 2)
    text = software.encode("ascii") + b"\0"
    entry = struct.pack(order + "HHLL", _SOFTWARE, _TEXT, len(text), len(block))
    block += text + bytes(len(text) % 2)
    entries = {old.tag: exif[old.at - 8 : old.at + 4] for old in held} | {_SOFTWARE: entry}
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries))
    first_directory = struct.pack(order + "L", len(block))
    return block[:4] + first_directory + block[8:] + directory + exif[end : end + 4].ljust(4, b"\0")


def _descriptive_exif(source: PIL.Image.Exif) -> PIL.Image.Exif:
    """Return what speaks about the scene, as far as Pillow can write it."""
    tags = PIL.Image.Exif()
    for tag, value in source.items():
        if tag in _DESCRIPTIVE_TAGS and _can_write(tag, value, None):
            tags[tag] = value
    for group in _GROUPS:
        for tag, value in source.get_ifd(group).items():
            # The interoperability directory is an offset into the source, so it cannot be copied.
            if tag != ExifTags.IFD.Interop and _can_write(tag, value, group):
                tags.get_ifd(group)[tag] = value
    return tags


def _can_write(tag: int, value: object, group: int | None) -> bool:
    probe = PIL.Image.Exif()
    (probe if group is None else probe.get_ifd(group))[tag] = value
    try:
        probe.tobytes()
    except PILLOW_ERRORS:
        return False
    return True


def _unhex(profile: str) -> bytes | None:
    """Decode the text chunk in which ImageMagick keeps EXIF: a name, a length, then hex digits."""
    try:
        return bytes.fromhex("".join(profile.split("\n")[3:])).removeprefix(_PREFIX) or None
    except ValueError:
        return None


def _upright_exif(exif: bytes) -> bytes | None:
    block = bytearray(exif)
    try:
        order, first = _header(exif)
        entries = list(_entries(exif, order, first))
    except struct.error:
        return None
    for entry in entries:
        if entry.tag == _ORIENTATION:
            struct.pack_into(order + ("L" if entry.kind == 4 else "H"), block, entry.at, 1)
    link = first + 2 + 12 * len(entries)
    if len(block) >= link + 4:
        _cut_thumbnail(block, order, link)
    return bytes(block)


def _cut_thumbnail(block: bytearray, order: str, link: int) -> None:
    """Unlink the second directory, which speaks of the thumbnail, and blank the thumbnail that follows it."""
    (second,) = struct.unpack_from(order + "L", block, link)
    struct.pack_into(order + "L", block, link, 0)
    try:
        entries = [entry for entry in _entries(block, order, second) if entry.number == 1] if second else []
    except struct.error:
        return
    values = {entry.tag: _value(block, order, entry) for entry in entries}
    for offset, length in _THUMBNAIL_RANGES:
        start = values.get(offset, 0)
        stop = start + values.get(length, 0)
        if max(second, link) < start < stop < len(block):
            block[start:stop] = bytes(stop - start)
        elif max(second, link) < start < stop:
            del block[start:]


def _header(exif: bytes) -> tuple[str, int]:
    """Return the byte order and the place of the first directory, TIFF 6.0 section 2."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        raise struct.error("no TIFF header")
    (first,) = struct.unpack_from(order + "L", exif, 4)
    if first < 8:
        raise struct.error("the directory lies in the header")
    return order, first


def _entries(block: bytes | bytearray, order: str, directory: int) -> Iterator[_Entry]:
    (count,) = struct.unpack_from(order + "H", block, directory)
    for at in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind, number, _ = struct.unpack_from(order + "HHLL", block, at)
        yield _Entry(tag, kind, number, at + 8)


def _value(block: bytes | bytearray, order: str, entry: _Entry) -> int:
    """Return the first number of a SHORT or LONG value that lies in the entry itself."""
    value: int = struct.unpack_from(order + ("L" if entry.kind == 4 else "H"), block, entry.at)[0]
    return value


def _upright_xmp(xmp: bytes) -> bytes | None:
    """Return the packet, or None if it is not UTF-8, as XMP part 3 wants it in every format."""
    try:
        xmp.decode("utf-8")
    except UnicodeDecodeError:
        return None
    for begin, end in _XMP_THUMBNAILS:
        xmp = _cut_all(xmp, begin, end)
    return _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def _cut_all(text: bytes, begin: bytes, end: bytes) -> bytes:
    """Return the text without what stands from each `begin` to the next `end`; each byte is looked at once."""
    kept, at = [], 0
    while (start := text.find(begin, at)) >= 0 and (stop := text.find(end, start)) >= 0:
        kept.append(text[at:start])
        at = stop + len(end)
    return b"".join((*kept, text[at:]))
