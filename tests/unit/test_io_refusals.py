"""Bad input: each is one line that names the thing, and never half a picture."""

import os
import re
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import (
    InputError,
    MissingInputError,
    OutputError,
    PictureTooLargeError,
    SfumatoError,
    UnsupportedFormatError,
)
from sfumato.io import (
    Limits,
    Picture,
    encode_picture,
    format_of,
    measure_picture,
    picture_from,
    read_mask,
    read_picture,
    read_touches,
)

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF")


@cache
def whole(format: str) -> bytes:
    y, x = np.mgrid[:64, :80]
    image = np.stack([3 * x, 3 * y, x + y], axis=-1).astype(np.uint8)
    return encode_picture(Picture(image), format=format)


def saved(image: PIL.Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def assert_one_line(error: SfumatoError) -> None:
    text = str(error)
    assert "\n" not in text
    assert "; " in text
    assert not text.endswith(".")
    assert len(text) < 600


@given(st.sampled_from(FORMATS), st.floats(0, 1, exclude_max=True))
@settings(max_examples=150)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_cut_file_is_refused_or_gives_the_whole_picture(format: str, part: float) -> None:
    data = whole(format)
    try:
        picture = read_picture(data[: int(part * len(data))])
    except InputError as error:
        assert_one_line(error)
    else:
        np.testing.assert_array_equal(picture.image, read_picture(data).image)


@given(st.sampled_from(FORMATS), st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255))))
@settings(max_examples=200)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_damaged_file_gives_a_picture_or_one_line(format: str, damage: list[tuple[float, int]]) -> None:
    data = bytearray(whole(format))
    for place, value in damage:
        data[int(place * len(data))] = value
    try:
        picture = read_picture(bytes(data), limits=Limits(pixels=1_000_000))
    except InputError as error:
        assert_one_line(error)
    else:
        assert picture.image.dtype == np.uint8
        assert picture.image.shape[2] == 3


@given(st.binary(max_size=200))
def test_noise_is_no_picture(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        read_picture(data)
    assert_one_line(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"^no such file: .*nothing\.jpg; check the path$"):
        read_picture(tmp_path / "nothing.jpg")


def test_a_name_with_a_line_break_stays_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError) as caught:
        read_picture(tmp_path / "two\nlines\udcff.jpg")
    assert_one_line(caught.value)
    assert r"two\nlines\udcff.jpg" in str(caught.value)


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder; name a picture file"):
        read_picture(tmp_path)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "file/below"])
def test_a_name_that_cannot_be_opened_is_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot open .*; check the path and its permissions$") as caught:
        read_picture(tmp_path / name)
    assert_one_line(caught.value)


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "empty.jpg"
    path.touch()
    with pytest.raises(InputError, match=r"empty\.jpg is empty; get a whole copy of it"):
        read_picture(path)
    with pytest.raises(InputError, match=r"^standard input is empty"):
        read_picture(b"", name="standard input")


def test_text_named_jpg_is_not_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    path.write_text("Dear diary, today I painted nothing at all, and the light was gone by four.")
    with pytest.raises(UnsupportedFormatError, match=r"notes\.jpg is no JPEG, PNG, WebP, TIFF, AVIF or HEIC"):
        read_picture(path)


@pytest.mark.parametrize("head", [b"\0\0\0\x18ftypisom\0\0\0\0mp41", b"RIFF\0\0\0\0AVI LIST"])
def test_a_video_is_not_a_picture(head: bytes) -> None:
    with pytest.raises(UnsupportedFormatError):
        read_picture(head + bytes(100))


@pytest.mark.parametrize("frames", [1, 3])
def test_a_gif_is_refused_by_name(frames: int) -> None:
    images = [PIL.Image.new("P", (32, 32), number) for number in range(frames)]
    data = saved(images[0], "GIF", save_all=True, append_images=images[1:])
    with pytest.raises(UnsupportedFormatError, match="is a GIF file; convert it to PNG or JPEG"):
        read_picture(data)


@pytest.mark.parametrize("format", ["WEBP", "PNG", "AVIF"])
def test_an_animation_is_refused(format: str) -> None:
    images = [PIL.Image.new("RGB", (32, 32), (80 * number, 0, 0)) for number in range(3)]
    data = saved(images[0], format, save_all=True, append_images=images[1:])
    with pytest.raises(
        InputError, match="holds an animation; save the one picture you mean to a file of its own"
    ):
        read_picture(data)


def test_a_tiff_of_several_pages_is_refused() -> None:
    images = [PIL.Image.new("RGB", (32, 32), (80 * number, 0, 0)) for number in range(3)]
    data = saved(images[0], "TIFF", save_all=True, append_images=images[1:])
    with pytest.raises(InputError, match="holds several pages; save the one picture"):
        read_picture(data)


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (400, 15)])
def test_a_picture_too_small_to_paint_is_refused(size: tuple[int, int]) -> None:
    image = PIL.Image.new("RGB", size)
    line = f"is only {size[0]}x{size[1]} pixels; use a picture of at least 16 pixels a side"
    for source in (saved(image, "PNG"), image, np.asarray(image)):
        with pytest.raises(InputError, match=line):
            picture_from(source)


