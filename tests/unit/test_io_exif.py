"""The EXIF block: kept byte for byte, but for orientation, thumbnail and what a format cannot hold."""

import struct
from io import BytesIO
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags

from sfumato.io import Metadata, Picture, encode_picture, read_picture
from sfumato.types import Image

EXACT = ("PNG", "TIFF")
LOSSY = ("JPEG", "WEBP", "AVIF", "HEIF")
FORMATS = EXACT + LOSSY


def slope(height: int = 48, width: int = 64) -> Image:
    """Return a smooth picture without any symmetry, which lossy formats hardly change."""
    y, x = np.mgrid[:height, :width]
    channels = (40 + 160 * x / width, 30 + 180 * y / height, 60 + 50 * x / width + 80 * y / height)
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def saved(image: PIL.Image.Image, format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def full_exif(orientation: int | None = None) -> bytes:
    exif = PIL.Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"
    exif[ExifTags.Base.Copyright] = "someone"
    if orientation is not None:
        exif[ExifTags.Base.Orientation] = orientation
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:05:06 07:08:09"
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (48.0, 51.0, 30.0), 3: "E", 4: (2.0, 17.0, 40.0)})
    return exif.tobytes().removeprefix(b"Exif\0\0")


def full_exif_bytes(orientation: int) -> bytes:
    return b"Exif\0\0" + full_exif(orientation)


def tags_of(metadata: Metadata) -> tuple[dict[int, Any], dict[int, Any], dict[int, Any]]:
    """Return the main, EXIF and GPS tags as Pillow reads them."""
    exif = PIL.Image.Exif()
    exif.load(metadata.exif or b"")
    return dict(exif), exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)


def exif_with_thumbnail(thumbnail: bytes, tail: bytes = b"", *, order: str = "<", number: int = 1) -> bytes:
    """Return a block of two directories: a LONG orientation of 6, then the thumbnail's offset and length."""
    first = struct.pack(order + "HHHLLL", 1, 0x0112, 4, 1, 6, 26)
    values = (2, 0x0201, 4, number, 56, 0x0202, 4, number, len(thumbnail), 0)
    second = struct.pack(order + "HHHLLHHLLL", *values)
    mark = b"II" if order == "<" else b"MM"
    return mark + struct.pack(order + "HL", 42, 8) + first + second + thumbnail + tail


def test_other_bytes_of_the_exif_block_stay_as_the_camera_wrote_them() -> None:
    raw = full_exif(6)
    data = saved(PIL.Image.fromarray(slope()), "JPEG", exif=b"Exif\0\0" + raw)
    kept = read_picture(data).metadata.exif
    assert kept is not None
    different = [at for at, (old, new) in enumerate(zip(raw, kept, strict=True)) if old != new]
    assert len(different) == 1
    assert tags_of(Metadata(kept))[0][ExifTags.Base.Orientation] == 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_thumbnail_of_the_original_is_dropped(order: str) -> None:
    thumbnail = saved(PIL.Image.fromarray(slope(16, 16)), "JPEG")
    data = saved(
        PIL.Image.fromarray(slope()), "JPEG", exif=b"Exif\0\0" + exif_with_thumbnail(thumbnail, order=order)
    )
    back = read_picture(data)
    assert back.image.shape == (64, 48, 3)
    assert (
        back.metadata.exif
        == exif_with_thumbnail(b"", order=order)[:22].replace(b"\6", b"\1")
        + bytes(4)
        + exif_with_thumbnail(thumbnail, order=order)[26:56]
    )
    assert thumbnail not in encode_picture(back)


def test_a_thumbnail_before_other_values_is_blanked_and_those_values_stay() -> None:
    raw = exif_with_thumbnail(b"face" * 9, b"tail")
    kept = read_picture(saved(PIL.Image.fromarray(slope()), "JPEG", exif=b"Exif\0\0" + raw)).metadata.exif
    assert kept is not None
    assert kept.endswith(bytes(36) + b"tail")


