"""Scores of parsing, against torchmetrics and a case counted by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torchmetrics.classification import MulticlassF1Score, MulticlassJaccardIndex

from sfumato.errors import InputError, OutputExistsError
from sfumato.evaluation.parsing import evaluate_segmenter, score_parsing, score_samples
from sfumato.evaluation.side_by_side import SideBySide
from sfumato.evaluation.speed import time_network
from sfumato.io import read_picture
from sfumato.training.easyportrait import PALETTE
from sfumato.training.parsing_samples import Sample
from sfumato.types import CLASSES, Labels
from tests.unit.portraits import portrait, swap_sides, write_dataset


def labels(seed: int) -> Labels:
    return np.random.default_rng(seed).integers(0, 9, (24, 31), dtype=np.uint8)


@given(st.integers(0, 1000))
def test_iou_of_each_class_equals_torchmetrics(seed: int) -> None:
    pairs = [(labels(seed), labels(seed + 1)), (labels(seed + 2), labels(seed + 3))]
    metric = MulticlassJaccardIndex(9, average="none")
    for predicted, true in pairs:
        metric.update(torch.from_numpy(predicted), torch.from_numpy(true))
    ours = score_parsing(pairs)
    np.testing.assert_allclose([ours.classes[name] for name in CLASSES], metric.compute().numpy(), rtol=1e-5)
    dice = MulticlassF1Score(9, average="none")
    for predicted, true in pairs:
        dice.update(torch.from_numpy(predicted), torch.from_numpy(true))
    np.testing.assert_allclose([ours.f1[name] for name in CLASSES], dice.compute().numpy(), rtol=1e-5)


def test_a_perfect_prediction_scores_one() -> None:
    scores = score_samples(lambda _: labels(4), [Sample(np.zeros((24, 31, 3), np.uint8), labels(4))])
    assert scores.mean == scores.face == scores.accuracy == 1
    assert set(scores.f1.values()) == set(scores.boundary_f1.values()) == {1.0}


def test_a_case_counted_by_hand() -> None:
    true = np.array([[0, 0, 2, 2]], np.uint8)
    predicted = np.array([[0, 2, 5, 2]], np.uint8)
    scores = score_parsing([(predicted, true)])
    assert scores.classes["background"] == pytest.approx(1 / 2)
    assert scores.classes["skin"] == pytest.approx(1 / 3)
    assert scores.face == pytest.approx(2 / 3)
    assert scores.accuracy == pytest.approx(1 / 2)
    assert scores.f1["background"] == pytest.approx(2 / 3)
    assert np.isnan(scores.classes["teeth"])
    assert scores.mean == pytest.approx((1 / 2 + 1 / 3 + 0) / 3)


def test_pictures_are_shown_side_by_side_in_the_colours_of_the_data_set(tmp_path: Path) -> None:
    sample = portrait(0)
    show = SideBySide(tmp_path / "shown")
    score_samples(lambda _: np.zeros_like(sample.labels), [sample, sample], show)
    assert sorted(path.name for path in (tmp_path / "shown").iterdir()) == ["00000.png", "00001.png"]
    row = read_picture(tmp_path / "shown/00000.png").image
    assert row.shape == (128, 3 * 128, 3)
    np.testing.assert_array_equal(row[:, :128], sample.image)
    assert not row[:, 128:256].any()
    np.testing.assert_array_equal(row[:, 256:], PALETTE[sample.labels])
    with pytest.raises(OutputExistsError):
        SideBySide(tmp_path / "shown")(sample.image, sample.labels, sample.labels)


def test_a_faulty_data_set_is_refused_with_its_faults(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    (tmp_path / "annotations/val/val0.png").unlink()
    with pytest.raises(InputError, match=r"1 x photo without mask .*val0\.png has no mask"):
        evaluate_segmenter(lambda image: image[..., 0], tmp_path)


def test_a_network_is_timed() -> None:
    timing = time_network(Doubling(), 64, runs=5)
    assert 0 < timing.least <= timing.median <= timing.most
    assert str(timing).endswith(")")


class Doubling:
    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> Sequence[NDArray[np.float32]]:
        assert inputs["input"].shape == (1, 3, 64, 64)
        return [2 * inputs["input"]]


def test_masks_with_swapped_sides_are_counted_and_mended_only_when_asked(tmp_path: Path) -> None:
    root = write_dataset(tmp_path, ("val",))
    truth = {portrait(k).image.tobytes(): portrait(k).labels for k in range(2)}
    cv2.imwrite(str(root / "annotations/val/val0.png"), swap_sides(portrait(0).labels))
    given = evaluate_segmenter(lambda image: truth[image.tobytes()], root)
    mended = evaluate_segmenter(lambda image: truth[image.tobytes()], root, mend_sides=True)
    assert (given.swapped, mended.swapped) == (1, 0)
    assert given.mean < mended.mean == given.mended_mean == mended.mended_mean == 1
    assert given.face == mended.face == 1
