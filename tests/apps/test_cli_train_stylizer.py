"""`sfumato train stylizer`, what it leaves, and `sfumato stylize`, `export` and `evaluate` with that."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
import torch

from sfumato.nets.vgg import VggFeatures
from sfumato.training.stylizer_runs import steps_of
from sfumato.training.unpaired import UnpairedFolders
from tests.apps.conftest import Cli

TINY = (
    "--size",
    "32",
    "--blocks",
    "1",
    "--width",
    "4",
    "--judge-width",
    "4",
    "--held-out",
    "2",
    "--workers",
    "0",
)
SHORT = (*TINY, "--steps", "3", "--validate-every", "2", "--log-every", "1")


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Write dark photos, light paintings and weights of VGG19 that mean nothing."""
    rng = np.random.default_rng(0)
    for name, levels in (("photos", (0, 128)), ("portraits", (0, 128)), ("paintings", (128, 256))):
        (tmp_path / name).mkdir()
        for k in range(4):
            coarse = rng.integers(*levels, (6, 6, 3), dtype=np.uint8)
            picture = cv2.resize(coarse, (48, 48), interpolation=cv2.INTER_CUBIC)
            PIL.Image.fromarray(picture).save(tmp_path / name / f"{k}.png")
    torch.manual_seed(0)
    torch.save(VggFeatures().layers.state_dict(), tmp_path / "vgg.pth")
    return tmp_path


def named(root: Path) -> tuple[str | Path, ...]:
    return (
        *("--photos", root / "photos", "--paintings", root / "paintings", "--portraits", root / "portraits"),
        *("--vgg", root / "vgg.pth"),
    )


def test_a_cyclegan_leaves_a_style_that_paints_at_once(cli: Cli, folders: Path) -> None:
    run = folders / "run"
    ran = cli("train", "stylizer", *named(folders), "--out", run, *SHORT)
    assert ran.code == 0, ran.err
    model = run / "stylizer.onnx"
    assert Path(ran.text.splitlines()[-1]) == model
    assert {"loss.png", "losses.png", "last.safetensors", "last.ckpt", "stylizer.md"} <= {
        p.name for p in run.iterdir()
    }
    assert len(list((run / "samples").iterdir())) == 2
    card = (run / "stylizer.md").read_text(encoding="utf-8")
    for words in (
        "in the manner of the paintings in paintings",
        "photos: 2 pictures, 2 more held out",
        "Frechet",
        "3 steps",
    ):
        assert words in card
    header = (run / "logs/version_0/metrics.csv").read_text().splitlines()[0]
    for loss in ("cycle_photos", "identity_paintings", "adversarial_paintings", "judge_photos"):
        assert loss in header
    export = ("export", "stylizer", run / "last.safetensors", "-o", folders / "again.onnx", "--json")
    report = json.loads(cli(*export).text)
    assert report["network"] == "ResnetGenerator"
    assert (folders / "again.onnx").read_bytes() == model.read_bytes()
    assert "exists" in cli(*export).refused_with(4)


@pytest.mark.long
def test_a_run_is_repeated_from_its_config(cli: Cli, folders: Path) -> None:
    first, second = folders / "first", folders / "second"
    assert cli("train", "stylizer", *named(folders), "--out", first, *SHORT).code == 0
    ran = cli("train", "stylizer", "--config", first / "config.json", "--out", second)
    assert ran.code == 0, ran.err
    assert (first / "config.json").read_bytes() == (second / "config.json").read_bytes()
    assert (first / "stylizer.onnx").read_bytes() == (second / "stylizer.onnx").read_bytes()


@pytest.mark.long
def test_a_pupil_learns_from_a_trained_generator_and_paints_by_tiles(cli: Cli, folders: Path) -> None:
    teacher = folders / "teacher"
    assert cli("train", "stylizer", *named(folders), "--out", teacher, *SHORT).code == 0
    run, photos = folders / "pupil", ("--photos", folders / "photos", "--vgg", folders / "vgg.pth")
    words = ("train", "stylizer", *photos, "--teacher", teacher / "last.safetensors", "--out", run)
    few = ("--size", "32", "--blocks", "1", "--held-out", "2", "--workers", "0", "--steps", "3")
    ran = cli(*words, *few, "--batch", "2", "--validate-every", "2", "--log-every", "1")
    assert ran.code == 0, ran.err
    assert "features" in (run / "logs/version_0/metrics.csv").read_text().splitlines()[0]
    card = (run / "stylizer.md").read_text(encoding="utf-8")
    assert "as its teacher does" in card
    assert "--teacher last.safetensors" in card
    again = cli("train", "stylizer", "--config", run / "config.json", "--out", folders / "second")
    assert again.code == 0, again.err
    assert (run / "stylizer.onnx").read_bytes() == (folders / "second/stylizer.onnx").read_bytes()


