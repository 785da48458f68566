"""Say how near painted photos come to paintings, and how sure that is; it paints nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sfumato.errors import InputError
from sfumato.evaluation.judges import open_lite, open_vgg
from sfumato.evaluation.statistics import Interval
from sfumato.evaluation.style import Rows, lite_statistics, picture_statistics
from sfumato.training.crops import list_pictures, read_picture
from sfumato.types import Image

RESAMPLES = 200
NORMAL = 1.96
"""Standard errors on both sides of a value that make up 95 % of a normal distribution."""

FEWEST = 3
"""Pictures below which no distance is measured: two have a covariance of one direction."""


@dataclass(frozen=True, slots=True)
class StyleJudge:
    """Paintings as one network sees them.

    Attributes:
        name: of the network.
        describe: returns one row of statistics for each picture.
        paintings: a row for each painting.
    """

    name: str
    describe: Callable[[Sequence[Image]], Rows]
    paintings: Rows


def spread_distance(a: Rows, b: Rows) -> float:
    """Return the Frechet distance of two Gaussians fitted to the rows, as `style.frechet_distance` without its ridge.

    The trace of the root of a product of covariances A'A B'B is the sum of the singular values of AB' (A and B are the
    rows less their mean, over the root of their number less one): fast where there are fewer pictures than columns, and
    exact without a ridge.
    """
    offset = float(np.square(a.mean(axis=0) - b.mean(axis=0)).sum())
    first, second = ((rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1) for rows in (a, b))
    shared = np.linalg.svd(first @ second.T, compute_uv=False).sum()
    return float(offset + np.square(first).sum() + np.square(second).sum() - 2 * shared)


def open_style_judges(paintings: Path, vgg: Path | None) -> tuple[StyleJudge, ...]:
    """Return EfficientNet-Lite0 and, if its file is given, VGG19, with a folder of paintings as they see them.

    Raises:
        InputError: the folder has too few paintings.
        BackendMissingError: the package of EfficientNet-Lite0 is not installed.
        ModelError: the file holds no VGG19.
    """
    paths = list_pictures(paintings)
    if len(paths) < FEWEST:
        raise InputError(f"{paintings} holds {len(paths)} paintings; {FEWEST} are needed to measure a style")
    lite = partial(lite_statistics, lite=open_lite())
    describers: dict[str, Callable[[Sequence[Image]], Rows]] = {"EfficientNet-Lite0": lite}
    if vgg is not None:
        describers["VGG19"] = partial(picture_statistics, vgg=open_vgg(vgg))
    pictures = [read_picture(path) for path in paths]
    return tuple(StyleJudge(name, describe, describe(pictures)) for name, describe in describers.items())


def measure_fractions(
    photos: Rows,
    results: Mapping[str, Rows],
    paintings: Rows,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Mapping[str, Interval]:
    """Return the distance to the paintings of each set of results as a fraction of the photos' own.

    The intervals come from photos drawn anew, each with its results; the paintings stay. A sample of N pictures holds
    some of them twice, so that its distances are larger still than those of N pictures, which are larger than those of
    many; percentiles would lie to one side. Each interval is therefore the value with 1.96 standard errors to both
    sides, the error that of the samples (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 12).

    Args:
        photos: Nxd statistics.
        results: Nxd statistics of the same pictures, by name.
        paintings: Mxd statistics.
    """
    number = len(photos)
    if number < FEWEST:
        return dict.fromkeys(results, Interval(np.nan, np.nan, np.nan))
    rng = np.random.default_rng(seed)
    drawn = [rng.integers(0, number, number) for _ in range(resamples)]
    drawn = [rows for rows in drawn if len(set(rows)) > 1]
    sets = {"": photos, **results}
    whole = {name: spread_distance(rows, paintings) for name, rows in sets.items()}
    samples = {
        name: np.array([spread_distance(rows[k], paintings) for k in drawn]) for name, rows in sets.items()
    }
    return {name: _around(whole[name] / whole[""], samples[name] / samples[""]) for name in results}


def _around(value: float, samples: Rows) -> Interval:
    reach = NORMAL * float(np.std(samples, ddof=1))
    return Interval(value, max(0.0, value - reach), value + reach)
