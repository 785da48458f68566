"""Work out every figure of a comparison of segmenters once, for tables, files and the choice; it measures nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sfumato.evaluation.segmenter_comparison import PLAIN, Comparison, Figures
from sfumato.evaluation.statistics import Interval, Paired

TESTED: Sequence[str] = ("iou", "boundary_f1")
"""Figures of the face region by which models are compared in pairs."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Every figure of a comparison.

    Attributes:
        means: of each model and variant, the means over portraits of the figures of the face region.
        pooled: of each model and variant, the figures of all pixels together, by region.
        groups: of each model, how many portraits of each group there are and the IoU of the face in them, by respect.
        pairs: the comparison of every two models by each figure of `TESTED`.
    """

    comparison: Comparison
    means: Mapping[str, Mapping[str, Mapping[str, Interval]]]
    pooled: Mapping[str, Mapping[str, Figures]]
    groups: Mapping[str, Mapping[str, Mapping[str, tuple[int, Interval]]]]
    pairs: Mapping[str, Sequence[Paired]]

    @property
    def models(self) -> list[str]:
        """Return the names of the models."""
        return [rival.name for rival in self.comparison.rivals]

    @property
    def variants(self) -> list[str]:
        """Return the names of the variants."""
        return list(self.means[self.models[0]])

    def mean_iou(self, model: str) -> Interval:
        """Return the mean IoU of the face region of plain portraits."""
        return self.means[model][PLAIN]["iou"]


def summarise(comparison: Comparison) -> Summary:
    """Return every figure of a comparison."""
    scores = comparison.scores
    return Summary(
        comparison,
        {
            name: {variant: comparison.face_means(name, variant) for variant in scores[name]}
            for name in scores
        },
        {name: {variant: comparison.figures(name, variant) for variant in scores[name]} for name in scores},
        {name: comparison.by_group(name) for name in scores},
        {figure: comparison.paired(figure) for figure in TESTED},
    )