def test_the_papers_values_are_the_defaults(cli: Cli, folders: Path) -> None:
    words = ("--photos", folders / "photos", "--paintings", folders / "paintings", "--out", folders / "run")
    few = (
        "--steps",
        "1",
        "--size",
        "32",
        "--blocks",
        "0",
        "--held-out",
        "2",
        "--workers",
        "0",
        "--validate-every",
        "1",
    )
    assert cli("train", "stylizer", *words, *few, "--validate-every", "1", "--log-every", "1").code == 0
    chosen = json.loads((folders / "run/config.json").read_text())["options"]
    published = {
        **{"generator": "cyclegan", "width": 64, "judge_width": 64, "upsampling": "transposed", "pool": 50},
        **{"cycle": 10.0, "identity": 0.5, "learning_rate": 2e-4, "momentum": 0.5, "batch": 1},
        **{"decay": "linear", "warmup": 0, "average": 0.0, "clip": None},
    }
    assert {name: chosen[name] for name in published} == published
    assert steps_of(UnpairedFolders(folders / "photos", folders / "paintings", held_out=2), 32, 200, 1) == 400


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ((), "neither paintings nor a teacher are named; use --paintings DIR or --teacher FILE"),
        (("--size", "50"), "--size 50 is no multiple of 4; use 48"),
        (
            ("--teacher", "vgg.pth", "--cycle", "5"),
            "--cycle is of CycleGAN's training, which --teacher replaces",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_before_any_work(
    cli: Cli, folders: Path, words: tuple[str, ...], refusal: str
) -> None:
    named_files = [folders / word if word == "vgg.pth" else word for word in words]
    ran = cli("train", "stylizer", "--photos", folders / "photos", "--out", folders / "run", *named_files)
    assert refusal in ran.refused_with(2)


def test_too_few_pictures_are_refused(cli: Cli, folders: Path) -> None:
    ran = cli("train", "stylizer", *named(folders), "--out", folders / "run", "--held-out", "4")
    assert "too few where 4 are held out" in ran.refused_with(3)


@pytest.mark.long
def test_a_style_is_measured_and_its_paintings_saved(cli: Cli, folders: Path) -> None:
    words = (
        *("evaluate", "stylizer", "--photos", folders / "photos", "--paintings", folders / "paintings"),
        *("--vgg", folders / "vgg.pth", "--photos-held-out", "3", "--paintings-held-out", "2"),
    )
    saved = folders / "saved"
    report = json.loads(cli(*words, "--save", saved, "--json").text)
    assert report["photos"] == 3
    assert 0 < report["ssim"] < 1
    assert [path.name for path in sorted(saved.iterdir())] == ["1.png", "2.png", "3.png"]
    again = json.loads(cli(*words, "--painted", saved, "--json").text)
    assert again == pytest.approx(report)
    assert "exists" in cli(*words, "--save", saved).refused_with(4)
    PIL.Image.new("RGB", (9, 9)).save(saved / "3.jpg")
    assert "holds both 3.jpg and 3.png; remove one" in cli(*words, "--painted", saved).refused_with(3)
    for name in ("3.jpg", "2.png"):
        (saved / name).unlink()
    assert "holds no painted 2" in cli(*words, "--painted", saved).refused_with(3)
    assert "Frechet fraction" in cli(*words).text


def test_photos_themselves_lie_at_fraction_one(cli: Cli, folders: Path) -> None:
    words = (
        *("evaluate", "stylizer", "--photos", folders / "photos", "--paintings", folders / "paintings"),
        *("--vgg", folders / "vgg.pth", "--photos-held-out", "3", "--paintings-held-out", "2"),
    )
    report = json.loads(cli(*words, "--painted", folders / "photos", "--json").text)
    assert report["fraction"] == pytest.approx(1)
    assert report["ssim"] == pytest.approx(1)


def validated(run: Path) -> list[float]:
    """Return the validation losses of a run."""
    (path,) = run.rglob("metrics.csv")
    with path.open(encoding="utf-8") as file:
        return [float(row["val_loss"]) for row in csv.DictReader(file) if row["val_loss"]]


@pytest.mark.long
def test_two_processes_train_as_one_does(cli: Cli, folders: Path) -> None:
    """By gloo, with the global batch dealt out; what differs is which pictures share a step and a replay buffer."""
    words = [str(word) for word in (*named(folders), *SHORT, "--batch", "2", "--accelerator", "cpu")]
    two = [*words, "--out", str(folders / "two"), "--devices", "2"]
    command = [sys.executable, "-m", "sfumato", "train", "stylizer", *two]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert "**Training**: 3 steps" in (folders / "two/stylizer.md").read_text(encoding="utf-8")
    assert cli("train", "stylizer", *words, "--out", folders / "one").code == 0
    one, both = validated(folders / "one"), validated(folders / "two")
    assert len(one) == len(both) == 2
    assert abs(one[0] - one[1]) / one[0] > 0.01  # it learns more in a step than the two may differ by
    np.testing.assert_allclose(both, one, rtol=2e-3)


@pytest.mark.long
def test_the_networks_of_any_style_are_trained_and_repeated_from_their_config(
    cli: Cli, folders: Path
) -> None:
    run, second = folders / "run", folders / "second"
    words = (
        *(
            "--photos",
            folders / "photos",
            "--portraits",
            folders / "portraits",
            "--styles",
            folders / "paintings",
        ),
        *("--vgg", folders / "vgg.pth", "--size", "32", "--blocks", "1", "--held-out", "2", "--workers", "0"),
    )
    short = ("--steps", "2", "--batch", "2", "--validate-every", "2", "--log-every", "1")
    ran = cli("train", "any-style", *words, *short, "--out", run)
    assert ran.code == 0, ran.err
    assert {"any-style.onnx", "any-style-encoder.onnx", "any-style.md", "losses.png"} <= {
        p.name for p in run.iterdir()
    }
    again = cli("train", "any-style", "--config", run / "config.json", "--out", second)
    assert again.code == 0, again.err
    assert (run / "any-style.onnx").read_bytes() == (second / "any-style.onnx").read_bytes()
    refused = cli("train", "any-style", *words, "--size", "40", "--out", run)
    assert "--size 40 is no multiple of 16; use 32" in refused.refused_with(2)
