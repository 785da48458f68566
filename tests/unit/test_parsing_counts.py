"""Laws of the counts of parsed pictures, known masks with known figures, and agreement with torchmetrics."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sfumato.evaluation.boundary import count_boundaries, find_border
from sfumato.evaluation.parsing import score_parsing
from sfumato.evaluation.parsing_counts import (
    COUNTS,
    FACE,
    FIGURES,
    REGIONS,
    PictureScore,
    count_picture,
    face_figures,
    figures_of,
)
from sfumato.types import CLASSES, Labels
from tests.unit.portraits import portrait

labels = arrays(np.uint8, (6, 7), elements=st.integers(0, 8))


def figures(predicted: Labels, true: Labels) -> Any:
    return figures_of(count_picture(predicted, true)[None])[0]


@given(labels, labels)
def test_figures_lie_between_0_and_1_and_f1_follows_from_iou(predicted: Labels, true: Labels) -> None:
    found = figures(predicted, true)
    known = found[~np.isnan(found)]
    assert ((known >= 0) & (known <= 1)).all()
    iou, f1, precision, recall, _ = found.T
    np.testing.assert_allclose(f1, 2 * iou / (1 + iou))
    np.testing.assert_allclose(f1, 2 * precision * recall / np.maximum(precision + recall, 1e-12), atol=1e-9)


@given(labels, labels)
def test_exchanging_prediction_and_truth_exchanges_precision_and_recall(
    predicted: Labels, true: Labels
) -> None:
    one, other = figures(predicted, true), figures(true, predicted)
    np.testing.assert_allclose(one[:, [0, 1, 4]], other[:, [0, 1, 4]])
    np.testing.assert_allclose(one[:, 2], other[:, 3])


@given(labels)
def test_a_perfect_prediction_scores_1_wherever_there_is_something(true: Labels) -> None:
    found = figures(true, true)
    present = [(true == k).any() for k in range(9)] + [(true >= 2).any()]
    assert (found[present, :4] == 1).all()
    assert np.isnan(found[~np.array(present)]).all()
    bordered = [find_border(true == k).any() for k in range(9)]
    assert (found[:9][bordered, 4] == 1).all()


def test_an_empty_prediction_scores_0() -> None:
    true = portrait(0).labels
    found = figures(np.zeros_like(true), true)
    assert (found[FACE] == 0).all()
    assert (found[1:FACE] == 0).all()
    assert found[0, FIGURES.index("recall")] == 1


def test_a_known_mask_has_known_figures() -> None:
    true, predicted = np.zeros((2, 40, 40), np.uint8)
    true[10:30, 10:30] = 2  # 400 pixels
    predicted[10:30, 20:40] = 2  # 400 pixels, 200 of both
    iou, f1, precision, recall, _ = figures(predicted, true)[FACE]
    assert (iou, f1, precision, recall) == pytest.approx((1 / 3, 1 / 2, 1 / 2, 1 / 2))


def test_left_and_right_count_as_one_face() -> None:
    true = portrait(0).labels
    mirrored = true.copy()
    mirrored[true == 5], mirrored[true == 6] = 6, 5
    found = figures(mirrored, true)
    assert found[FACE, 0] == 1
    assert found[5, 0] == 0


def test_sums_of_counts_score_as_the_measurement_of_a_data_set_does() -> None:
    pairs = [(portrait(k).labels, portrait(k + 1).labels[:, ::-1].copy()) for k in range(3)]
    whole = score_parsing(pairs)
    counts = sum(count_picture(predicted, true) for predicted, true in pairs)
    found = figures_of(np.asarray(counts)[None])[0]
    for k, name in enumerate(CLASSES):
        assert found[k, 0] == pytest.approx(whole.classes[name])
        assert found[k, 1] == pytest.approx(whole.f1[name])
    assert found[FACE, 0] == pytest.approx(whole.face)
    assert found[FACE, 4] == pytest.approx(whole.boundary_f1["face"])


def test_precision_and_recall_agree_with_torchmetrics() -> None:
    from torchmetrics.functional.classification import multiclass_precision, multiclass_recall

    predicted, true = portrait(0).labels, portrait(1).labels[:, ::-1].copy()
    found = figures(predicted, true)
    tensors = torch.from_numpy(predicted).flatten(), torch.from_numpy(true).flatten()
    precision = multiclass_precision(*tensors, num_classes=9, average="none")
    recall = multiclass_recall(*tensors, num_classes=9, average="none")
    np.testing.assert_allclose(found[:9, 2], precision, atol=1e-6)
    np.testing.assert_allclose(found[:9, 3], recall, atol=1e-6)


def test_a_picture_knows_its_figures() -> None:
    true = portrait(0).labels
    score = PictureScore("a", "somebody", 1, count_picture(true, true))
    assert score.counts.shape == (len(REGIONS), len(COUNTS))
    assert score.has_face
    assert face_figures([score]).tolist() == [[1.0] * 5]


def test_every_model_is_judged_by_the_pictures_that_have_a_face() -> None:
    empty = np.zeros((128, 128), np.uint8)
    alarm = PictureScore("a", "somebody", 1, count_picture(portrait(0).labels, empty))
    silence = PictureScore("a", "somebody", 0, count_picture(empty, empty))
    assert np.isnan(face_figures([alarm, silence])).all()
    assert face_figures([]).shape == (0, 5)


@given(st.integers(0, 200))
def test_borders_of_a_part_of_the_picture_are_those_of_the_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true, predicted = np.zeros((2, 40, 50), np.uint8)
    for labels, colour in ((true, 5), (predicted, 5)):
        y, x = rng.integers(0, 38), rng.integers(0, 48)
        labels[y : y + rng.integers(1, 20), x : x + rng.integers(1, 20)] = colour
    whole = count_boundaries(predicted == 5, true == 5)
    mine = count_picture(predicted, true)[5, 3:]
    assert mine.tolist() == [whole.predicted, whole.predicted_near, whole.true, whole.true_near]
