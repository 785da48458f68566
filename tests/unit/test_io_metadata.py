"""Orientation is applied once; EXIF, GPS and XMP are kept or stripped, in every format."""

import base64
from io import BytesIO
from typing import Any

import numpy as np
import PIL.Image
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, ImageOps
from PIL.PngImagePlugin import PngInfo

from sfumato.errors import OutputError
from sfumato.io import Metadata, Picture, encode_picture, read_picture
from sfumato.types import Image

EXACT = ("PNG", "TIFF")
LOSSY = ("JPEG", "WEBP", "AVIF", "HEIF")
FORMATS = EXACT + LOSSY
seeds = st.integers(0, 2**31)
sides = st.integers(16, 70)
orientations = st.integers(1, 8)


def slope(height: int = 48, width: int = 64) -> Image:
    """Return a smooth picture without any symmetry, which lossy formats hardly change."""
    y, x = np.mgrid[:height, :width]
    channels = (40 + 160 * x / width, 30 + 180 * y / height, 60 + 50 * x / width + 80 * y / height)
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def noise(seed: int, height: int, width: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


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


def xmp_packet(orientation: int = 1, more: str = "") -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{orientation}">'
        f"<tiff:Artist>Zoë</tiff:Artist>{more}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


@given(seeds, sides, sides, orientations, st.sampled_from(("PNG", "TIFF")))
def test_orientation_is_applied_as_an_independent_reader_does(
    seed: int, height: int, width: int, orientation: int, format: str
) -> None:
    stored = PIL.Image.fromarray(noise(seed, height, width))
    exif = PIL.Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = saved(stored, format, exif=exif)
    with PIL.Image.open(BytesIO(data)) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened))
    np.testing.assert_array_equal(read_picture(data).image, expected)


@given(orientations, st.sampled_from(FORMATS))
@settings(max_examples=48)
def test_orientation_is_applied_once_and_never_again(orientation: int, format: str) -> None:
    stored = PIL.Image.fromarray(slope())
    stored.info["exif"] = full_exif_bytes(orientation)
    upright = np.asarray(ImageOps.exif_transpose(stored)).astype(int)
    once = read_picture(stored_bytes(stored, format, orientation))
    twice = read_picture(encode_picture(once, format=format, quality=95))
    for picture in (once, twice):
        assert picture.image.shape == upright.shape
        # Loss of the coders; a turned or mirrored slope differs by more than 50 levels.
        assert np.abs(picture.image.astype(int) - upright).max() <= 16
        assert tags_of(picture.metadata)[0].get(ExifTags.Base.Orientation, 1) == 1


def stored_bytes(stored: PIL.Image.Image, format: str, orientation: int) -> bytes:
    """Return a file whose pixels lie as in `stored` and whose metadata tell the orientation."""
    pillow_heif.register_heif_opener()
    if format in EXACT:
        return saved(stored, format, exif=full_exif_bytes(orientation))
    return saved(stored, format, exif=full_exif_bytes(orientation), quality=95)


def test_an_orientation_out_of_range_counts_as_upright() -> None:
    data = saved(PIL.Image.fromarray(slope()), "PNG", exif=full_exif(9))
    assert read_picture(data).image.shape == slope().shape


def test_exif_that_imagemagick_hid_in_a_text_chunk_turns_the_picture() -> None:
    texts = PngInfo()
    raw = (b"Exif\0\0" + full_exif(6)).hex()
    texts.add_text("Raw profile type exif", f"\nexif\n{len(raw) // 2:8}\n{raw}\n")
    picture = read_picture(saved(PIL.Image.fromarray(slope()), "PNG", pnginfo=texts))
    assert picture.image.shape == (64, 48, 3)
    assert tags_of(picture.metadata)[2][1] == "N"


def test_a_text_chunk_without_hex_digits_is_no_exif() -> None:
    texts = PngInfo()
    texts.add_text("Raw profile type exif", "\nexif\n4\nnot hex\n")
    assert read_picture(saved(PIL.Image.fromarray(slope()), "PNG", pnginfo=texts)).metadata.exif is None


@pytest.mark.parametrize("format", FORMATS)
def test_metadata_is_kept_in_every_format(format: str) -> None:
    source = Picture(slope(), None, format, Metadata(full_exif(), xmp_packet()))
    back = read_picture(encode_picture(source))
    main, exif, gps = tags_of(back.metadata)
    assert main[ExifTags.Base.Copyright] == "someone"
    assert exif[ExifTags.Base.DateTimeOriginal] == "2024:05:06 07:08:09"
    assert (gps[1], gps[2]) == ("N", (48.0, 51.0, 30.0))
    assert back.metadata.xmp is not None
    assert "Zoë".encode() in back.metadata.xmp


@pytest.mark.parametrize("format", FORMATS)
def test_metadata_is_stripped_in_every_format(format: str) -> None:
    source = Picture(slope(), None, format, Metadata(full_exif(), xmp_packet()))
    data = encode_picture(source, metadata="strip")
    assert b"someone" not in data
    assert b"Artist" not in data
    main, exif, gps = tags_of(read_picture(data).metadata)
    assert ExifTags.Base.Copyright not in main
    assert not exif
    assert not gps


def test_metadata_too_long_for_a_format_is_one_clear_line() -> None:
    source = Picture(slope(), None, "JPEG", Metadata(None, b"<" + b"x" * 70_000))
    with pytest.raises(OutputError, match="XMP data is too long; choose another format or drop the metadata"):
        encode_picture(source)
    assert encode_picture(source, metadata="strip")


@pytest.mark.parametrize("form", ['tiff:Orientation="6"', "tiff:Orientation = '6'"])
def test_xmp_says_upright_after_the_picture_was_turned(form: str) -> None:
    xmp = xmp_packet(6).replace(b'tiff:Orientation="6"', form.encode())
    picture = read_picture(saved(PIL.Image.fromarray(slope()), "JPEG", exif=full_exif_bytes(6), xmp=xmp))
    assert picture.image.shape == (64, 48, 3)
    assert picture.metadata.xmp == xmp.replace(b"6", b"1", 1)


def test_xmp_that_is_not_utf_8_is_left_out() -> None:
    data = saved(PIL.Image.fromarray(slope()), "WEBP", xmp=xmp_packet().replace(b"Zo", b"\xff"))
    assert read_picture(data).metadata.xmp is None


def test_the_thumbnail_in_xmp_is_dropped() -> None:
    hidden = base64.b64encode(b"the face").decode()
    more = f"<xmp:Thumbnails>\n<rdf:Alt>{hidden}</rdf:Alt>\n</xmp:Thumbnails><tiff:Make>M</tiff:Make>"
    xmp = read_picture(saved(PIL.Image.fromarray(slope()), "JPEG", xmp=xmp_packet(more=more))).metadata.xmp
    assert xmp == xmp_packet(more="<tiff:Make>M</tiff:Make>")
