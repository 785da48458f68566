"""The training of the light recogniser."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

pytest.importorskip("torch")
import torch

from sfumato.backends import OpenVinoBackend
from sfumato.errors import InputError
from sfumato.nets.recogniser import LightFaceNet, MobileFaceNet
from sfumato.stages.likeness import Likeness
from sfumato.training.card import count_parameters
from sfumato.training.loop import Schedule
from sfumato.training.recogniser import (
    STORED,
    RecogniserOptions,
    RecogniserTrainer,
    agreement,
    jittered,
    read_faces,
    spoiled,
    train_recogniser,
)
from sfumato.types import Image


def face(seed: int, side: int = STORED) -> Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def options(folder: Path = Path("faces"), *, held_out: int = 1) -> RecogniserOptions:
    return RecogniserOptions(
        (folder,), Path("teacher.ckpt"), Schedule(10, warmup=1), channels=8, batch=4, held_out=held_out
    )


def test_the_paper_s_network_has_its_size_and_the_light_one_a_little_less() -> None:
    """Chen et al., 2018, section 3.1: less than a million parameters."""
    assert 900_000 < count_parameters(MobileFaceNet()) < 1_100_000
    assert 850_000 < count_parameters(LightFaceNet()) < 950_000


def test_an_embedding_has_the_length_of_the_teacher_s() -> None:
    faces = torch.zeros(2, 3, 112, 96)
    for net in (MobileFaceNet(0.25), LightFaceNet(8)):
        assert net.eval()(faces).shape == (2, 128)


def test_a_few_steps_bring_it_nearer_to_its_teacher() -> None:
    torch.manual_seed(1)
    teacher = MobileFaceNet(0.25).requires_grad_(False).eval()
    trainer = RecogniserTrainer(options(), [face(k) for k in range(3)], teacher)
    batch = trainer.sample(np.random.default_rng(0))
    assert batch["faces"].shape == (4, 3, 112, 96)
    losses = [trainer.step(batch)["angle"] for _ in range(8)]
    assert losses[-1] < 0.8 * losses[0]


def test_a_batch_depends_on_the_seed_alone() -> None:
    trainer = RecogniserTrainer(options(), [face(0), face(1)], MobileFaceNet(0.25))
    one, two = (trainer.sample(np.random.default_rng(5))["faces"] for _ in range(2))
    torch.testing.assert_close(one, two)


def test_what_is_spoiled_stays_a_picture_and_leaves_its_source_alone() -> None:
    rng, source = np.random.default_rng(0), face(0)
    before = source.copy()
    for _ in range(40):
        drawn = spoiled(jittered(source, rng), rng)
        assert drawn.shape == (112, 96, 3) and drawn.dtype == np.uint8
    np.testing.assert_array_equal(source, before)


def test_a_network_agrees_with_itself() -> None:
    torch.manual_seed(0)
    net = LightFaceNet(8).eval()
    scores = agreement(net, net, [face(k, 512) for k in range(2)])
    assert scores["pairs"] == 8
    assert scores["mean absolute difference of the cosine to the teacher's"] == 0
    assert scores["correlation with the teacher's cosine"] == pytest.approx(1)


def test_held_out_faces_are_not_trained_on(tmp_path: Path) -> None:
    for k in range(3):
        cv2.imwrite(str(tmp_path / f"{k}.png"), np.full((64, 64, 3), 10 * k, np.uint8))
    trained, held = read_faces(options(tmp_path))
    assert [int(f.mean()) for f in trained] == [0, 10] and [int(f.mean()) for f in held] == [20]
    assert trained[0].shape == (STORED, STORED, 3) and held[0].shape == (512, 512, 3)
    with pytest.raises(InputError, match="too few"):
        read_faces(options(tmp_path, held_out=3))


def test_a_training_leaves_a_model_that_compares_faces_and_a_card(tmp_path: Path) -> None:
    aligned, people, weights = tmp_path / "aligned", tmp_path / "people", tmp_path / "teacher.ckpt"
    aligned.mkdir()
    people.mkdir()
    for k in range(3):
        cv2.imwrite(str(aligned / f"{k}.png"), face(k, 128))
        cv2.imwrite(str(people / f"{k}.png"), data.astronaut()[:300, 60:400, ::-1])  # type: ignore[no-untyped-call]
    torch.manual_seed(0)
    torch.save({"net_state_dict": MobileFaceNet().state_dict()}, weights)
    chosen = replace(options(aligned), portraits=(people,), teacher=weights, schedule=Schedule(2, warmup=1))
    model = train_recogniser(chosen, tmp_path / "run", print)
    likeness = Likeness(OpenVinoBackend(model, exact=True))
    assert likeness(face(0), face(0)) == pytest.approx(1, abs=1e-5)
    assert likeness(face(0), face(1)) < 1
    card = model.with_suffix(".md").read_text(encoding="utf-8")
    assert "aligned: 2 pictures, 1 more held out" in card and "people: 2 pictures" in card
    assert "2 steps" in card and "correlation with the teacher's cosine" in card
