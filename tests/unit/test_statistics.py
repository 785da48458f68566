"""Laws of the bootstrap and of paired tests, and their agreement with scipy's own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from sfumato.evaluation.statistics import (
    Interval,
    Paired,
    bootstrap,
    compare_pairs,
    holm,
    mean_interval,
    sum_by_person,
)

numbers = st.floats(0, 1, allow_nan=False)
samples = st.lists(numbers, min_size=2, max_size=12)
probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@given(samples)
def test_an_interval_lies_within_the_values(values: list[float]) -> None:
    found = mean_interval(values)
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9
    assert found.value == pytest.approx(np.mean(values))


@given(samples)
def test_adding_a_constant_moves_an_interval_by_it(values: list[float]) -> None:
    moved = mean_interval([value + 3 for value in values])
    found = mean_interval(values)
    assert (moved.low, moved.high) == pytest.approx((found.low + 3, found.high + 3))


@given(samples)
def test_values_that_are_not_known_do_not_count(values: list[float]) -> None:
    assert mean_interval([*values, float("nan")]) == mean_interval(values)


def test_nothing_known_gives_nothing() -> None:
    assert np.isnan(mean_interval([float("nan")]).value)


def test_intervals_agree_with_scipy() -> None:
    values = np.random.default_rng(1).normal(0.8, 0.1, 60)
    found = mean_interval(values.tolist())
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20000, rng=np.random.default_rng(2)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert found.low == pytest.approx(theirs.low, abs=width / 20)  # what 2,000 samples leave to chance
    assert found.high == pytest.approx(theirs.high, abs=width / 20)


def test_a_figure_that_samples_leave_undefined_has_its_interval_from_the_others() -> None:
    def ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(
            np.divide(sums[:, :1], sums[:, 1:], out=np.full((len(sums), 1), np.nan), where=sums[:, 1:] > 0)
        )

    (found,) = bootstrap(np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]), ratio)
    assert found == Interval(1.0, 1.0, 1.0)
    (nothing,) = bootstrap(np.zeros((3, 2)), ratio)
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()


def test_pictures_of_a_person_are_drawn_together() -> None:
    counts = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert sum_by_person(counts, ["a", "b", "a"]).tolist() == [[6.0, 8.0], [3.0, 4.0]]


@given(probabilities)
def test_a_corrected_probability_is_never_smaller_and_keeps_the_order(found: list[float]) -> None:
    corrected = holm(found)
    assert all(after >= before for before, after in zip(found, corrected, strict=True))
    assert max(corrected) <= 1
    order = np.argsort(found, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


def test_a_model_does_not_differ_from_itself() -> None:
    scores = [0.9, 0.8, 0.7, 0.95] * 3
    (pair,) = compare_pairs({"a": scores, "b": scores})
    assert pair.p == 1
    assert not pair.significant
    assert pair.equivalent
    assert pair.verdict.startswith("a and b are not significantly different")


def test_a_model_that_is_better_everywhere_is_found_to_be() -> None:
    rng = np.random.default_rng(0)
    better = rng.uniform(0.8, 0.9, 40)
    (pair,) = compare_pairs({"worse": (better - 0.05).tolist(), "better": better.tolist()})
    assert pair.significant
    assert not pair.equivalent
    assert pair.difference.value == pytest.approx(-0.05)
    assert pair.verdict == "better is better than worse by 0.050 [0.050, 0.050], p < 0.001"


def test_the_test_agrees_with_wilcoxons_on_what_is_plain() -> None:
    rng = np.random.default_rng(3)
    first = rng.normal(0.8, 0.05, 50)
    second = first - rng.normal(0.01, 0.02, 50)
    (pair,) = compare_pairs({"a": first.tolist(), "b": second.tolist()})
    theirs = stats.wilcoxon(first, second).pvalue
    assert (pair.p < 0.05) == (theirs < 0.05)
    assert 0.1 < (pair.p + 1e-4) / (theirs + 1e-4) < 10


def test_chance_seldom_makes_a_difference() -> None:
    rng = np.random.default_rng(4)
    found = [
        compare_pairs({"a": rng.normal(size=20).tolist(), "b": rng.normal(size=20).tolist()})[0].significant
        for _ in range(60)
    ]
    assert sum(found) <= 8  # 3 are to be expected


def test_many_pairs_make_a_small_probability_count_less() -> None:
    rng = np.random.default_rng(5)
    base = rng.normal(0.8, 0.02, 15)
    scores = {"a": base.tolist(), "b": (base + rng.normal(0.012, 0.02, 15)).tolist()}
    alone = compare_pairs(scores)[0].p
    among = compare_pairs({**scores, "c": base[::-1].tolist(), "d": rng.normal(0.8, 0.02, 15).tolist()})[0].p
    assert among > alone


def test_a_verdict_names_the_better_model_first() -> None:
    pair = Paired("a", "b", Interval(-0.05, -0.07, -0.03), 0.01, 40)
    assert pair.verdict == "b is better than a by 0.050 [0.030, 0.070], p = 0.010"


def test_one_person_alone_proves_nothing() -> None:
    found = mean_interval([0.8, 0.9], ["a", "a"])
    assert found.value == pytest.approx(0.85)
    assert np.isnan([found.low, found.high]).all()
    (pair,) = compare_pairs({"a": [0.9, 0.9], "b": [0.9, 0.9]}, ["x", "x"])
    assert not pair.significant
    assert not pair.equivalent


def test_pictures_of_few_persons_do_not_make_chance_significant() -> None:
    rng = np.random.default_rng(6)
    persons = [str(k // 5) for k in range(100)]
    found = []
    for _ in range(60):
        apart = np.repeat(rng.normal(0, 0.02, 20), 5) + rng.normal(0, 0.005, 100)
        found.append(compare_pairs({"a": apart.tolist(), "b": [0.0] * 100}, persons)[0].significant)
    assert sum(found) <= 8  # 3 are to be expected; 20 and more if pictures were drawn, not persons


@given(samples)
def test_persons_with_one_picture_each_are_as_pictures(values: list[float]) -> None:
    assert mean_interval(values, [str(k) for k in range(len(values))]) == mean_interval(values)


def test_nothing_has_no_mean_and_no_difference() -> None:
    assert np.isnan(mean_interval([]).value)
    (pair,) = compare_pairs({"a": [0.5], "b": [float("nan")]})
    assert (pair.p, pair.persons) == (1.0, 0)
    assert np.isnan(pair.difference.value)


def test_a_small_difference_that_is_sure_is_not_called_nothing() -> None:
    pair = Paired("a", "b", Interval(0.00008, 0.00002, 0.00019), 0.0002, 40)
    assert pair.verdict.startswith("a is better than b by 8e-05")
