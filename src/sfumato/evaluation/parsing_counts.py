"""Count the right and wrong pixels of one parsed picture, and turn sums of counts into figures; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import multiclass_confusion_matrix

from sfumato.evaluation.boundary import TOLERANCE, count_boundaries
from sfumato.evaluation.parsing import REPORTED_CLASSES
from sfumato.types import CLASSES, FACE_CLASSES, Labels

Values = NDArray[np.float64]

REGIONS: tuple[str, ...] = (*CLASSES, "face")
"""What is measured: each class, and the face region, which is all of skin, brows, eyes, lips and teeth."""

FACE = len(CLASSES)
"""Place of the face region among `REGIONS`."""

COUNTS: tuple[str, ...] = ("hits", "extra", "missed", "predicted", "predicted near", "true", "true near")
"""What is counted of each region: pixels of both, of the prediction alone, of the truth alone; and border pixels of
the prediction, those of them near the truth's border, and the other way round."""

FIGURES: tuple[str, ...] = ("iou", "f1", "precision", "recall", "boundary_f1")


def count_picture(predicted: Labels, true: Labels) -> Values:
    """Return the counts of one picture, 10x7: `REGIONS` by `COUNTS`."""
    rows = np.zeros((len(REGIONS), len(COUNTS)))
    matrix = multiclass_confusion_matrix(
        torch.from_numpy(predicted).long(), torch.from_numpy(true).long(), len(CLASSES)
    ).numpy()
    hits = np.diag(matrix)
    rows[:FACE, :3] = np.column_stack([hits, matrix.sum(axis=0) - hits, matrix.sum(axis=1) - hits])
    face = list(FACE_CLASSES)
    both = matrix[np.ix_(face, face)].sum()
    rows[FACE, :3] = both, matrix[:, face].sum() - both, matrix[face].sum() - both
    for k in range(FACE):
        rows[k, 3:] = _borders(predicted == k, true == k)
    rows[FACE, 3:] = _borders(np.isin(predicted, FACE_CLASSES), np.isin(true, FACE_CLASSES))
    return rows


def _borders(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Count borders within the part of the picture that holds both regions, for most are small."""
    x, y, width, height = cv2.boundingRect((predicted | true).astype(np.uint8))
    if not width:
        return 0, 0, 0, 0
    place = slice(max(0, y - 1), y + height + 1), slice(max(0, x - 1), x + width + 1)
    reach = max(1.0, TOLERANCE * max(true.shape))
    counts = count_boundaries(predicted[place], true[place], reach)
    return counts.predicted, counts.predicted_near, counts.true, counts.true_near


def figures_of(counts: Values) -> Values:
    """Return Bx10x5, `REGIONS` by `FIGURES`, of Bx10x7 sums of counts; nan where a region is nowhere.

    IoU = hits / all; F1 = 2 hits / (predicted + true); precision = hits / predicted; recall = hits / true; boundary
    F1 is that of `boundary.BoundaryCounts`.

    >>> figures_of(np.array([[[6.0, 2.0, 4.0, 10.0, 5.0, 4.0, 4.0]]])).round(3).tolist()
    [[[0.5, 0.667, 0.75, 0.6, 0.667]]]
    """
    hits, extra, missed, predicted, predicted_near, true, true_near = np.moveaxis(counts, -1, 0)
    somewhere = hits + extra + missed > 0
    sharp, found = _part(predicted_near, predicted), _part(true_near, true)
    figures = [
        _part(hits, hits + extra + missed),
        _part(2 * hits, 2 * hits + extra + missed),
        _part(hits, hits + extra),
        _part(hits, hits + missed),
        _part(2 * sharp * found, sharp + found),
    ]
    shown = np.stack(figures, axis=-1)
    shown[~somewhere] = np.nan
    shown[..., 4][predicted + true == 0] = np.nan
    return np.asarray(shown, dtype=np.float64)


def mean_of_classes(figures: Values) -> Values:
    """Return Bx5, the mean of Bx10x5 figures over `REPORTED_CLASSES`, without classes that are nowhere.

    >>> mean_of_classes(np.array([[[0.5]] * 4 + [[np.nan]] * 4 + [[0.0]] * 2])).tolist()
    [[0.5]]
    """
    classes = figures[:, list(REPORTED_CLASSES)]
    known = ~np.isnan(classes)
    return _quotient(np.where(known, classes, 0.0).sum(axis=1), known.sum(axis=1))


def _quotient(sums: Values, numbers: NDArray[np.int_]) -> Values:
    nothing = np.full_like(sums, np.nan)
    return np.asarray(np.divide(sums, numbers, out=nothing, where=numbers > 0), dtype=np.float64)


def _part(share: Values, whole: Values) -> Values:
    return np.asarray(np.divide(share, whole, out=np.zeros_like(share), where=whole > 0), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class PictureScore:
    """What one model made of one picture.

    Attributes:
        name: of the picture.
        person: whose picture it is.
        faces: how many were found.
        counts: 10x7, see `count_picture`.
    """

    name: str
    person: str
    faces: int
    counts: Values

    @property
    def has_face(self) -> bool:
        """Return whether the truth has a face region."""
        return bool(self.counts[FACE, 0] + self.counts[FACE, 2] > 0)


def face_figures(scores: Sequence[PictureScore]) -> Values:
    """Return Nx5, the `FIGURES` of the face region of each picture; nan where the truth has no face.

    So every model is judged by the same pictures; false alarms on the others count in the pooled figures.
    """
    if not scores:
        return np.zeros((0, len(FIGURES)))
    figures = figures_of(np.stack([score.counts for score in scores]))[:, FACE]
    figures[[not score.has_face for score in scores]] = np.nan
    return figures