def test_a_picture_of_16_pixels_is_enough() -> None:
    assert read_picture(saved(PIL.Image.new("RGB", (16, 16)), "PNG")).image.shape == (16, 16, 3)


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    data = b"IDAT" + zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk
        + struct.pack(">I", len(data) - 4)
        + data
        + struct.pack(">I", zlib.crc32(data))
    )


def jpeg_header(width: int, height: int) -> bytes:
    frame = struct.pack(">BHHB", 8, height, width, 3) + bytes((1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1))
    return (
        b"\xff\xd8\xff\xc0"
        + struct.pack(">H", len(frame) + 2)
        + frame
        + b"\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0?\0"
    )


def tiff_header(width: int, height: int) -> bytes:
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 200, 277: 1, 278: height, 279: 1000}
    entries = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(1200)


@pytest.mark.parametrize("header", [png_header, jpeg_header, tiff_header])
def test_a_header_of_40000_by_40000_is_refused_before_decoding(header: Callable[[int, int], bytes]) -> None:
    with pytest.raises(
        PictureTooLargeError, match="has 40000x40000 pixels, over 120 megapixels; scale it down"
    ):
        read_picture(header(40_000, 40_000))


READ_WITH_LITTLE_MEMORY = """
import resource, sys
from sfumato.errors import PictureTooLargeError
from sfumato.io import read_picture
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 50_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    read_picture(sys.stdin.buffer.read())
except PictureTooLargeError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits address space as Linux does")
def test_a_picture_that_does_not_fit_in_memory_is_one_line() -> None:
    # A process of its own: in this one, memory that earlier tests freed could be enough.
    command = [sys.executable, "-c", READ_WITH_LITTLE_MEMORY]
    done = subprocess.run(command, input=png_header(11_000, 10_000), capture_output=True, check=True)
    (line,) = done.stdout.decode().splitlines()
    assert "needs more memory than there is; scale it down" in line


@pytest.mark.parametrize("format", FORMATS)
def test_the_limit_of_pixels_is_exact_in_every_format(format: str) -> None:
    data = whole(format)
    assert read_picture(data, limits=Limits(pixels=64 * 80)).image.shape == (64, 80, 3)
    with pytest.raises(PictureTooLargeError):
        read_picture(data, limits=Limits(pixels=64 * 80 - 1))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "JPEG"])
def test_pillow_does_not_speak_about_pictures_within_the_limit(
    format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pillow warns above MAX_IMAGE_PIXELS and fails above its double; lowered here to keep the test small.
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 1000)
    monkeypatch.setattr("sfumato.io.pixels._BAND_PIXELS", 500)
    assert read_picture(whole(format)).image.shape == (64, 80, 3)
    assert PIL.Image.MAX_IMAGE_PIXELS == 1000


def test_the_limit_of_bytes_is_exact_for_files_bytes_and_streams(tmp_path: Path) -> None:
    data = whole("PNG")
    path = tmp_path / "a.png"
    path.write_bytes(data)
    for source in (path, data, BytesIO(data)):
        assert read_picture(source, limits=Limits(bytes=len(data))).format == "PNG"
    for source in (path, data, BytesIO(data)):
        with pytest.raises(PictureTooLargeError, match=r"is larger than the limit of 0\.0001 MB"):
            read_picture(source, limits=Limits(bytes=100))


def test_many_threads_may_read_at_once() -> None:
    with ThreadPoolExecutor(8) as threads:
        for format, picture in zip(
            FORMATS * 4, threads.map(read_picture, map(whole, FORMATS * 4)), strict=True
        ):
            np.testing.assert_array_equal(picture.image, read_picture(whole(format)).image)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(whole("PNG"),))
    writer.start()
    assert read_picture(pipe).image.shape == (64, 80, 3)
    writer.join()


def test_a_pillow_image_of_a_cut_file_is_refused() -> None:
    with (
        PIL.Image.open(BytesIO(whole("JPEG")[:-200])) as image,
        pytest.raises(InputError, match="is truncated or damaged; get a whole copy of it"),
    ):
        picture_from(image)


def test_a_mask_that_is_no_picture_is_refused() -> None:
    with pytest.raises(UnsupportedFormatError, match=r"^the mask is no JPEG"):
        read_mask(b"no mask at all", (32, 32))


def test_a_suffix_without_a_format_is_refused() -> None:
    with pytest.raises(OutputError, match=re.escape("no picture format for out.gif; end the name in .jpg")):
        format_of(Path("some/out.gif"))


def test_touches_without_transparency_are_refused() -> None:
    with pytest.raises(InputError, match="the picture of touches has no transparency; draw white and black"):
        read_touches(saved(PIL.Image.new("RGB", (32, 32))))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_size_is_read_without_decoding(format: str) -> None:
    data = saved(PIL.Image.new("RGB", (40, 24)), format)
    assert measure_picture(data) == (24, 40)
    with pytest.raises(PictureTooLargeError, match="the picture has 40x24 pixels"):
        measure_picture(data, limits=Limits(pixels=900))


def test_a_cut_file_still_tells_its_size() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = saved(PIL.Image.fromarray(noise))
    assert measure_picture(data[: len(data) // 2]) == (64, 64)
