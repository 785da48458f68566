"""Measure a segmenter on labelled portraits: overlap and border of each class and of the face; it trains nothing."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path

import numpy as np
import torch
from torchmetrics.classification import MulticlassConfusionMatrix

from sfumato.errors import InputError
from sfumato.evaluation.boundary import BoundaryCounts, count_boundaries
from sfumato.training.easyportrait import find_portraits, report_faults, with_sides_mended
from sfumato.training.parsing_cache import iterate_samples
from sfumato.training.parsing_samples import Sample
from sfumato.types import CLASSES, FACE_CLASSES, Image, Labels

REPORTED_CLASSES: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7)
"""Classes of the mean IoU; teeth are left out, for their labels in the converted data are a heuristic."""

Parse = Callable[[Image], Labels]
Show = Callable[[Image, Labels, Labels], None]
"""Be shown a photo, its predicted and its true labels."""


@dataclass(frozen=True, slots=True)
class ParsingScores:
    """Scores in 0..1 over all pixels of all pictures.

    Attributes:
        classes: intersection over union (IoU) of each class by name; nan where the class occurs in neither.
        mean: mean IoU over `REPORTED_CLASSES`.
        face: IoU of the face region (skin, brows, eyes, lips, teeth).
        accuracy: share of right pixels.
        f1: F1 (Dice) of each class by name.
        boundary_f1: F1 of the borders of each class and of `face`, within 2 px at 512 (see `boundary`).
        swapped: masks that have left and right on the wrong sides; all of the above takes them as they are.
        mended_mean: `mean` with these masks set right.
    """

    classes: Mapping[str, float]
    mean: float
    face: float
    accuracy: float
    f1: Mapping[str, float]
    boundary_f1: Mapping[str, float]
    swapped: int = 0
    mended_mean: float = nan


def score_parsing(pairs: Iterable[tuple[Labels, Labels]]) -> ParsingScores:
    """Return the scores of (predicted, true) label pictures."""
    metric = _confusion()
    borders = {name: BoundaryCounts() for name in (*CLASSES, "face")}
    for predicted, true in pairs:
        metric.update(torch.from_numpy(predicted), torch.from_numpy(true))
        for index, name in enumerate(CLASSES):
            borders[name] += count_boundaries(predicted == index, true == index)
        borders["face"] += count_boundaries(np.isin(predicted, FACE_CLASSES), np.isin(true, FACE_CLASSES))
    return _scores(metric.compute().double(), {name: counts.f1 for name, counts in borders.items()})


def _confusion() -> MulticlassConfusionMatrix:
    """Return an empty matrix; without synchronisation, for the first of several training processes measures alone."""
    return MulticlassConfusionMatrix(len(CLASSES), sync_on_compute=False)


def _mean(matrix: torch.Tensor) -> float:
    hits = matrix.diag()
    return float((hits / (matrix.sum(0) + matrix.sum(1) - hits))[list(REPORTED_CLASSES)].nanmean())


def _scores(matrix: torch.Tensor, boundary_f1: Mapping[str, float]) -> ParsingScores:
    """Return the scores of a confusion matrix, true classes in rows."""
    hits, total = matrix.diag(), matrix.sum(0) + matrix.sum(1)
    iou, f1 = hits / (total - hits), 2 * hits / total
    face = list(FACE_CLASSES)
    both = matrix[face][:, face].sum()
    either = matrix[face].sum() + matrix[:, face].sum() - both
    return ParsingScores(
        classes=dict(zip(CLASSES, iou.tolist(), strict=True)),
        mean=_mean(matrix),
        face=float(both / either),
        accuracy=float(hits.sum() / matrix.sum()),
        f1=dict(zip(CLASSES, f1.tolist(), strict=True)),
        boundary_f1=boundary_f1,
    )


def evaluate_segmenter(
    parse: Parse, root: Path, split: str = "val", show: Show | None = None, *, mend_sides: bool = False
) -> ParsingScores:
    """Return the scores of `parse` on a split of a data set in EasyPortrait's layout, at the photos' own size.

    Args:
        mend_sides: swap left and right in masks that have them on the wrong sides; else the masks are taken as given.

    Raises:
        InputError: a photo has no mask or the other way round, or a pair cannot be used.
    """
    portraits = find_portraits(root, split)
    if portraits.faults:
        raise InputError(f"{root}: {' '.join(report_faults(portraits.faults).split())}")
    return score_samples(parse, iterate_samples(portraits.pairs, mend_sides=mend_sides), show)


def score_samples(parse: Parse, samples: Iterable[Sample], show: Show | None = None) -> ParsingScores:
    """Return the scores of `parse` on labelled pictures, showing each to `show`."""
    swapped, mended = 0, _confusion()

    def predict(sample: Sample) -> tuple[Labels, Labels]:
        nonlocal swapped
        predicted = parse(sample.image)
        if show is not None:
            show(sample.image, predicted, sample.labels)
        right = with_sides_mended(sample.labels)
        swapped += right is not sample.labels
        mended.update(torch.from_numpy(predicted), torch.from_numpy(right))
        return predicted, sample.labels

    scores = score_parsing(map(predict, samples))  # one pair in memory at a time
    return replace(scores, swapped=swapped, mended_mean=_mean(mended.compute().double()))
