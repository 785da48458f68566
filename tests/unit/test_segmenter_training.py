"""The segmenter's training: it learns, resumes identically, refuses faulty data, and leaves a model with its facts."""

import csv
import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from sfumato.backends import OpenVinoBackend
from sfumato.errors import BackendMissingError, InputError, ModelError
from sfumato.nets.paper_unet import PaperUNet
from sfumato.training.lightning_callbacks import SCORE, write_weights
from sfumato.training.lightning_run import Drawn, DrawnData, Draws, run_training
from sfumato.training.loss_curve import read_curve
from sfumato.training.parsing_samples import UNKNOWN, Sample
from sfumato.training.run_options import RunOptions
from sfumato.training.segmenter import (
    SegmenterModule,
    SegmenterOptions,
    build_network,
    export_weights,
    flatten_options,
    train_segmenter,
)
from sfumato.training.segmenter_data import (
    SegmenterFolders,
    SquaredSamples,
    load_portraits,
    square_sample,
    to_tensors,
)
from tests.unit.portraits import portrait, write_dataset, write_surroundings

SIZE = 64
RUN = RunOptions(steps=12, batch=4, warmup=2, validate_every=4, log_every=1, workers=0, accelerator="cpu")


class Repeat:
    """Draw the same few portraits again and again, as if from a data set that is tiny."""

    def __init__(self, portraits: list[Sample], fails_at: int | None = None) -> None:
        self._portraits, self._fails_at, self._drawn = portraits, fails_at, 0

    def __call__(self, rng: np.random.Generator) -> Drawn:
        self._drawn += 1
        if self._fails_at is not None and self._drawn > self._fails_at:
            raise KeyError("the power fails")
        return to_tensors(self._portraits[int(rng.integers(len(self._portraits)))])


def options(run: RunOptions = RUN) -> SegmenterOptions:
    folders = SegmenterFolders(Path(), None, (), (), Path())
    return SegmenterOptions(folders, run, encoder_weights="none", size=SIZE)


def fit(run: Path, chosen: SegmenterOptions, fails_at: int | None = None) -> SegmenterModule:
    """Train on two portraits and return the module, which ends with the averaged weights."""
    portraits = [portrait(k, SIZE) for k in range(2)]
    module = SegmenterModule(chosen)
    data = DrawnData(Repeat(portraits, fails_at), SquaredSamples(portraits, SIZE), chosen.run)
    run_training(module, data, run, chosen.run, lambda _: None)
    return module


@pytest.mark.long
def test_a_tiny_data_set_is_learnt_by_heart(tmp_path: Path) -> None:
    chosen = options(replace(RUN, steps=180, validate_every=60, warmup=10, average=0.9))
    fit(tmp_path, chosen)
    with safe_open(tmp_path / "best.safetensors", "pt") as stored:
        assert float(stored.metadata()[SCORE]) > 0.95


@pytest.mark.long
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = fit(tmp_path / "whole", options())
    with pytest.raises(KeyError):
        fit(tmp_path / "cut", options(), fails_at=9 * 4)
    resumed = fit(tmp_path / "cut", options())
    for name, tensor in whole.net.state_dict().items():
        torch.testing.assert_close(resumed.net.state_dict()[name], tensor, rtol=0, atol=0, msg=name)
    for name, tensor in load_file(tmp_path / "whole/last.safetensors").items():
        torch.testing.assert_close(load_file(tmp_path / "cut/last.safetensors")[name], tensor, rtol=0, atol=0)


def test_the_same_seed_starts_from_the_same_weights() -> None:
    first, second = SegmenterModule(options()), SegmenterModule(options())
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_a_picture_depends_on_its_number_alone() -> None:
    draw = Repeat([portrait(k, SIZE) for k in range(5)])
    whole = [Draws(draw, seed=3, first=0, count=9)[k] for k in range(9)]
    later = [Draws(draw, seed=3, first=4, count=5)[k] for k in range(5)]
    for a, b in zip(whole[4:], later, strict=True):
        torch.testing.assert_close(a["image"], b["image"], rtol=0, atol=0)


def test_a_run_ends_without_a_gain_when_patience_is_set(tmp_path: Path) -> None:
    still = replace(options(replace(RUN, steps=400, patience=2)), learning_rate=0.0)
    fit(tmp_path, still)
    assert last_step(tmp_path) == 11  # of three validations, two without a gain


def test_a_budget_of_minutes_ends_the_run(tmp_path: Path) -> None:
    fit(tmp_path, options(replace(RUN, steps=10**6, minutes=0.02)))
    assert 0 < last_step(tmp_path) < 10**4
    assert (tmp_path / "last.safetensors").exists()


def last_step(run: Path) -> int:
    return int(read_curve(run, "loss")[-1, 0])


def test_a_squared_portrait_keeps_its_shape_and_knows_nothing_beside_it() -> None:
    tall = Sample(np.full((80, 40, 3), 7, np.uint8), np.full((80, 40), 2, np.uint8))
    squared = square_sample(tall, 64)
    assert squared.image.shape == (64, 64, 3)
    assert set(np.unique(squared.labels[:, 16:48])) == {2}
    assert set(np.unique(squared.labels[:, :16])) == set(np.unique(squared.labels[:, 48:])) == {UNKNOWN}


@pytest.fixture
def folders(tmp_path: Path) -> SegmenterFolders:
    root = write_surroundings(write_dataset(tmp_path / "set"))
    return SegmenterFolders(root, root / "people", (), (root / "photos",), tmp_path / "cache")


