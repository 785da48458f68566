"""Kinds of samples: bit depths, greys, palettes and alpha as files hold them, masks and labels."""

import struct
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sfumato.errors import InputError
from sfumato.io import encode_labels, picture_from, read_mask, read_picture, read_touches, write_labels

seeds = st.integers(0, 2**31)


def random(seed: int, *shape: int, kind: type[np.uint8] | type[np.uint16] = np.uint8) -> NDArray[Any]:
    return np.random.default_rng(seed).integers(0, np.iinfo(kind).max + 1, shape, dtype=kind)


def saved(image: PIL.Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def written_by_opencv(levels: NDArray[Any], suffix: str) -> bytes:
    done, data = cv2.imencode(
        suffix, levels if levels.ndim == 2 else levels[..., [2, 1, 0, 3][: levels.shape[2]]]
    )
    assert done
    return data.tobytes()


def plain_tiff(levels: NDArray[Any], *, order: Literal["<", ">"] = "<", **changes: int) -> bytes:
    """Return an uncompressed TIFF of one strip; `changes` overrides or adds tags by the name t<number>."""
    channels = 1 if levels.ndim == 2 else levels.shape[2]
    stored = levels.transpose(2, 0, 1) if changes.get("t284") == 2 else levels
    data = stored.astype(levels.dtype.newbyteorder(order)).tobytes()
    tags = {256: levels.shape[1], 257: levels.shape[0], 258: 8 * levels.itemsize, 259: 1}
    tags |= {262: 2 if channels == 3 else 1, 273: 0, 277: channels, 278: levels.shape[0], 279: len(data)}
    tags |= {int(name[1:]): value for name, value in changes.items()}
    parts = channels if tags.get(284) == 2 else 1
    lists = 8 + 2 + 12 * len(tags) + 4
    start = lists + 4 * 2 * parts
    entries, tail = b"", b""
    for tag, value in sorted(tags.items()):
        if tag in (273, 279) and parts > 1:
            size = len(data) // parts
            values = [start + size * part for part in range(parts)] if tag == 273 else [size] * parts
            entries += struct.pack(order + "HHLL", tag, 4, parts, lists + len(tail))
            tail += struct.pack(f"{order}{parts}L", *values)
        else:
            entries += struct.pack(order + "HHLL", tag, 4, 1, start if tag == 273 else value)
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HLH", 42, 8, len(tags))
    return (head + entries + bytes(4) + tail).ljust(start, b"\0") + data


@given(seeds, st.sampled_from((".png", ".tiff")), st.sampled_from((1, 3, 4)))
def test_samples_of_16_bits_become_the_nearest_of_8_within_a_level(
    seed: int, suffix: str, channels: int
) -> None:
    levels = random(seed, 20, 30, channels, kind=np.uint16)
    picture = read_picture(written_by_opencv(levels[..., 0] if channels == 1 else levels, suffix))
    colours = np.repeat(levels, 3, axis=-1) if channels == 1 else levels[..., :3]
    assert np.abs(picture.image - colours / 257).max() <= 1
    if channels == 4:
        assert picture.alpha is not None
        assert np.abs(picture.alpha - levels[..., 3] / 257).max() <= 1
    else:
        assert picture.alpha is None


@given(seeds, st.sampled_from("<>"), st.sampled_from((1, 3)), st.booleans())
def test_both_byte_orders_and_both_depths_of_plain_tiff_read_alike(
    seed: int, order: Literal["<", ">"], channels: int, deep: bool
) -> None:
    levels = random(seed, 20, 30, channels, kind=np.uint16 if deep else np.uint8)
    picture = read_picture(plain_tiff(levels[..., 0] if channels == 1 else levels, order=order))
    expected = np.broadcast_to(levels / (257 if deep else 1), (20, 30, 3))
    assert np.abs(picture.image - expected).max() <= (1 if deep else 0)


@given(seeds)
def test_planes_that_lie_apart_are_put_together(seed: int) -> None:
    levels = random(seed, 20, 30, 3)
    np.testing.assert_array_equal(read_picture(plain_tiff(levels, t284=2)).image, levels)


@given(seeds)
def test_greys_of_16_bits_are_rounded_not_cut(seed: int) -> None:
    levels = random(seed, 20, 30, kind=np.uint16)
    image = read_picture(saved(PIL.Image.fromarray(levels))).image
    np.testing.assert_array_equal(image, np.repeat(np.rint(levels / 257)[..., None], 3, axis=-1))


def test_a_clear_level_of_16_bit_grey_is_clear() -> None:
    levels = random(1, 20, 30, kind=np.uint16)
    levels[:10] = 4660
    picture = read_picture(saved(PIL.Image.fromarray(levels), transparency=4660))
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha == 0, levels == 4660)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "YCbCr"])
def test_every_mode_of_a_file_reads_as_its_colours(mode: str) -> None:
    source = PIL.Image.fromarray(random(2, 24, 32, 3)).convert("RGB" if mode == "PA" else mode)
    if mode == "PA":
        source = source.convert("P").convert("PA")
    if mode in ("LA", "PA", "RGBA"):
        source.putalpha(PIL.Image.fromarray(random(3, 24, 32)))
    picture = picture_from(source)
    np.testing.assert_array_equal(picture.image, np.asarray(source.convert("RGB")))
    if mode in ("LA", "PA", "RGBA"):
        np.testing.assert_array_equal(picture.alpha, np.asarray(source.getchannel("A")))
    else:
        assert picture.alpha is None


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_a_colour_that_a_png_declares_clear_is_clear(mode: str) -> None:
    levels = np.full((24, 32), 255, np.uint8)
    levels[:, 16:] = 0
    source = PIL.Image.fromarray(levels).convert("RGB").convert(mode)
    clear: Any = (0, 0, 0) if mode == "RGB" else source.getpixel((31, 0))
    picture = read_picture(saved(source, transparency=clear))
    assert picture.alpha is not None
    assert (picture.alpha[:, :16] == 255).all()
    assert (picture.alpha[:, 16:] == 0).all()


