"""Borders of regions, against a brute force over all pairs of pixels and against scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from sfumato.evaluation.boundary import BoundaryCounts, count_boundaries, find_border

Region = NDArray[np.bool_]
regions = arrays(np.bool_, (9, 11))


def count_near(border: Region, other: Region, reach: float) -> int:
    others = np.argwhere(other)
    return sum(any(np.hypot(*(p - q)) <= reach for q in others) for p in np.argwhere(border))


@given(regions)
def test_a_border_equals_scipys_erosion(region: Region) -> None:
    eroded = ndimage.binary_erosion(region, border_value=1)
    np.testing.assert_array_equal(find_border(region), region & ~eroded)


@given(regions, regions, st.sampled_from([1.0, 1.5, 2.0, 3.0]))
def test_counts_equal_a_brute_force(predicted: Region, true: Region, reach: float) -> None:
    a, b = find_border(predicted), find_border(true)
    expected = BoundaryCounts(int(a.sum()), count_near(a, b, reach), int(b.sum()), count_near(b, a, reach))
    assert count_boundaries(predicted, true, reach) == expected


@given(regions)
def test_a_region_agrees_with_itself(region: Region) -> None:
    score = count_boundaries(region, region).f1
    assert score == 1 if find_border(region).any() else np.isnan(score)


@pytest.mark.parametrize(("shift", "score"), [(2, 1.0), (3, 0.0)])
def test_a_line_moved_by_two_pixels_at_512_still_counts(shift: int, score: float) -> None:
    true, predicted = np.zeros((512, 512), bool), np.zeros((512, 512), bool)
    true[:, 200], predicted[:, 200 + shift] = True, True
    assert count_boundaries(predicted, true).f1 == score


def test_counts_add_up() -> None:
    one, two = BoundaryCounts(1, 1, 2, 0), BoundaryCounts(3, 0, 2, 2)
    assert one + two == BoundaryCounts(4, 1, 4, 2)
    assert (one + two).f1 == pytest.approx(2 * 0.25 * 0.5 / 0.75)


def test_a_region_that_is_missed_scores_nothing() -> None:
    true = np.zeros((8, 8), bool)
    true[2:5, 2:5] = True
    assert count_boundaries(np.zeros_like(true), true).f1 == 0
    assert count_boundaries(true, np.zeros_like(true)).f1 == 0
