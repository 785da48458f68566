"""Scores of parsing, against torchmetrics and a case counted by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.classification import MulticlassJaccardIndex

from sfumato.evaluation.parsing import score_parsing, score_samples
from sfumato.training.parsing_samples import Sample
from sfumato.types import CLASSES, Labels


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


def test_a_perfect_prediction_scores_one() -> None:
    scores = score_samples(lambda _: labels(4), [Sample(np.zeros((24, 31, 3), np.uint8), labels(4))])
    assert scores.mean == scores.face == scores.accuracy == 1


def test_a_case_counted_by_hand() -> None:
    true = np.array([[0, 0, 2, 2]], np.uint8)
    predicted = np.array([[0, 2, 5, 2]], np.uint8)
    scores = score_parsing([(predicted, true)])
    assert scores.classes["background"] == pytest.approx(1 / 2)
    assert scores.classes["skin"] == pytest.approx(1 / 3)
    assert scores.face == pytest.approx(2 / 3)
    assert scores.accuracy == pytest.approx(1 / 2)
    assert np.isnan(scores.classes["teeth"])
    assert scores.mean == pytest.approx((1 / 2 + 1 / 3 + 0) / 3)
