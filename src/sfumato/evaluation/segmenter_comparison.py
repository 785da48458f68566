"""Compare segmenters on labelled portraits, plain and made harder; it draws and chooses nothing.

Section 2.5 of the paper, "the segmentation accuracy, robustness, and ability to handle complex facial features", in
figures: each model parses the same pictures at the faces that one detector found.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sfumato.cost import SegmenterCost, measure_apart
from sfumato.errors import InputError, ModelError
from sfumato.evaluation.contenders import Contender, open_contenders, spread_evenly
from sfumato.evaluation.groups import find_groups, read_details
from sfumato.evaluation.parsing_counts import (
    COUNTS,
    FIGURES,
    REGIONS,
    PictureScore,
    Values,
    count_picture,
    face_figures,
    figures_of,
    mean_of_classes,
)
from sfumato.evaluation.statistics import (
    Interval,
    Paired,
    bootstrap,
    compare_pairs,
    mean_intervals,
    sum_by_person,
)
from sfumato.evaluation.variants import VARIANTS, vary
from sfumato.resolve import Opened
from sfumato.segmenters import SEGMENTERS, Segments, choose_available, open_segmenter
from sfumato.stages.sam import SamSegmenter
from sfumato.training.easyportrait import Pair, find_portraits, list_users, report_faults
from sfumato.training.parsing_samples import Sample
from sfumato.types import Detect, Face, Image

PLAIN = "plain"
MEAN = "mean"
"""Stands among the regions for the mean over the classes, teeth left out, as everywhere (`REPORTED_CLASSES`)."""

Figures = Mapping[str, Mapping[str, Interval]]
"""Figures by region and name."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A segmenter that takes part.

    Attributes:
        name: as it is shown.
        asked: as `--segmenter` takes it.
        classes: it names the parts of faces itself.
    """

    name: str
    asked: str
    sha256: str
    stage: Segments
    classes: bool


@dataclass(frozen=True, slots=True)
class Portrait:
    """A labelled picture that is measured on.

    Attributes:
        groups: its group in each respect, by name of the respect.
    """

    name: str
    person: str
    groups: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was measured.

    Attributes:
        data: folder and split.
        rivals: those that took part, in the order in which they were asked for.
        portraits: what was measured on, in the order of the scores.
        scores: of each model and variant, one for each portrait.
        missing: why each of the others did not take part, or what it costs is not known, by name.
        costs: of each model; none where costs were not asked for.
        conditions: what else was chosen, by name.
        seed: of variants, intervals and tests.
    """

    data: str
    rivals: tuple[Rival, ...]
    portraits: tuple[Portrait, ...]
    scores: Mapping[str, Mapping[str, Sequence[PictureScore]]]
    missing: Mapping[str, str] = field(default_factory=dict)
    costs: Mapping[str, SegmenterCost] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0

    def figures(self, model: str, variant: str = PLAIN) -> Figures:
        """Return every figure of a model with its interval; of a model without classes, those of the face alone."""
        return pooled(self.scores[model][variant], seed=self.seed, classes=self._rival(model).classes)

    def face_scores(self, model: str, figure: str = "iou", variant: str = PLAIN) -> list[float]:
        """Return one figure of the face region of each portrait; nan where the truth has none."""
        scores: list[float] = face_figures(self.scores[model][variant])[:, FIGURES.index(figure)].tolist()
        return scores

    def face_means(self, model: str, variant: str = PLAIN) -> Mapping[str, Interval]:
        """Return the mean over portraits of each figure of the face region, with its interval."""
        figures = face_figures(self.scores[model][variant])
        return dict(zip(FIGURES, mean_intervals(figures, self.persons, seed=self.seed), strict=True))

    def paired(self, figure: str = "iou", variant: str = PLAIN) -> list[Paired]:
        """Return the comparison of every two models by a figure of the face region."""
        scores = {rival.name: self.face_scores(rival.name, figure, variant) for rival in self.rivals}
        return compare_pairs(scores, self.persons, seed=self.seed)

    @property
    def persons(self) -> list[str]:
        """Return whose picture each portrait is."""
        return [portrait.person for portrait in self.portraits]

    def by_group(self, model: str) -> Mapping[str, Mapping[str, tuple[int, Interval]]]:
        """Return how many portraits of each group there are, and the IoU of the face region in them, by respect."""
        found: dict[str, dict[str, tuple[int, Interval]]] = {}
        for respect in sorted({r for portrait in self.portraits for r in portrait.groups}):
            for group in sorted({p.groups[respect] for p in self.portraits if respect in p.groups}):
                chosen = [
                    score
                    for score, portrait in zip(self.scores[model][PLAIN], self.portraits, strict=True)
                    if portrait.groups.get(respect) == group
                ]
                figures = pooled(chosen, seed=self.seed, classes=False)
                found.setdefault(respect, {})[group] = len(chosen), figures["face"]["iou"]
        return found

    def ranked(self, model: str) -> list[int]:
        """Return the places of the portraits by the IoU of the face region, best first."""
        scores = self.face_scores(model)
        known = [k for k, score in enumerate(scores) if not np.isnan(score)]
        return sorted(known, key=lambda k: -scores[k])

    def _rival(self, name: str) -> Rival:
        return next(rival for rival in self.rivals if rival.name == name)


