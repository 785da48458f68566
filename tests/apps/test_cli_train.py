"""`sfumato train` and `sfumato evaluate`: folders in, one run folder or numbers out."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from tests.apps.conftest import Cli, Save, colours
from tests.simple import FACE
from tests.unit.portraits import portrait, swap_sides, write_dataset

WITHOUT_PYTORCH = """
import sys
sys.modules["torch"] = None
from sfumato.apps.cli import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.fixture
def portraits(tmp_path: Path) -> Path:
    """Return four labelled portraits in EasyPortrait's layout: skin wherever the fake segmenter sees it."""
    for split in ("train", "val"):
        for k in range(4):
            for kind, pixels in (
                ("images", colours(64, 64, k)),
                ("annotations", np.full((64, 64), 2, np.uint8)),
            ):
                folder = tmp_path / "portraits" / kind / split
                folder.mkdir(parents=True, exist_ok=True)
                suffix = ".jpg" if kind == "images" else ".png"
                PIL.Image.fromarray(pixels).save(folder / f"{k}{suffix}")
    return tmp_path / "portraits"


def test_a_detector_is_measured_against_reference_faces(cli: Cli, save: Save, tmp_path: Path) -> None:
    save("eval/a/1.png", colours(200, 200)), save("eval/drawn/2.png")
    face = {"box": FACE.box, "landmarks": FACE.landmarks, "score": 0.9}
    large = {**face, "box": [20, 16, 100, 112]}
    reference = {"a/1.png": [large], "drawn/2.png": [large, large]}
    (tmp_path / "eval" / "faces.json").write_text(json.dumps(reference))
    ran = cli("evaluate", "detector", "--data", tmp_path / "eval", "--leave-out", "drawn", "--json")
    report = json.loads(ran.text)
    assert (report["found"], report["missed"]) == (0, 1)
    assert report["landmark_error"] is None
    assert "recall 0.000" in cli("evaluate", "detector", "--data", tmp_path / "eval").text


def test_a_segmenter_is_measured_class_by_class(cli: Cli, portraits: Path) -> None:
    report = json.loads(cli("evaluate", "segmenter", "--data", portraits, "--json").text)
    assert set(report) == {
        "classes",
        "f1",
        "boundary_f1",
        "mean",
        "face",
        "accuracy",
        "swapped",
        "mended_mean",
    }
    assert report["classes"]["skin"] > 0
    assert report["classes"]["lips"] is None
    assert "accuracy" in cli("evaluate", "segmenter", "--data", portraits).text
    assert cli("evaluate", "segmenter", "--data", portraits, "-q").text == ""


def test_masks_with_swapped_sides_are_named_and_set_right_on_demand(cli: Cli, tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "set", ("val",))
    cv2.imwrite(str(root / "annotations/val/val0.png"), swap_sides(portrait(0).labels))
    words = ("evaluate", "segmenter", "--data", root)
    assert "1 masks have left and right swapped; set right (--mend-sides)," in cli(*words).text
    assert "swapped" not in cli(*words, "--mend-sides").text


def test_predictions_are_saved_beside_photo_and_truth(cli: Cli, portraits: Path, tmp_path: Path) -> None:
    words = ("evaluate", "segmenter", "--data", portraits, "--save", tmp_path / "shown")
    assert cli(*words).code == 0
    assert len(list((tmp_path / "shown").iterdir())) == 4
    assert "exists" in cli(*words).refused_with(4)
    assert cli(*words, "--overwrite").code == 0


def test_training_without_pytorch_is_one_line(tmp_path: Path) -> None:
    folders = ("--portraits", tmp_path, "--people", tmp_path, "--backgrounds", tmp_path)
    words = [str(word) for word in ("train", "segmenter", *folders, "--out", tmp_path / "run")]
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_PYTORCH, *words], capture_output=True, text=True, check=False
    )
    assert result.returncode == 6
    assert result.stderr == "sfumato: torch is not installed; try: pip install 'sfumato[train]'\n"


def test_a_missing_folder_is_one_line(cli: Cli, tmp_path: Path) -> None:
    ran = cli(
        "train", "restorer", "--images", tmp_path / "gone", "--vgg", tmp_path / "gone.pth", "--out", tmp_path
    )
    assert "gone" in ran.refused_with(2)