@pytest.mark.parametrize(
    "raw",
    [
        exif_with_thumbnail(b"face" * 9, number=7),
        exif_with_thumbnail(b"")[:30],
    ],
    ids=["a list of strips", "a cut second directory"],
)
def test_an_odd_thumbnail_directory_is_unlinked_and_nothing_else_changes(raw: bytes) -> None:
    kept = read_picture(saved(PIL.Image.fromarray(slope()), "JPEG", exif=b"Exif\0\0" + raw)).metadata.exif
    assert kept is not None
    assert kept[22:26] == bytes(4)
    assert kept[26:] == raw[26:]


damage = st.lists(
    st.tuples(st.integers(0, 10_000), st.sampled_from([0, 1, 2, 4, 5, 7, 12, 129, 255])), max_size=6
)


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(damage, st.integers(0, 300), st.sampled_from(FORMATS))
@settings(max_examples=60)
def test_no_exif_block_makes_a_good_picture_unreadable_or_unwritable(
    damage: list[tuple[int, int]], length: int, format: str
) -> None:
    raw = bytearray(full_exif(6))
    for place, value in damage:
        raw[place % len(raw)] = value
    picture = read_picture(saved(PIL.Image.fromarray(slope()), "PNG", exif=b"Exif\0\0" + raw[:length]))
    back = read_picture(encode_picture(picture, format=format))
    assert sorted(picture.image.shape[:2]) == [48, 64]
    assert back.image.shape == picture.image.shape


def test_a_directory_that_ends_without_a_link_is_kept() -> None:
    raw = exif_with_thumbnail(b"")[:22]
    picture = read_picture(saved(PIL.Image.fromarray(slope()), "WEBP", exif=raw))
    assert picture.image.shape == (64, 48, 3)
    assert picture.metadata.exif == raw.replace(b"\6", b"\1")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_broken_exif_block_is_left_out() -> None:
    for raw in (b"rubbish", b"II*\0\xff\0\0\0", b"II*\0\4\0\0\0" + full_exif()[8:], full_exif()[:40]):
        picture = read_picture(saved(PIL.Image.fromarray(slope()), "WEBP", exif=raw))
        assert picture.metadata.exif is None


@pytest.mark.parametrize("orientation", [None, 1])
def test_avif_keeps_the_values_of_the_exif_block_at_their_offsets(orientation: int | None) -> None:
    raw = full_exif(orientation)
    kept = read_picture(encode_picture(Picture(slope(), None, "AVIF", Metadata(raw)))).metadata.exif
    assert kept is not None
    assert len(kept) == len(raw)
    assert kept[120:] == raw[120:]
    assert tags_of(Metadata(kept))[1:] == tags_of(Metadata(raw))[1:]
    assert ExifTags.Base.Orientation not in tags_of(Metadata(kept))[0]


def test_a_tag_that_cannot_be_written_to_tiff_is_left_out_alone() -> None:
    exif = PIL.Image.Exif()
    exif.load(full_exif())
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[7] = (1.0, 2.0, 3.0)
    # The time of the fix, told as a text: Pillow reads this, and fails to write it.
    raw = (
        exif.tobytes()
        .removeprefix(b"Exif\0\0")
        .replace(struct.pack("<HHL", 7, 5, 3), struct.pack("<HHL", 7, 2, 24))
    )
    raw = raw.replace(struct.pack(">HHL", 7, 5, 3), struct.pack(">HHL", 7, 2, 24))
    back = read_picture(encode_picture(Picture(slope(), None, "TIFF", Metadata(raw))))
    assert tags_of(back.metadata)[2][1] == "N"
    assert 7 not in tags_of(back.metadata)[2]
    assert tags_of(back.metadata)[0][ExifTags.Base.Copyright] == "someone"


def test_a_layout_tag_of_a_camera_does_not_break_a_tiff() -> None:
    exif = PIL.Image.Exif()
    exif.load(full_exif())
    exif[ExifTags.Base.ImageWidth] = 4000
    exif[ExifTags.Base.PhotometricInterpretation] = 0
    raw = exif.tobytes().removeprefix(b"Exif\0\0")
    back = read_picture(encode_picture(Picture(slope(), None, "TIFF", Metadata(raw))))
    np.testing.assert_array_equal(back.image, slope())
