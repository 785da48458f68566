"""Say how sure a measured difference is: bootstrap intervals and paired tests; pure, and it measures nothing itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]
Statistic = Callable[[Values], Values]
"""Map BxK sums, one row per sample of the pictures, to BxM figures."""

CONFIDENCE = 0.95
RESAMPLES = 2000
"""Samples that an interval is drawn from: its ends move by about a fiftieth of its width from seed to seed."""

PERMUTATIONS = 9999
SIGNIFICANCE = 0.05
FEWEST = 10
"""Persons below which nothing is called equivalent: an interval drawn from so few is too narrow."""

EQUIVALENCE = 0.01
"""Difference within which two models count as equally good, when the whole interval lies in it."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with the ends of its confidence interval; nan where it is not defined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Paired:
    """How two models compare on the same pictures.

    Attributes:
        first, second: their names.
        difference: mean of the first's scores less the second's.
        p: probability of a difference this large if the models were alike, corrected for all pairs compared.
        persons: whose pictures both have scores of.
    """

    first: str
    second: str
    difference: Interval
    p: float
    persons: int

    @property
    def significant(self) -> bool:
        """Return whether the difference is more than chance, at a level of 5 %."""
        return self.p < SIGNIFICANCE

    @property
    def equivalent(self) -> bool:
        """Return whether the whole interval, of no few persons, lies within `EQUIVALENCE` of no difference."""
        if self.persons < FEWEST:
            return False
        return max(abs(self.difference.low), abs(self.difference.high)) <= EQUIVALENCE

    @property
    def verdict(self) -> str:
        """Return the comparison as a sentence.

        >>> Paired("a", "b", Interval(0.05, 0.03, 0.07), 0.001, 99).verdict
        'a is better than b by 0.050 [0.030, 0.070], p = 0.001'
        >>> Paired("a", "b", Interval(0.001, -0.002, 0.004), 0.6, 99).verdict
        'a and b are not significantly different: 0.001 [-0.002, 0.004], p = 0.600; equivalent within 0.01'
        """
        d = self.difference
        size = abs(d.value) if self.significant else d.value
        figures = f"{size:.3f}" if abs(size) >= 0.0005 or not size else f"{size:.1g}"
        ends = (-d.high, -d.low) if self.significant and d.value < 0 else (d.low, d.high)
        chance = f"[{ends[0]:.3f}, {ends[1]:.3f}], p {'< 0.001' if self.p < 0.001 else f'= {self.p:.3f}'}"
        alike = f"; equivalent within {EQUIVALENCE:g}" if self.equivalent else ""
        if not self.significant:
            return (
                f"{self.first} and {self.second} are not significantly different: {figures} {chance}{alike}"
            )
        better, worse = (self.first, self.second) if d.value > 0 else (self.second, self.first)
        return f"{better} is better than {worse} by {figures} {chance}{alike}"


def sum_by_person(counts: Values, persons: Sequence[str]) -> Values:
    """Return the sums of the rows of each person (PxK), in the order in which they first come.

    Pictures of one person are alike, so that persons, not pictures, are drawn anew (a cluster bootstrap).
    """
    if not len(counts):
        return np.zeros((0, counts.shape[1]))
    places: dict[str, int] = {}
    rows = [places.setdefault(person, len(places)) for person in persons]
    sums = np.zeros((len(places), counts.shape[1]))
    np.add.at(sums, rows, counts)
    return sums


def bootstrap(
    counts: Values, statistic: Statistic, *, seed: int = 0, resamples: int = RESAMPLES
) -> list[Interval]:
    """Return each figure of pooled counts with its percentile bootstrap interval of 95 %; one row alone has none.

    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3. The rows are drawn by how often each
    of them comes, so that one matrix product sums all samples; scipy's own `bootstrap` would call the statistic for
    one sample of one figure at a time.

    Args:
        counts: NxK, a row for each picture or person.
        statistic: maps BxK sums to BxM figures.
    """
    number = len(counts)
    whole = statistic(counts.sum(axis=0, keepdims=True))[0]
    if number < 2:
        return [Interval(float(value), np.nan, np.nan) for value in whole]
    rng = np.random.default_rng(seed)
    often = rng.multinomial(number, np.full(number, 1 / number), size=resamples)
    drawn = statistic(often.astype(np.float64) @ counts)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = (_percentile(drawn, q) for q in (tail, 100 - tail))
    return [Interval(float(v), float(a), float(b)) for v, a, b in zip(whole, low, high, strict=True)]


