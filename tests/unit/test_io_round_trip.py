"""Laws of reading what was written: pixels, alpha, orientation and metadata in every format."""

import base64
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ExifTags, ImageOps
from PIL.PngImagePlugin import PngInfo

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


def test_other_bytes_of_the_exif_block_stay_as_the_camera_wrote_them() -> None:
    raw = full_exif(6)
    data = saved(PIL.Image.fromarray(slope()), "JPEG", exif=b"Exif\0\0" + raw)
    kept = read_picture(data).metadata.exif
    assert kept is not None
    different = [at for at, (old, new) in enumerate(zip(raw, kept, strict=True)) if old != new]
    assert len(different) == 1
    assert tags_of(Metadata(kept))[0][ExifTags.Base.Orientation] == 1


def exif_with_thumbnail(thumbnail: bytes, tail: bytes = b"", *, order: str = "<", number: int = 1) -> bytes:
    """Return a block of two directories: a LONG orientation of 6, then the thumbnail's offset and length."""
    first = struct.pack(order + "HHHLLL", 1, 0x0112, 4, 1, 6, 26)
    values = (2, 0x0201, 4, number, 56, 0x0202, 4, number, len(thumbnail), 0)
    second = struct.pack(order + "HHHLLHHLLL", *values)
    mark = b"II" if order == "<" else b"MM"
    return mark + struct.pack(order + "HL", 42, 8) + first + second + thumbnail + tail


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
    for raw in (b"rubbish", b"II*\0\xff\0\0\0", full_exif()[:40]):
        picture = read_picture(saved(PIL.Image.fromarray(slope()), "WEBP", exif=raw))
        assert picture.metadata.exif is None


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


def test_metadata_too_long_for_a_format_is_one_clear_line() -> None:
    source = Picture(slope(), None, "JPEG", Metadata(None, b"<" + b"x" * 70_000))
    with pytest.raises(OutputError, match="XMP data is too long; choose another format or drop the metadata"):
        encode_picture(source)
    assert encode_picture(source, metadata="strip")


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
