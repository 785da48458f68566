"""Measure a segmenter on labelled portraits: IoU of each class and of the face; it trains nothing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torchmetrics.classification import MulticlassConfusionMatrix

from sfumato.training.parsing_samples import Sample, read_parsing
from sfumato.types import CLASSES, FACE_CLASSES, Image, Labels

REPORTED_CLASSES: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7)
"""Classes of the mean IoU; teeth are left out, for their labels in the converted data are a heuristic."""


@dataclass(frozen=True, slots=True)
class ParsingScores:
    """Intersection over union (IoU) in 0..1, from one confusion matrix over all pixels.

    Attributes:
        classes: IoU of each class by name; nan where the class occurs in neither.
        mean: mean over `REPORTED_CLASSES`.
        face: IoU of the face region (skin, brows, eyes, lips, teeth).
        accuracy: share of right pixels.
    """

    classes: Mapping[str, float]
    mean: float
    face: float
    accuracy: float


def score_parsing(pairs: Iterable[tuple[Labels, Labels]]) -> ParsingScores:
    """Return the scores of (predicted, true) label pictures."""
    metric = MulticlassConfusionMatrix(len(CLASSES))
    for predicted, true in pairs:
        metric.update(torch.from_numpy(predicted), torch.from_numpy(true))
    return _scores(metric.compute().double())


def _scores(matrix: torch.Tensor) -> ParsingScores:
    """Return the scores of a confusion matrix, true classes in rows."""
    hits = matrix.diag()
    iou = hits / (matrix.sum(0) + matrix.sum(1) - hits)
    face = list(FACE_CLASSES)
    both = matrix[face][:, face].sum()
    either = matrix[face].sum() + matrix[:, face].sum() - both
    return ParsingScores(
        dict(zip(CLASSES, iou.tolist(), strict=True)),
        float(iou[list(REPORTED_CLASSES)].nanmean()),
        float(both / either),
        float(hits.sum() / matrix.sum()),
    )


def evaluate_segmenter(parse: Callable[[Image], Labels], root: Path, split: str = "val") -> ParsingScores:
    """Return the scores of `parse` on a split of a folder in EasyPortrait's layout, at the photos' own size."""
    return score_samples(parse, read_parsing(root, split))


def score_samples(parse: Callable[[Image], Labels], samples: Sequence[Sample]) -> ParsingScores:
    """Return the scores of `parse` on labelled pictures."""
    return score_parsing((parse(sample.image), sample.labels) for sample in samples)