def mean_interval(
    values: Sequence[float], persons: Sequence[str] | None = None, *, seed: int = 0
) -> Interval:
    """Return the mean of values, one for each picture, with its interval; what is nan counts not.

    Args:
        persons: whose picture each is; by default everybody has one.

    >>> mean_interval([2.0, 2.0, 2.0])
    Interval(value=2.0, low=2.0, high=2.0)
    """
    return mean_intervals(np.asarray(values, dtype=np.float64)[:, None], persons, seed=seed)[0]


def mean_intervals(values: Values, persons: Sequence[str] | None = None, *, seed: int = 0) -> list[Interval]:
    """Return the mean of each column of NxM values as `mean_interval` does."""
    rows = np.flatnonzero(~np.isnan(values).all(axis=1))
    if not rows.size:
        return [Interval(np.nan, np.nan, np.nan)] * values.shape[1]
    everybody = _everybody(persons, len(values))
    known = ~np.isnan(values[rows])
    told = np.hstack([np.where(known, values[rows], 0.0), known])
    counts = sum_by_person(told, [everybody[k] for k in rows])
    half = values.shape[1]
    return bootstrap(counts, lambda sums: _quotient(sums[:, :half], sums[:, half:]), seed=seed)


def _everybody(persons: Sequence[str] | None, number: int) -> Sequence[str]:
    return [str(k) for k in range(number)] if persons is None else persons


def _quotient(sums: Values, numbers: Values) -> Values:
    """Return means, nan of nothing."""
    nothing = np.full_like(sums, np.nan)
    return np.asarray(np.divide(sums, numbers, out=nothing, where=numbers > 0), dtype=np.float64)


def _percentile(drawn: Values, q: float) -> Values:
    """Return a percentile of each column, without the samples in which a figure is not defined; nan without any."""
    columns = [column[~np.isnan(column)] for column in drawn.T]
    return np.array([np.percentile(column, q) if column.size else np.nan for column in columns])


def compare_pairs(
    scores: Mapping[str, Sequence[float]], persons: Sequence[str] | None = None, *, seed: int = 0
) -> list[Paired]:
    """Return the comparison of every two models by their scores of the same pictures, in order.

    The test draws the signs of the differences anew (a paired permutation test, by scipy), one sign for all pictures
    of a person; the probabilities are corrected for the number of pairs after Holm, 1979. Pictures of which one of the
    two has no score count not.

    Args:
        persons: whose picture each is; by default everybody has one.
    """
    found = [
        _Differences.of(scores[first], scores[second], persons) for first, second in combinations(scores, 2)
    ]
    corrected = holm([_chance(each.sums, seed) for each in found])
    return [
        Paired(first, second, mean_interval(each.values, each.persons, seed=seed), p, len(each.sums))
        for (first, second), each, p in zip(combinations(scores, 2), found, corrected, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Differences:
    """The differences of two models' scores that are known, whose pictures they are, and their sums by person."""

    values: list[float]
    persons: list[str]
    sums: Values

    @classmethod
    def of(
        cls, first: Sequence[float], second: Sequence[float], persons: Sequence[str] | None
    ) -> "_Differences":
        differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
        known = np.flatnonzero(~np.isnan(differences))
        everybody = _everybody(persons, len(differences))
        whose = [everybody[k] for k in known]
        sums = sum_by_person(differences[known][:, None], whose)[:, 0]
        return cls(differences[known].tolist(), whose, sums)


def _chance(differences: Values, seed: int) -> float:
    """Return the two-sided probability of a mean this far from 0 if the signs were drawn by chance."""
    if differences.size < 2 or not differences.any():
        return 1.0
    found = stats.permutation_test(
        (differences,),
        lambda drawn, axis: drawn.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        batch=500,  # bounds the memory for thousands of pictures
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def holm(probabilities: Sequence[float]) -> list[float]:
    """Return the probabilities of several tests, corrected by Holm's step-down procedure.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(probabilities)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(probabilities)), key=probabilities.__getitem__)):
        highest = max(highest, min(1.0, (len(probabilities) - rank) * probabilities[place]))
        corrected[place] = highest
    return corrected