def test_a_palette_with_half_clear_colours_keeps_them() -> None:
    source = PIL.Image.fromarray((np.arange(24 * 32, dtype=np.uint8) % 4).reshape(24, 32))
    source = source.convert("P")
    source.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture = read_picture(saved(source, transparency=bytes([0, 64, 128, 255])))
    assert picture.alpha is not None
    assert picture.alpha[0, :4].tolist() == [0, 64, 128, 255]
    assert picture.image[0, 1].tolist() == [255, 0, 0]


@pytest.mark.parametrize("mode", ["F", "I", "LAB", "HSV"])
def test_samples_that_no_photo_has_are_refused(mode: str) -> None:
    source = PIL.Image.new(mode, (32, 32))
    with pytest.raises(
        InputError, match=f"the picture holds samples of kind {mode}; save it with 8 or 16 bits"
    ):
        picture_from(source)
    if mode != "HSV":
        with pytest.raises(InputError):
            read_picture(saved(source, "TIFF"))


@pytest.mark.parametrize(
    "data",
    [
        plain_tiff(random(4, 20, 30, 3, kind=np.uint16), t284=2),
        plain_tiff(random(4, 20, 30, kind=np.uint16), t262=0),
        plain_tiff(random(4, 20, 30, kind=np.uint16), t258=12),
    ],
    ids=["16-bit planes apart", "16-bit white is zero", "12 bits"],
)
def test_a_tiff_that_would_be_misread_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="is a TIFF of a rare layout; save it again as RGB of 8 or 16 bits"):
        read_picture(data)


@pytest.mark.parametrize(
    "data",
    [plain_tiff(random(5, 120, 160, 3), t254=1), plain_tiff(random(5, 120, 160, 3), t50706=1)],
    ids=["reduced picture first", "DNG"],
)
def test_the_raw_file_of_a_camera_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="is a camera's raw file; develop it to JPEG or TIFF first"):
        read_picture(data)


@given(seeds)
def test_a_mask_is_its_levels_over_255(seed: int) -> None:
    levels = random(seed, 20, 30)
    mask = read_mask(saved(PIL.Image.fromarray(levels)), (20, 30))
    assert mask.dtype == np.float32
    np.testing.assert_array_equal(mask, levels.astype(np.float32) / np.float32(255))


def test_a_mask_may_be_black_and_white_deep_coloured_or_clear() -> None:
    levels = random(6, 20, 30)
    white = np.full((20, 30, 3), 255, np.uint8)
    black_and_white = PIL.Image.fromarray(levels > 127)
    np.testing.assert_array_equal(read_mask(saved(black_and_white), (20, 30)), levels > 127)
    deep = PIL.Image.fromarray(levels.astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_mask(saved(deep)), levels / np.float32(255))
    clear = PIL.Image.fromarray(np.dstack([white, levels]))
    np.testing.assert_array_equal(read_mask(saved(clear), (20, 30)), levels / np.float32(255))
    green = PIL.Image.new("RGB", (30, 20), (0, 255, 0))
    np.testing.assert_allclose(read_mask(saved(green), (20, 30)), 0.587, atol=1 / 255)


def test_a_mask_of_another_size_is_refused_with_both_sizes(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(saved(PIL.Image.new("L", (40, 30))))
    line = "mask.png is 40x30, the picture is 50x60; scale the mask to 50x60"
    with pytest.raises(InputError, match=line):
        read_mask(path, (60, 50))
    with pytest.raises(InputError, match=r"^the mask is 40x30, the picture is 30x40"):
        read_mask(path.read_bytes(), (40, 30))


@given(st.integers(1, 40), st.integers(1, 40), seeds)
def test_labels_keep_their_ids(height: int, width: int, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 9, (height, width), dtype=np.uint8)
    with PIL.Image.open(BytesIO(encode_labels(labels))) as opened:
        assert opened.mode == "L"
        np.testing.assert_array_equal(np.asarray(opened), labels)


def test_labels_are_written_whole_and_over_nothing(tmp_path: Path) -> None:
    labels = np.arange(9, dtype=np.uint8).reshape(3, 3)
    write_labels(labels, tmp_path / "labels.png")
    with PIL.Image.open(tmp_path / "labels.png") as opened:
        np.testing.assert_array_equal(np.asarray(opened), labels)


def test_labels_of_another_shape_or_type_are_refused() -> None:
    with pytest.raises(InputError, match="make them HxW, uint8"):
        encode_labels(np.zeros((4, 4), np.int64))
    with pytest.raises(InputError, match="make them HxW, uint8"):
        encode_labels(np.zeros((4, 4, 1), np.uint8))


def test_touches_tell_what_to_keep_and_how_far() -> None:
    drawing = PIL.Image.new("RGBA", (32, 16))
    drawing.paste((255, 255, 255, 255), (0, 0, 8, 16))
    drawing.paste((0, 0, 0, 51), (8, 0, 16, 16))
    touches = read_touches(saved(drawing))
    assert (touches.keep[0, 0], touches.weight[0, 0]) == (1, 1)
    assert (touches.keep[0, 8], touches.weight[0, 8]) == (0, pytest.approx(0.2))
    assert touches.weight[:, 16:].max() == 0
