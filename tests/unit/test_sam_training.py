"""The training of the small SAM: its pictures, its losses, and that prompts are learnt to be obeyed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.nets.sam import read_sam
from sfumato.training.lightning_run import DrawnData, run_training
from sfumato.training.run_options import RunOptions
from sfumato.training.sam import SamModule, mask_iou, sam_loss, train_sam
from sfumato.training.sam_draw import (
    Portrait,
    SamDraw,
    SquaredPortraits,
    draw_matrix,
    lay_portrait,
    moved_face,
)
from sfumato.training.sam_options import NAME, SamOptions, sized_as
from sfumato.types import FACE_CLASSES
from tests.unit.portraits import portrait, write_dataset, write_surroundings
from tests.unit.test_sam import face_at

RUN = RunOptions(steps=6, batch=4, warmup=2, validate_every=3, log_every=1, workers=0, accelerator="cpu")
OPTIONS = SamOptions(Path(), (), RUN, size=64, width=32, depth=3, heads=2, channels=32)


def portraits(count: int = 3) -> list[Portrait]:
    """Return portraits of ellipses, with the faces that they have."""
    return [Portrait(portrait(k, 128), face_at(0.21, 9, 4)) for k in range(count)]


def test_a_portrait_lies_in_its_window_and_its_mask_on_it() -> None:
    scene = np.full((64, 64, 3), 200, np.uint8)
    matrix = np.array([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]])
    face, mask = lay_portrait(scene, slice(32, 64), portraits(1)[0], matrix)
    assert (scene[:, :32] == 200).all()
    assert not (scene[:, 32:] == 200).all()
    assert mask[:, :32].max() == 0
    assert mask[30, 40] == pytest.approx(1)
    assert face.box == pytest.approx([value / 2 for value in portraits(1)[0].face.box])


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_a_face_drawn_into_a_window_keeps_its_points_in_order(seed: int, second: bool) -> None:
    face, window = portraits(1)[0].face, slice(32, 64) if second else slice(0, 64)
    moved = moved_face(face, draw_matrix(face, window, 64, np.random.default_rng(seed)))
    centre = (moved.box[0] + moved.box[2]) / 2
    assert window.start <= centre <= window.stop
    assert moved.points[0, 0] < moved.points[1, 0]  # the eyes, left to right, mirrored or not
    assert moved.points[3, 0] < moved.points[4, 0]
    for x, y in moved.points:
        assert moved.box[0] - 3 <= x <= moved.box[2] + 3
        assert moved.box[1] - 3 <= y <= moved.box[3] + 3


def test_a_drawn_picture_depends_on_its_number_alone() -> None:
    draw = SamDraw(portraits(), [], OPTIONS)
    first, second = draw(np.random.default_rng((0, 7))), draw(np.random.default_rng((0, 7)))
    assert first.keys() == {"image", "points", "boxes", "mask"}
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, rtol=0, atol=0)
    assert first["mask"].shape == (32, 32)


def test_the_loss_is_least_for_the_true_mask_that_knows_itself() -> None:
    mask = torch.zeros(2, 8, 8)
    mask[:, 2:6, 2:6] = 1
    right = (20 * (2 * mask - 1))[:, None].repeat(1, 3, 1, 1)
    known = torch.ones(2, 3)
    best = sam_loss(right, known, mask)
    assert float(best) == pytest.approx(0, abs=0.05)
    assert sam_loss(right, torch.zeros(2, 3), mask) > best + 0.9
    one = torch.cat([right[:, :1], -right[:, :2]], dim=1)
    said = torch.tensor([[1.0, 0, 0]] * 2)
    assert float(sam_loss(one, said, mask)) == pytest.approx(
        float(best), abs=1e-4
    )  # the best of three counts
    assert sam_loss(-right, torch.zeros(2, 3), mask) > 5


def test_mask_iou_counts_pixels() -> None:
    mask = torch.zeros(1, 4, 4)
    mask[:, :2] = 1
    logits = torch.full((1, 3, 4, 4), -1.0)
    logits[:, 0, :2] = 1
    logits[:, 1, 1:3] = 1
    assert mask_iou(logits, mask)[0].tolist() == pytest.approx([1, 1 / 3, 0])


@pytest.mark.long
def test_few_portraits_are_learnt_by_heart(tmp_path: Path) -> None:
    chosen = replace(OPTIONS, run=replace(RUN, steps=240, batch=6, validate_every=80, warmup=20, average=0.9))
    module = SamModule(chosen)
    shown = SquaredPortraits(portraits(2), chosen)

    class Repeat:
        def __call__(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
            return dict(shown[int(rng.integers(2))])

    run_training(module, DrawnData(Repeat(), shown, chosen.run), tmp_path, chosen.run, lambda _: None)
    logits, said = module.eval().net(
        {name: torch.stack([shown[k][name] for k in range(2)]) for name in shown[0]}
    )
    assert (
        float(mask_iou(logits, torch.stack([shown[k]["mask"] for k in range(2)])).max(1).values.min()) > 0.8
    )
    assert said.shape == (2, 3)


@pytest.mark.long
def test_a_run_leaves_weights_in_the_authors_layout_and_a_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_dataset(tmp_path / "data")
    write_surroundings(tmp_path / "around")
    monkeypatch.setattr(
        "sfumato.training.sam.with_faces",
        lambda samples, _: [Portrait(sample, face_at(0.21, 9, 4)) for sample in samples],
    )
    options = replace(
        OPTIONS, portraits=data, backgrounds=(tmp_path / "around" / "photos",), cache=tmp_path / "cache"
    )
    path = train_sam(options, tmp_path / "run", lambda _: None)
    assert path.name == f"{NAME}.safetensors"
    read: Any = read_sam(path)
    assert read.config.vision_config.image_size == 64
    again = sized_as(replace(options, cache=tmp_path / "cache"), path)
    assert (again.size, again.patch, again.width, again.depth, again.heads, again.channels) == (
        64,
        8,
        32,
        3,
        2,
        32,
    )
    module = SamModule(again)
    trained = [name for name, parameter in module.named_parameters() if not parameter.requires_grad]
    assert trained == ["net.model.shared_image_embedding.positional_embedding"]
    card = path.with_suffix(".md").read_text()
    for words in ("sfumato train sam --portraits data", "mean IoU of the face region", "Limits", "seed 0"):
        assert words in card
    names = {file.name for file in (tmp_path / "run").iterdir()}
    assert {"encoder.onnx", "decoder.onnx", "config.json", "last.ckpt", "loss.png"} <= names
    assert np.isin(2, FACE_CLASSES)