def test_a_training_leaves_a_model_with_its_card_curve_and_logs(
    folders: SegmenterFolders, tmp_path: Path
) -> None:
    chosen = SegmenterOptions(folders, replace(RUN, steps=6), encoder_weights="none", size=SIZE)
    lines: list[str] = []
    path = train_segmenter(chosen, tmp_path / "run", lines.append)
    assert path.name == "segmenter-light.onnx"
    assert path.stat().st_size < 6_000_000
    card = path.with_suffix(".md").read_text()
    for words in ("IoU of skin (val split", "boundary F1 of the face region", "milliseconds for one 256x256"):
        assert words in card
    held = {item.name for item in (tmp_path / "run").iterdir()}
    assert held >= {"loss.png", "loss.csv", "logs", "tensorboard", "last.ckpt", "best.safetensors"}
    stored = json.loads((tmp_path / "run/config.json").read_text())
    assert stored["options"]["size"] == SIZE
    assert stored["options"].keys() == flatten_options(chosen).keys()
    assert any(line.startswith("validated: ") for line in lines)
    curve = list(csv.DictReader((tmp_path / "run/loss.csv").read_text().splitlines()))
    assert {row["curve"] for row in curve} == {"training", "training, averaged", "validation"}


@pytest.mark.long
def test_faulty_data_is_reported_and_refused_unless_left_out(
    folders: SegmenterFolders, tmp_path: Path
) -> None:
    (folders.portraits / "annotations/train/train0.png").write_bytes(b"")
    lines: list[str] = []
    chosen = SegmenterOptions(folders, replace(RUN, steps=1), encoder_weights="none", size=SIZE)
    with pytest.raises(InputError, match=r"has 1 faults, listed above; .*--leave-out-faulty"):
        train_segmenter(chosen, tmp_path / "run", lines.append)
    assert lines[0].splitlines()[0] == "1 x file that cannot be read"
    left_out = replace(chosen, folders=replace(folders, leave_out_faulty=True))
    assert train_segmenter(left_out, tmp_path / "run", lines.append).exists()


def test_a_user_of_the_test_split_is_not_trained_on(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "set", ("train", "val", "test"))
    table = (root / "meta.csv").read_text().replace("user-test0", "user-train1")
    (root / "meta.csv").write_text(table)
    folders = SegmenterFolders(root, None, (), (root / "images/val",), tmp_path / "cache")
    lines: list[str] = []
    with pytest.raises(InputError, match="has 1 faults"):
        load_portraits(folders, ("train", "val"), SIZE, workers=1, report=lines.append)
    assert "user user-train1 is in test and train; keep one" in lines[0]
    left_out = replace(folders, leave_out_faulty=True)
    loaded = load_portraits(left_out, ("train", "val"), SIZE, workers=1, report=lines.append)
    assert [len(loaded[split]) for split in ("train", "val")] == [1, 2]
    np.testing.assert_array_equal(loaded["train"][0].labels, portrait(0).labels)


@pytest.mark.long
def test_a_start_from_earlier_weights_is_named_in_the_card(folders: SegmenterFolders, tmp_path: Path) -> None:
    first = SegmenterOptions(folders, replace(RUN, steps=1), encoder_weights="none", size=SIZE)
    path = train_segmenter(first, tmp_path / "first", lambda _: None)
    second = replace(first, start=path, run=replace(RUN, steps=1, seed=1))
    with pytest.raises(InputError, match="holds a run that started from fresh weights; use another --out"):
        train_segmenter(second, tmp_path / "first", lambda _: None)
    started = SegmenterModule(second).net.state_dict()["head.weight"]
    assert not torch.equal(started, SegmenterModule(first).net.state_dict()["head.weight"])
    card = train_segmenter(second, tmp_path / "second", lambda _: None).with_suffix(".md").read_text()
    assert f"--start {path.name}" in card
    assert f"sha256 {sha256(path.read_bytes()).hexdigest()}" in card


def test_the_papers_network_has_the_papers_parameters() -> None:
    net = build_network("unet-efficientnet-b2").eval()
    assert isinstance(net, PaperUNet)
    assert sum(p.numel() for p in net.parameters()) == 10_047_451
    with torch.no_grad():
        assert net(torch.rand(1, 3, 64, 96)).shape == (1, 9, 64, 96)


def test_weights_that_cannot_be_fetched_are_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BackendMissingError, match="ImageNet weights of EfficientNet-B2 cannot be had"):
        PaperUNet(pretrained=True)


@pytest.mark.parametrize("network", ["unet-light", "unet-efficientnet-b2"])
def test_exported_weights_compute_the_same(network: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = build_network(network).eval()  # type: ignore[arg-type]  # one of the two
    write_weights(net.state_dict(), tmp_path / "a.safetensors", {"step": "0"})
    path = tmp_path / "a.onnx"
    assert export_weights(tmp_path / "a.safetensors", network, path) < 2e-2  # type: ignore[arg-type]
    picture = np.random.default_rng(0).random((2, 3, 64, 96), dtype=np.float32)
    (probabilities,) = OpenVinoBackend(path, exact=True).run({"input": picture})
    with torch.no_grad():
        expected = torch.softmax(net(torch.from_numpy(picture)), 1).numpy()
    np.testing.assert_allclose(probabilities, expected, atol=2e-2)  # weights are stored as float16


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="holds no weights of unet-light"):
        export_weights(tmp_path / "a.safetensors", "unet-light", tmp_path / "a.onnx")
