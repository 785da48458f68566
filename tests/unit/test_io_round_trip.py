"""Laws of reading what was written: pixels, alpha and colours in every format, and all that is a source."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ExifTags

from sfumato.errors import OutputError, SettingsError
from sfumato.io import Metadata, Picture, encode_picture, format_of, picture_from, read_picture, write_picture
from sfumato.types import Image

EXACT = ("PNG", "TIFF")
LOSSY = ("JPEG", "WEBP", "AVIF", "HEIF")
FORMATS = EXACT + LOSSY
WITH_ALPHA = ("PNG", "TIFF", "WEBP", "AVIF", "HEIF")
SUFFIXES = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "TIFF": ".tif",
    "AVIF": ".avif",
    "HEIF": ".heic",
}
seeds = st.integers(0, 2**31)
sides = st.integers(16, 70)
orientations = st.integers(1, 8)


def noise(seed: int, height: int, width: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def slope(height: int = 48, width: int = 64) -> Image:
    """Return a smooth picture without any symmetry, which lossy formats hardly change."""
    y, x = np.mgrid[:height, :width]
    channels = (40 + 160 * x / width, 30 + 180 * y / height, 60 + 50 * x / width + 80 * y / height)
    return np.stack(channels, axis=-1).round().astype(np.uint8)


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


def xmp_packet(orientation: int = 1, more: str = "") -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{orientation}">'
        f"<tiff:Artist>Zoë</tiff:Artist>{more}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def tags_of(metadata: Metadata) -> tuple[dict[int, Any], dict[int, Any], dict[int, Any]]:
    """Return the main, EXIF and GPS tags as Pillow reads them."""
    exif = PIL.Image.Exif()
    exif.load(metadata.exif or b"")
    return dict(exif), exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)


def saved(image: PIL.Image.Image, format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@given(seeds, sides, sides, st.sampled_from(EXACT), st.booleans())
def test_png_and_tiff_give_back_every_level(
    seed: int, height: int, width: int, format: str, clear: bool
) -> None:
    image = noise(seed, height, width)
    alpha = noise(seed + 1, height, width)[..., 0].copy() if clear else None
    back = read_picture(encode_picture(Picture(image, alpha), format=format))
    np.testing.assert_array_equal(back.image, image)
    assert back.format == format
    if alpha is None:
        assert back.alpha is None
    else:
        np.testing.assert_array_equal(back.alpha, alpha)


@pytest.mark.parametrize("format", LOSSY)
def test_lossy_formats_give_back_a_smooth_picture_within_a_few_levels(format: str) -> None:
    back = read_picture(encode_picture(Picture(slope()), format=format))
    assert back.format == format
    assert back.image.shape == slope().shape
    # 4:2:0 of HEIC and WebP moves single pixels of the borders; JPEG and AVIF stay closer.
    assert np.abs(back.image.astype(int) - slope()).max() <= 8


def test_a_large_heic_has_no_seams_between_its_tiles() -> None:
    image = slope(530, 64)
    back = read_picture(encode_picture(Picture(image), format="HEIF"))
    errors = np.abs(back.image.astype(int) - image)
    assert errors.max() <= 8
    assert errors[505:520].mean() <= 2 * errors.mean()


@pytest.mark.parametrize("format", WITH_ALPHA)
def test_alpha_survives_where_the_format_has_it(format: str) -> None:
    alpha = np.zeros((48, 64), np.uint8)
    alpha[:, 32:] = 255
    back = read_picture(encode_picture(Picture(slope(), alpha), format=format))
    assert back.alpha is not None
    # Lossy coders ring at the step, hence the tolerance.
    np.testing.assert_allclose(back.alpha.astype(int), alpha, atol=0 if format in EXACT else 24)
    np.testing.assert_allclose(back.image[:, 40:].astype(int), slope()[:, 40:], atol=12)


def test_a_jpeg_lays_clear_pixels_on_white() -> None:
    alpha = np.zeros((48, 64), np.uint8)
    alpha[:, 32:] = 255
    back = read_picture(encode_picture(Picture(slope(), alpha), format="JPEG", quality=95))
    assert back.alpha is None
    assert back.image[:, :24].min() >= 250
    np.testing.assert_allclose(back.image[:, 40:].astype(int), slope()[:, 40:], atol=6)


@pytest.mark.parametrize("format", FORMATS)
def test_every_written_picture_carries_the_srgb_profile(format: str) -> None:
    data = encode_picture(Picture(slope()), format=format)
    if format == "HEIF":
        profile = pillow_heif.open_heif(BytesIO(data)).info["icc_profile"]
    else:
        with PIL.Image.open(BytesIO(data)) as opened:
            profile = opened.info["icc_profile"]
    assert b"acsp" in profile
    assert b"s\0R\0G\0B" in profile


@pytest.mark.parametrize("format", FORMATS)
def test_equal_pictures_give_equal_bytes(format: str) -> None:
    source = Picture(slope(), None, format, Metadata(full_exif(), xmp_packet()))
    assert encode_picture(source) == encode_picture(source)


def test_a_side_too_long_for_a_format_is_one_clear_line() -> None:
    with pytest.raises(OutputError, match="17000x16 pixels as WEBP"):
        encode_picture(Picture(np.zeros((16, 17_000, 3), np.uint8)), format="WEBP")


def test_an_unknown_format_or_quality_is_refused() -> None:
    with pytest.raises(OutputError, match="no encoder for GIF"):
        encode_picture(Picture(slope()), format="GIF")
    with pytest.raises(SettingsError, match="quality 101 is out of range; choose 1 to 100"):
        encode_picture(Picture(slope()), quality=101)


def test_a_higher_quality_is_closer_to_the_picture() -> None:
    image = noise(1, 64, 64)
    for format in LOSSY:
        errors = [
            np.abs(
                read_picture(encode_picture(Picture(image), format=format, quality=q)).image
                - image.astype(int)
            )
            for q in (30, 95)
        ]
        assert errors[1].mean() < errors[0].mean()


@pytest.mark.parametrize("format", FORMATS)
def test_the_suffix_names_the_format_of_a_file(format: str, tmp_path: Path) -> None:
    target = tmp_path / f"Ünïcode 画{SUFFIXES[format].upper()}"
    write_picture(Picture(slope()), target)
    assert read_picture(target).format == format == format_of(target)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encode_picture(Picture(slope()), format="PNG"))
    assert read_picture(path).format == "PNG"


def test_a_path_a_string_bytes_and_a_stream_read_the_same(tmp_path: Path) -> None:
    data = encode_picture(Picture(slope()))
    path = tmp_path / "a.png"
    path.write_bytes(data)
    for source in (path, str(path), data, BytesIO(data)):
        np.testing.assert_array_equal(picture_from(source).image, slope())


def test_the_library_takes_an_array_and_shares_its_memory() -> None:
    image = slope()
    picture = picture_from(image)
    assert picture.image is image
    assert (picture.alpha, picture.format, picture.metadata) == (None, "PNG", Metadata())
    assert picture_from(picture) is picture


def test_an_array_view_becomes_contiguous() -> None:
    view: NDArray[np.uint8] = slope()[::-1, ::2]
    picture = picture_from(view)
    assert picture.image.flags.c_contiguous
    np.testing.assert_array_equal(picture.image, view)


def test_a_pillow_image_is_turned_upright_and_left_as_it_was() -> None:
    image = PIL.Image.fromarray(slope())
    image.info["exif"] = full_exif_bytes(6)
    picture = picture_from(image)
    assert picture.image.shape == (64, 48, 3)
    assert picture.format == "PNG"
    assert image.size == (64, 48)
    np.testing.assert_array_equal(np.asarray(image), slope())
    assert image.info["exif"] == full_exif_bytes(6)


def test_a_pillow_image_from_a_file_keeps_its_format() -> None:
    with PIL.Image.open(BytesIO(saved(PIL.Image.fromarray(slope()), "WEBP"))) as image:
        assert picture_from(image).format == "WEBP"


def test_a_photo_with_a_second_picture_behind_it_is_read_as_its_first() -> None:
    first, second = PIL.Image.fromarray(slope()), PIL.Image.fromarray(slope()[::-1].copy())
    data = saved(first, "MPO", save_all=True, append_images=[second], quality=95)
    picture = read_picture(data)
    assert picture.format == "JPEG"
    assert np.abs(picture.image.astype(int) - slope()).max() <= 8
    with PIL.Image.open(BytesIO(data)) as image:
        assert image.format == "MPO"
        assert picture_from(image).format == "JPEG"
