"""Bad input: each is one line on standard error and its exit code, and leaves nothing behind."""

import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tests.apps.conftest import Cli, Save, colours


def huge_header() -> bytes:
    """Return a PNG that claims to be 40,000x40,000 and holds nothing."""
    body = b"IHDR" + struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


def test_a_missing_file(cli: Cli, tmp_path: Path) -> None:
    assert "gone.jpg" in cli("stylize", tmp_path / "gone.jpg").refused_with(3)


def test_a_name_that_no_system_holds(cli: Cli, tmp_path: Path) -> None:
    assert "xxx.jpg" in cli("stylize", tmp_path / ("x" * 300 + ".jpg")).refused_with(3)


def test_a_folder_without_pictures(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    assert "no pictures" in cli("stylize", tmp_path).refused_with(3)


def test_an_empty_file(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert "empty" in cli("stylize", tmp_path / "a.jpg").refused_with(3)


def test_empty_standard_input(cli: Cli) -> None:
    ran = cli("stylize", "-", stdin=b"")
    assert "empty" in ran.refused_with(3)
    assert ran.out == b""


def test_a_truncated_file(cli: Cli, save: Save, tmp_path: Path) -> None:
    whole = save("whole.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    assert "half.jpg" in cli("stylize", tmp_path / "half.jpg").refused_with(3)
    assert not (tmp_path / "half.painted.jpg").exists()


def test_text_that_is_named_jpg(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("dear diary")
    assert "a.jpg" in cli("stylize", tmp_path / "a.jpg").refused_with(3)


def test_a_single_pixel(cli: Cli, save: Save) -> None:
    assert "1x1" in cli("stylize", save("dot.png", colours(1, 1))).refused_with(3)


def test_a_decompression_bomb(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(huge_header())
    assert "bomb.png" in cli("stylize", tmp_path / "bomb.png").refused_with(3)


def test_an_animated_gif(cli: Cli, tmp_path: Path) -> None:
    frames = [PIL.Image.fromarray(colours(seed=k)) for k in range(2)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert "GIF" in cli("stylize", tmp_path / "a.gif").refused_with(3)


def test_cmyk_without_a_profile(cli: Cli, tmp_path: Path) -> None:
    PIL.Image.fromarray(colours()).convert("CMYK").save(tmp_path / "print.jpg")
    assert "CMYK" in cli("stylize", tmp_path / "print.jpg").refused_with(3)


def test_an_unknown_style_suggests_the_nearest(cli: Cli, save: Save) -> None:
    assert "'monet'" in cli("stylize", save("a.png"), "--style", "money").refused_with(2)


def test_an_unknown_part_suggests_the_nearest(cli: Cli, save: Save) -> None:
    assert "'lips'" in cli("stylize", save("a.png"), "--preserve", "lip").refused_with(2)


@pytest.mark.parametrize("option", ["--restore", "--paint", "--feather"])
@pytest.mark.parametrize("value", ["-1", "11", "nan", "much"])
def test_a_strength_out_of_range(cli: Cli, save: Save, option: str, value: str) -> None:
    assert option.strip("-") in cli("stylize", save("a.png"), option, value).refused_with(2)


def test_a_face_that_is_not_there(cli: Cli, save: Save) -> None:
    assert "face 3" in cli("stylize", save("a.png"), "--faces", "3").refused_with(2)


def test_a_mask_of_another_size(cli: Cli, save: Save) -> None:
    mask = save("mask.png", np.zeros((10, 20, 3), np.uint8))
    assert "20x10" in cli("stylize", save("a.png"), "--mask", mask).refused_with(3)


def test_a_missing_mask(cli: Cli, save: Save, tmp_path: Path) -> None:
    assert "gone.png" in cli("stylize", save("a.png"), "--mask", tmp_path / "gone.png").refused_with(3)


@pytest.mark.parametrize("name", ["out.xyz", "out", "out.gif"])
def test_a_result_of_no_known_format(cli: Cli, save: Save, tmp_path: Path, name: str) -> None:
    cli("stylize", save("a.png"), "-o", tmp_path / name).refused_with(4)
    assert not (tmp_path / name).exists()


def test_a_result_that_exists(cli: Cli, save: Save) -> None:
    target = save("b.png")
    before = target.read_bytes()
    assert "--overwrite" in cli("stylize", save("a.png"), "-o", target).refused_with(4)
    assert target.read_bytes() == before


def test_a_folder_that_is_a_file(cli: Cli, save: Save) -> None:
    source = save("a.png")
    assert "a.png" in cli("stylize", source, "-o", source / "out.png").refused_with(4)


def test_a_place_that_may_not_be_written(cli: Cli, save: Save) -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("needs a folder that not even root may write to")
    assert "/proc/self" in cli("stylize", save("a.png"), "-o", "/proc/self/out.png").refused_with(4)


def test_json_and_a_picture_cannot_share_standard_output(cli: Cli, save: Save) -> None:
    ran = cli("stylize", save("a.png"), "-o", "-", "--json")
    ran.refused_with(2)
    assert ran.out == b""


@pytest.mark.parametrize(
    "arguments",
    [
        ("stylize",),
        ("stylise", "a.png"),
        ("stylize", "a.png", "--shiny"),
        ("stylize", "a.png", "--device", "tpu"),
        ("detect",),
    ],
    ids=" ".join,
)
def test_a_command_that_is_not_understood(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert "--help" in cli(*arguments).refused_with(2)