@pytest.mark.parametrize(
    "task", ["detector", "segmenter", "stylizer", "stylizer-light", "any-style", "restorer", "recogniser"]
)
def test_every_training_has_help_with_examples_and_a_budget(cli: Cli, task: str) -> None:
    text = cli("train", task, "--help").text
    for word in ("Examples:", "--out", "--steps", "--minutes", "--seed"):
        assert word in text


@pytest.fixture
def folders(save: Save, portraits: Path, tmp_path: Path) -> tuple[str | Path, ...]:
    for k in range(2):
        save(f"people/images/{k}.png"), save(f"people/masks/{k}.png"), save(f"views/{k}.png")
    return ("--portraits", portraits, "--people", tmp_path / "people", "--backgrounds", tmp_path / "views")


SHORT = ("--steps", "2", "--size", "64", "--batch", "2", "--workers", "0", "--encoder-weights", "none")


def test_a_training_leaves_a_model_that_is_exported_and_measured(
    cli: Cli, folders: tuple[str | Path, ...], portraits: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    ran = cli("train", "segmenter", *folders, "--out", run, *SHORT, "--seed", "7")
    assert ran.code == 0, ran.err
    assert Path(ran.text.splitlines()[-1]) == run / "segmenter-light.onnx"
    config = json.loads((run / "config.json").read_text())
    assert (config["task"], config["options"]["seed"], config["options"]["size"]) == ("segmenter", 7, 64)
    words = ("export", "segmenter", run / "best.safetensors", "-o", tmp_path / "a.onnx")
    report = json.loads(cli(*words, "--json").text)
    assert report["bytes"] == (tmp_path / "a.onnx").stat().st_size
    assert report["difference"] < 2e-2
    assert "exists" in cli(*words).refused_with(4)
    measured = cli("evaluate", "segmenter", "--data", portraits, "--model", tmp_path / "a.onnx", "--json")
    assert 0 <= json.loads(measured.text)["accuracy"] <= 1


@pytest.mark.long
def test_a_run_is_repeated_from_its_config_and_options_given_win(
    cli: Cli, folders: tuple[str | Path, ...], tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert cli("train", "segmenter", *folders, "--out", first, *SHORT).code == 0
    ran = cli("train", "segmenter", "--config", first / "config.json", "--out", second, "--seed", "5")
    assert ran.code == 0, ran.err
    one, two = (json.loads((run / "config.json").read_text())["options"] for run in (first, second))
    assert two["seed"] == 5
    assert {**one, "seed": 5} == two
    assert two["cache"] == str(first / "cache")


def test_a_config_with_an_unknown_option_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("learning_rat = 0.1\n")
    ran = cli("train", "segmenter", "--config", tmp_path / "run.toml", "--out", tmp_path / "run")
    assert "unknown option 'learning_rat'; did you mean 'learning_rate'" in ran.refused_with(2)


@pytest.mark.parametrize("text", ["[", "options = 3\n"])
def test_a_config_that_cannot_be_read_is_refused(cli: Cli, tmp_path: Path, text: str) -> None:
    (tmp_path / "run.toml").write_text(text)
    ran = cli("train", "segmenter", "--config", tmp_path / "run.toml", "--out", tmp_path / "run")
    assert "run.toml" in ran.refused_with(2)
    gone = cli("train", "segmenter", "--config", tmp_path / "gone.toml", "--out", tmp_path / "run")
    assert "is missing; name a TOML or JSON file" in gone.refused_with(2)


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (("--size", "100"), "--size 100 is no multiple of 32; use 96"),
        (("--batch", "3", "--devices", "2"), "--batch 3 cannot be dealt to 2 devices"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_before_any_work(
    cli: Cli, folders: tuple[str | Path, ...], tmp_path: Path, words: tuple[str, ...], refusal: str
) -> None:
    ran = cli("train", "segmenter", *folders, "--out", tmp_path / "run", *words)
    assert refusal in ran.refused_with(2)


@pytest.mark.long
def test_two_processes_train_one_model(folders: tuple[str | Path, ...], tmp_path: Path) -> None:
    words = [str(word) for word in (*folders, "--out", tmp_path / "run", *SHORT, "--accelerator", "cpu")]
    command = [sys.executable, "-m", "sfumato", "train", "segmenter", *words, "--devices", "2"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("validated: ") == 1
    card = (tmp_path / "run/segmenter-light.md").read_text()
    assert "**Training**: 2 steps" in card
