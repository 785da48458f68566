"""`sfumato stylize` on several pictures and on folders."""

import json
from pathlib import Path

import pytest

from tests.apps.conftest import Cli, Save


def test_a_folder_keeps_names_and_formats(cli: Cli, save: Save, tmp_path: Path) -> None:
    for name in ("photos/b.png", "photos/a.jpg", "photos/deep/c.png"):
        save(name)
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    ran = cli("stylize", tmp_path / "photos", "-o", tmp_path / "out")
    assert ran.code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg", "b.png"]
    assert "2 of 2 pictures painted" in ran.text.splitlines()[-1]


def test_several_pictures_without_a_folder_lie_beside_their_photos(
    cli: Cli, save: Save, tmp_path: Path
) -> None:
    assert cli("stylize", save("a/x.png"), save("b/x.png")).code == 0
    assert (tmp_path / "a/x.painted.png").is_file() and (tmp_path / "b/x.painted.png").is_file()


def test_a_folder_painted_twice_does_not_paint_its_paintings(cli: Cli, save: Save, tmp_path: Path) -> None:
    save("photos/a.png")
    for _ in range(2):
        assert cli("stylize", tmp_path / "photos", "--overwrite").code == 0
    assert len(list((tmp_path / "photos").iterdir())) == 2


def test_one_bad_file_never_stops_the_rest(cli: Cli, save: Save, tmp_path: Path) -> None:
    save("photos/a.png"), save("photos/c.png")
    (tmp_path / "photos" / "b.png").write_bytes(b"broken")
    ran = cli("stylize", tmp_path / "photos", "-o", tmp_path / "out")
    assert "b.png" in ran.refused_with(1)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]
    assert "2 of 3 pictures painted" in ran.text
    assert "1 failed" in ran.text


def test_json_lists_what_failed(cli: Cli, save: Save, tmp_path: Path) -> None:
    ran = cli("stylize", save("a.png"), tmp_path / "gone.png", "--json")
    report = json.loads(ran.text)
    assert ran.code == 1
    assert len(report["pictures"]) == 1
    assert report["failed"][0]["input"].endswith("gone.png")
    assert report["failed"][0]["exit_code"] == 3


def test_a_picture_named_twice_is_painted_once(cli: Cli, save: Save, tmp_path: Path) -> None:
    source = save("photos/a.png")
    ran = cli("stylize", source, source.parent, "-o", tmp_path / "out")
    assert ran.code == 0
    assert ran.text.count(" -> ") == 1


def test_two_results_of_one_name_are_refused_before_any_work(cli: Cli, save: Save, tmp_path: Path) -> None:
    ran = cli("stylize", save("a/x.jpg"), save("b/x.jpg"), "-o", tmp_path / "out")
    line = ran.refused_with(2)
    assert "a/x.jpg" in line and "b/x.jpg" in line
    assert not (tmp_path / "out").exists()


def test_layers_of_one_name_are_refused_before_any_work(cli: Cli, save: Save, tmp_path: Path) -> None:
    ran = cli("stylize", save("x.jpg"), save("x.png"), "--save-layers", tmp_path / "layers")
    ran.refused_with(2)
    assert not (tmp_path / "layers").exists()


def test_existing_results_are_refused_before_any_work(cli: Cli, save: Save, tmp_path: Path) -> None:
    save("photos/a.png"), save("photos/b.png"), save("out/b.png")
    ran = cli("stylize", tmp_path / "photos", "-o", tmp_path / "out")
    assert "b.png" in ran.refused_with(4)
    assert not (tmp_path / "out" / "a.png").exists()
    assert cli("stylize", tmp_path / "photos", "-o", tmp_path / "out", "--overwrite").code == 0


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_a_photo_is_never_replaced(cli: Cli, save: Save, tmp_path: Path, overwrite: tuple[str, ...]) -> None:
    before = save("photos/a.png").read_bytes()
    save("photos/b.png")
    ran = cli("stylize", tmp_path / "photos", "-o", tmp_path / "photos", *overwrite)
    assert "never replaced" in ran.refused_with(4)
    assert (tmp_path / "photos" / "a.png").read_bytes() == before


def test_a_link_to_the_photo_does_not_hide_it(cli: Cli, save: Save, tmp_path: Path) -> None:
    source = save("a.png")
    before = source.read_bytes()
    (tmp_path / "link.png").symlink_to(source)
    ran = cli("stylize", source, "-o", tmp_path / "link.png", "--overwrite")
    assert "never replaced" in ran.refused_with(4)
    assert source.read_bytes() == before


def test_a_layer_never_replaces_a_photo(cli: Cli, save: Save, tmp_path: Path) -> None:
    sources = save("a.png"), save("a.mask.png")
    ran = cli("stylize", *sources, "-o", tmp_path / "out", "--save-layers", tmp_path, "--overwrite")
    assert "never replaced" in ran.refused_with(4)


def test_a_failure_names_its_picture(cli: Cli, save: Save) -> None:
    ran = cli("stylize", save("a.png"), save("b.png"), "--faces", "2")
    assert ran.code == 1
    assert "a.png: face 2" in ran.err and "b.png: face 2" in ran.err


def test_several_pictures_do_not_fit_standard_output(cli: Cli, save: Save) -> None:
    ran = cli("stylize", save("a.png"), save("b.png"), "-o", "-")
    assert "standard output" in ran.refused_with(2)
    assert ran.out == b""


def test_standard_input_stands_alone(cli: Cli, save: Save) -> None:
    ran = cli("stylize", save("a.png"), "-")
    assert "standard input" in ran.refused_with(2)
    assert ran.out == b""


def test_several_pictures_need_a_folder_not_a_file(cli: Cli, save: Save, tmp_path: Path) -> None:
    ran = cli("stylize", save("a.png"), save("b.png"), "-o", save("c.png"))
    assert "c.png" in ran.refused_with(4)
