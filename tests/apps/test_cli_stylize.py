"""`sfumato stylize` on pictures that can be painted."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tests.apps.conftest import Cli, Save, colours, read


def test_a_painting_lies_beside_its_photo(cli: Cli, save: Save, tmp_path: Path) -> None:
    source = save("portrait.png")
    ran = cli("stylize", source)
    assert (ran.code, ran.err) == (0, "")
    assert read(tmp_path / "portrait.painted.png").shape == (96, 80, 3)
    assert "portrait.painted.png (1 face," in ran.text


def test_a_photo_without_a_face_is_painted_whole(cli: Cli, save: Save, tmp_path: Path) -> None:
    grey = np.full((40, 50, 3), 100, np.uint8)
    ran = cli("stylize", save("wall.png", grey), "-o", tmp_path / "out.png")
    assert "no face" in ran.text
    assert np.array_equal(read(tmp_path / "out.png"), 255 - grey)


def test_preserve_none_paints_the_face_too(cli: Cli, save: Save, tmp_path: Path) -> None:
    image = colours()
    cli("stylize", save("a.png", image), "-o", tmp_path / "out.png", "--preserve", "none")
    assert np.array_equal(read(tmp_path / "out.png"), 255 - image)


def test_the_suffix_decides_the_format(cli: Cli, save: Save, tmp_path: Path) -> None:
    assert cli("stylize", save("a.png"), "-o", tmp_path / "out.webp").code == 0
    with PIL.Image.open(tmp_path / "out.webp") as picture:
        assert picture.format == "WEBP"


def test_heic_becomes_jpeg_beside_it(cli: Cli, save: Save, tmp_path: Path) -> None:
    import pillow_heif

    source = tmp_path / "phone.heic"
    pillow_heif.from_pillow(PIL.Image.fromarray(colours())).save(source)
    assert cli("stylize", source).code == 0
    with PIL.Image.open(tmp_path / "phone.painted.jpg") as picture:
        assert picture.format == "JPEG"


def test_standard_input_goes_to_standard_output_in_its_own_format(cli: Cli) -> None:
    photo = BytesIO()
    PIL.Image.fromarray(colours()).save(photo, "WEBP")
    ran = cli("stylize", "-", stdin=photo.getvalue())
    assert ran.code == 0
    with PIL.Image.open(BytesIO(ran.out)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (80, 96))
    assert ran.err.startswith("standard input -> standard output (1 face,")


def test_a_file_goes_to_standard_output_and_notes_go_aside(cli: Cli, save: Save) -> None:
    ran = cli("stylize", save("a.png"), "-o", "-")
    assert read(BytesIO(ran.out)).shape == (96, 80, 3)
    assert "(1 face" in ran.err


def test_quiet_says_nothing(cli: Cli, save: Save) -> None:
    ran = cli("stylize", save("a.png"), "-q")
    assert (ran.code, ran.out, ran.err) == (0, b"", "")


def test_json_tells_everything_about_a_picture(cli: Cli, save: Save, tmp_path: Path) -> None:
    source = save("ä b.png")
    ran = cli("stylize", source, "--json")
    (picture,) = json.loads(ran.text)["pictures"]
    assert picture["input"] == str(source)
    assert picture["output"] == str(tmp_path / "ä b.painted.png")
    assert picture["size"] == [80, 96]
    assert picture["faces"][0]["box"] == [20, 16, 60, 72]
    assert len(picture["faces"][0]["landmarks"]) == 5
    assert picture["models"] == {"negative": "0" * 64}
    assert set(picture["timings"]) >= {"read", "detect", "restore", "segment", "stylize", "blend"}
    assert picture["scores"]["kept_area"] > 0


def test_layers_are_saved_under_the_name_of_the_input(cli: Cli, save: Save, tmp_path: Path) -> None:
    image = colours()
    assert cli("stylize", save("me.png", image), "--save-layers", tmp_path / "layers").code == 0
    layers = {path.name: read(path) for path in (tmp_path / "layers").iterdir()}
    assert set(layers) == {f"me.{name}.png" for name in ("original", "restored", "painted", "mask", "result")}
    assert np.array_equal(layers["me.original.png"], image)
    assert np.array_equal(layers["me.painted.png"], 255 - image)
    assert np.array_equal(layers["me.result.png"], read(tmp_path / "me.painted.png"))


def test_an_own_mask_says_what_stays(cli: Cli, save: Save, tmp_path: Path) -> None:
    image, mask = colours(), np.zeros((96, 80), np.uint8)
    mask[:, :40] = 255
    options = ("--mask", save("mask.png", mask), "--paint", "0", "-o", tmp_path / "out.png")
    assert cli("stylize", save("a.png", image), *options).code == 0
    assert np.array_equal(read(tmp_path / "out.png")[:, 40:], 255 - image[:, 40:])


@pytest.mark.parametrize(("option", "kept"), [("keep", True), ("strip", False)])
def test_metadata_is_kept_or_dropped(cli: Cli, save: Save, tmp_path: Path, option: str, kept: bool) -> None:
    source = save("a.jpg")
    exif = PIL.Image.Exif()
    exif[0x010F] = "Camera"
    PIL.Image.fromarray(colours()).save(source, exif=exif)
    cli("stylize", source, "--metadata", option)
    with PIL.Image.open(tmp_path / "a.painted.jpg") as picture:
        assert (picture.getexif().get(0x010F) == "Camera") is kept


def test_a_very_long_name_is_cut_to_what_a_folder_holds(cli: Cli, save: Save, tmp_path: Path) -> None:
    source = save("ö" * 120 + ".png")
    assert cli("stylize", source).code == 0
    assert len([path for path in tmp_path.iterdir() if path.name.endswith(".painted.png")]) == 1


def test_a_name_with_a_line_break_is_printed_on_one_line(cli: Cli, save: Save) -> None:
    ran = cli("stylize", save("a\nb.png"))
    assert ran.code == 0
    assert ran.text.count("\n") == 1


def test_defaults_come_from_the_users_file(
    cli: Cli, save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "my.toml"
    config.write_text('preserve = "none"\n')
    monkeypatch.setenv("SFUMATO_CONFIG", str(config))
    image = colours()
    cli("stylize", save("a.png", image), "-o", tmp_path / "out.png")
    assert np.array_equal(read(tmp_path / "out.png"), 255 - image)
    cli("stylize", tmp_path / "a.png", "-o", tmp_path / "face.png", "--preserve", "face")
    assert not np.array_equal(read(tmp_path / "face.png"), 255 - image)
