"""`sfumato detect`, `segment`, `models` and what the command line says about itself."""

import json
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from sfumato.registry import load_registry
from tests.apps.conftest import Cli, Save, colours, read


def test_detect_prints_a_row_for_each_face(cli: Cli, save: Save) -> None:
    rows = cli("detect", save("a.png")).text.splitlines()
    assert rows[0].split() == ["face", "x0", "y0", "x1", "y1", "score"]
    assert rows[1].split() == ["1", "20", "16", "60", "72", "0.90"]


def test_detect_tells_boxes_landmarks_and_scores(cli: Cli, save: Save) -> None:
    report = json.loads(cli("detect", save("a.png"), "--json").text)
    assert report["size"] == [80, 96]
    assert report["faces"][0]["box"] == [20, 16, 60, 72]
    assert report["faces"][0]["landmarks"][2] == [40, 48]


def test_detect_without_a_face_is_no_error(cli: Cli, save: Save) -> None:
    ran = cli("detect", save("wall.png", np.full((40, 50, 3), 9, np.uint8)))
    assert (ran.code, ran.text) == (0, "no face found\n")


def test_detect_reads_standard_input(cli: Cli, save: Save) -> None:
    ran = cli("detect", "-", "--json", stdin=save("a.png").read_bytes())
    assert len(json.loads(ran.text)["faces"]) == 1


def test_detect_refuses_what_is_no_picture(cli: Cli, tmp_path: Path) -> None:
    assert "gone.png" in cli("detect", tmp_path / "gone.png").refused_with(3)
    assert str(tmp_path) in cli("detect", tmp_path).refused_with(3)


def test_segment_writes_ids_and_an_overlay(cli: Cli, save: Save, tmp_path: Path) -> None:
    image = colours()
    labels, overlay = tmp_path / "labels.png", tmp_path / "overlay.png"
    assert cli("segment", save("a.png", image), "-o", labels, "--overlay", overlay).code == 0
    with PIL.Image.open(labels) as picture:
        assert picture.mode == "L"
        ids = np.asarray(picture)
    assert ids.shape == (96, 80)
    assert ids[48, 40] == 2
    assert not np.array_equal(read(overlay)[48, 40], image[48, 40])


def test_segment_lies_beside_its_photo(cli: Cli, save: Save, tmp_path: Path) -> None:
    ran = cli("segment", save("a.jpg"), "--json")
    report = json.loads(ran.text)
    assert report["output"] == str(tmp_path / "a.labels.png")
    assert sum(report["classes"].values()) == pytest.approx(1, abs=1e-4)


def test_segment_pipes_its_ids(cli: Cli, save: Save) -> None:
    ran = cli("segment", "-", stdin=save("a.png").read_bytes())
    with PIL.Image.open(BytesIO(ran.out)) as picture:
        assert (picture.mode, picture.size) == ("L", (80, 96))


@pytest.mark.parametrize("option", ["-o", "--overlay"])
def test_segment_never_replaces_its_photo(cli: Cli, save: Save, option: str) -> None:
    source = save("a.png")
    assert "never replaced" in cli("segment", source, option, source, "--overwrite").refused_with(4)


def test_segment_refuses_existing_files_and_one_file_for_two(cli: Cli, save: Save, tmp_path: Path) -> None:
    source, taken = save("a.png"), save("b.png")
    before = taken.read_bytes()
    assert "b.png" in cli("segment", source, "-o", taken).refused_with(4)
    assert taken.read_bytes() == before
    twice = tmp_path / "c.png"
    assert "c.png" in cli("segment", source, "-o", twice, "--overlay", twice).refused_with(2)
    assert not twice.exists()


def test_models_are_listed_with_their_licences(cli: Cli) -> None:
    text = cli("models", "list").text
    for spec in load_registry().values():
        assert spec.name in text
        assert spec.weights_licence in text


def test_models_are_told_as_json(cli: Cli) -> None:
    models = json.loads(cli("models", "list", "--json").text)["models"]
    assert {model["name"] for model in models} == set(load_registry())
    known = [model for model in models if model["sha256"] is not None]
    assert all(len(model["sha256"]) == 64 and model["bytes"] > 0 for model in known)
    assert {model["state"] for model in models} == {"embedded", "pull", "train"}


def test_the_version_is_printed(cli: Cli) -> None:
    assert cli("--version").text == f"sfumato {version('sfumato')}\n"


@pytest.mark.parametrize(
    "words", [(), ("stylize",), ("detect",), ("segment",), ("models",), ("models", "list")]
)
def test_every_command_has_help_with_examples(cli: Cli, words: tuple[str, ...]) -> None:
    ran = cli(*words, "--help")
    assert ran.code == 0
    assert "Examples:" in ran.text
    assert f"sfumato {' '.join(words)}".strip() in ran.text


def test_no_command_is_a_question_for_help(cli: Cli) -> None:
    ran = cli()
    assert ran.code == 0
    assert "stylize" in ran.text
