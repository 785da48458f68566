"""`sfumato train` and `sfumato evaluate`: folders in, one run folder or numbers out."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tests.apps.conftest import FACE, Cli, Save, colours

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
    assert set(report) == {"classes", "mean", "face", "accuracy"}
    assert report["classes"]["skin"] > 0
    assert report["classes"]["lips"] is None
    assert "accuracy" in cli("evaluate", "segmenter", "--data", portraits).text


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


@pytest.mark.parametrize("task", ["detector", "segmenter", "stylizer", "restorer"])
def test_every_training_has_help_with_examples_and_a_budget(cli: Cli, task: str) -> None:
    text = cli("train", task, "--help").text
    for word in ("Examples:", "--out", "--steps", "--minutes", "--seed"):
        assert word in text


@pytest.mark.slow
def test_a_training_leaves_a_model_and_its_log_in_one_folder(
    cli: Cli, save: Save, portraits: Path, tmp_path: Path
) -> None:
    for k in range(2):
        save(f"people/images/{k}.png"), save(f"people/masks/{k}.png"), save(f"views/{k}.png")
    folders = ("--portraits", portraits, "--people", tmp_path / "people", "--backgrounds", tmp_path / "views")
    ran = cli("train", "segmenter", *folders, "--out", tmp_path / "run", "--steps", "1", "--seed", "7")
    assert ran.code == 0, ran.err
    assert Path(ran.text.splitlines()[-1]).is_file()
    assert json.loads((tmp_path / "run" / "config.json").read_text())["task"] == "segmenter"