def pooled(scores: Sequence[PictureScore], *, seed: int = 0, classes: bool = True) -> Figures:
    """Return the figures of the counts of all pictures together, persons drawn anew for the intervals."""
    shape = (len(REGIONS), len(COUNTS))
    rows = np.stack([score.counts.ravel() for score in scores])
    sums = sum_by_person(rows, [score.person for score in scores])

    def statistic(drawn: Values) -> Values:
        figures = figures_of(drawn.reshape(-1, *shape))
        every = np.concatenate([figures, mean_of_classes(figures)[:, None]], axis=1)
        return every.reshape(len(drawn), -1)

    intervals = bootstrap(sums, statistic, seed=seed)
    table = {
        region: dict(
            zip(FIGURES, intervals[k * len(FIGURES) : (k + 1) * len(FIGURES)], strict=True),
        )
        for k, region in enumerate((*REGIONS, MEAN))
    }
    return table if classes else {"face": table["face"]}


def open_rivals(
    asked: Sequence[str], device: str, *, exact: bool = False
) -> tuple[list[Rival], dict[str, str]]:
    """Return the segmenters that are on this machine, and why each of the others does not take part.

    Raises:
        SettingsError: no segmenter has such a name.
        MissingInputError: there is no such file.
        ModelError: not one of them is on this machine.
    """

    def opener(text: str) -> Opened[Segments]:
        return open_segmenter(text, device, exact=exact)

    found, missing = open_contenders(asked, "segmenter", SEGMENTERS, opener)
    return [_rival(contender) for contender in found], missing


def _rival(contender: Contender[Segments]) -> Rival:
    opened, asked = contender.opened, choose_available(contender.asked)  # what "auto" means may change
    classes = not isinstance(opened.stage, SamSegmenter)
    return Rival(contender.name, asked, opened.sha256, opened.stage, classes)


@dataclass(frozen=True, slots=True)
class PortraitSet:
    """The labelled portraits to measure on.

    Attributes:
        limit: how many of them at most, spread evenly over the names; None means all.
        mend_sides: swap left and right in masks that have them on the wrong sides.
    """

    root: Path
    split: str = "val"
    limit: int | None = None
    mend_sides: bool = False

    def pairs(self) -> list[Pair]:
        """Return the pairs.

        Raises:
            InputError: a photo has no mask or the other way round.
        """
        portraits = find_portraits(self.root, self.split)
        if portraits.faults:
            raise InputError(f"{self.root}: {' '.join(report_faults(portraits.faults).split())}")
        return spread_evenly(portraits.pairs, self.limit)

    def read(self, pair: Pair) -> Sample:
        """Return the picture and its labels."""
        return Sample(*(pair.read_checked(mend_sides=True) if self.mend_sides else pair.read()))


def compare_segmenters(
    rivals: Sequence[Rival],
    portraits: PortraitSet,
    detect: Detect,
    *,
    variants: Sequence[str] = tuple(VARIANTS),
    seed: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> Comparison:
    """Parse every portrait, plain and made harder, by every model.

    Args:
        variants: of `VARIANTS`; `plain` is always among them.
        advance: called after each portrait.

    Raises:
        InputError: a pair cannot be used.
    """
    users = list_users(portraits.root)
    names = [PLAIN, *(name for name in variants if name != PLAIN)]
    scores: dict[str, dict[str, list[PictureScore]]] = {
        rival.name: {name: [] for name in names} for rival in rivals
    }
    seen = []
    for number, pair in enumerate(portraits.pairs()):
        sample = portraits.read(pair)
        person = users.get(pair.name, pair.name)
        for variant in names:
            harder = vary(sample, variant, number, seed=seed)
            faces = detect(harder.image)
            for rival in rivals:
                counts = count_picture(rival.stage(harder.image, faces).labels(), harder.labels)
                scores[rival.name][variant].append(PictureScore(pair.name, person, len(faces), counts))
            if variant == PLAIN:
                details = read_details(portraits.root, portraits.split, pair.name)
                seen.append(Portrait(pair.name, person, find_groups(sample, faces, details)))
        advance()
    where = f"{portraits.root.name}/{portraits.split}"
    return Comparison(where, tuple(rivals), tuple(seen), scores, seed=seed)


def measure_costs(
    rivals: Sequence[Rival], portraits: PortraitSet, detect: Detect, device: str, *, exact: bool = False
) -> tuple[Mapping[str, SegmenterCost], Mapping[str, str]]:
    """Return the cost of each model, in a process of its own, and why that of others is not known.

    It is that of the first portrait in which a face is found.
    """
    image, face = next(_with_a_face(portraits, detect), (None, None))
    costs: dict[str, SegmenterCost] = {}
    unknown: dict[str, str] = {}
    for rival in rivals:
        if image is None or face is None:
            unknown[f"cost of {rival.name}"] = f"no face is found in {portraits.root}, by which to time it"
            continue
        try:
            costs[rival.name] = measure_apart(rival.asked, image, face, device, exact=exact)
        except ModelError as error:
            unknown[f"cost of {rival.name}"] = str(error)
    return costs, unknown


def _with_a_face(portraits: PortraitSet, detect: Detect) -> Iterator[tuple[Image, Face]]:
    for pair in portraits.pairs():
        image = portraits.read(pair).image
        for face in detect(image)[:1]:
            yield image, face
