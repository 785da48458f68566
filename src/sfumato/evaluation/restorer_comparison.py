"""Compare face restorers with each other and with doing nothing; it damages no face itself and shows nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sfumato.errors import InputError
from sfumato.evaluation.contenders import open_contenders, spread_evenly
from sfumato.evaluation.judges import LikenessJudge, open_lite, open_vgg
from sfumato.evaluation.perceptual import perceptual_distance
from sfumato.evaluation.restoration import (
    LEVELS,
    Measure,
    RestorationRow,
    feature_distance,
    measure_restoration,
    peak_signal_to_noise,
    similarity_of_structure,
)
from sfumato.evaluation.statistics import Interval, Paired, compare_pairs, mean_interval
from sfumato.geometry import ALIGNED_SIZE
from sfumato.resolve import Opened
from sfumato.restorers import WEIGHTS, open_restorer
from sfumato.training.crops import list_pictures, read_picture
from sfumato.types import Image, Transform

NOTHING = "bicubic"
"""What a face is left as that is not restored: damaged, and enlarged again."""

PSNR, SSIM, PERCEPTUAL, VGG, IDENTITY = "PSNR", "SSIM", "perceptual distance", "VGG19 distance", "identity"
LESS_IS_BETTER = frozenset({PERCEPTUAL, VGG})


@dataclass(frozen=True, slots=True)
class RestorerRival:
    """A restorer that takes part.

    Attributes:
        name: as it is shown.
    """

    name: str
    sha256: str
    stage: Transform


def open_restorers(
    asked: Sequence[str], device: str, *, exact: bool = False
) -> tuple[list[RestorerRival], dict[str, str]]:
    """Return the restorers that are on this machine, and why each of the others is not.

    Raises:
        SettingsError: no restorer has such a name.
        MissingInputError: there is no such file.
        ModelError: not one of them is on this machine.
    """

    def opener(text: str) -> Opened[Transform]:
        return open_restorer(text, device, exact=exact)

    found, missing = open_contenders(asked, "restorer", WEIGHTS, opener)
    return [RestorerRival(each.name, each.opened.sha256, each.opened.stage) for each in found], missing


@dataclass(frozen=True, slots=True)
class FaceFolder:
    """Aligned faces to measure on.

    Attributes:
        limit: how many of them at most, spread evenly over the names; None means all.
    """

    root: Path
    limit: int | None = None

    def read(self) -> Mapping[str, Image]:
        """Return the faces by name.

        Raises:
            MissingInputError: there is none.
            InputError: one of them is not 512x512.
        """
        paths = spread_evenly(list_pictures(self.root), self.limit)
        return {path.name: _checked(read_picture(path), path) for path in paths}


def _checked(image: Image, path: Path) -> Image:
    height, width = image.shape[:2]
    if (height, width) != (ALIGNED_SIZE, ALIGNED_SIZE):
        raise InputError(
            f"{path} is {width}x{height}; restorers are measured on faces aligned as in FFHQ, at 512x512"
        )
    return image


def choose_measures(judge: LikenessJudge, vgg: Path | None) -> Mapping[str, Measure]:
    """Return what is measured, by name.

    Raises:
        BackendMissingError: the package of EfficientNet-Lite0 is not installed.
        ModelError: the file holds no VGG19.
    """
    measures: dict[str, Measure] = {
        PSNR: peak_signal_to_noise,
        SSIM: similarity_of_structure,
        PERCEPTUAL: perceptual_distance(open_lite()),
    }
    if vgg is not None:
        measures[VGG] = feature_distance(open_vgg(vgg))
    if judge.compare is not None:
        measures[IDENTITY] = judge.compare
    return measures


@dataclass(frozen=True, slots=True)
class RestorerComparison:
    """What was measured.

    Attributes:
        faces: their names, in the order of the scores.
        missing: why each restorer that was asked for did not take part, by name.
        seed: of noise, intervals and tests.
    """

    faces: tuple[str, ...]
    rows: tuple[RestorationRow, ...]
    missing: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0

    @property
    def levels(self) -> tuple[str, ...]:
        """Return the levels of damage, the strongest last."""
        return tuple(dict.fromkeys(row.level for row in self.rows))

    @property
    def methods(self) -> tuple[str, ...]:
        """Return doing nothing and the restorers."""
        return tuple(dict.fromkeys(row.method for row in self.rows))

    @property
    def measures(self) -> tuple[str, ...]:
        """Return what was measured."""
        return tuple(self.rows[0].scores)

    def scores(self, level: str, method: str, measure: str) -> tuple[float, ...]:
        """Return one measure of each face."""
        return self._row(level, method).scores[measure]

    def mean(self, level: str, method: str, measure: str) -> Interval:
        """Return the mean over faces with its interval."""
        return mean_interval(self.scores(level, method, measure), seed=self.seed)

    def paired(self, level: str, measure: str) -> list[Paired]:
        """Return the comparison of every two methods; of what is better low, by its negative."""
        sign = -1 if measure in LESS_IS_BETTER else 1
        scores = {method: [sign * v for v in self.scores(level, method, measure)] for method in self.methods}
        return compare_pairs(scores, seed=self.seed)

    def seconds(self, method: str) -> Interval:
        """Return the mean seconds of a face with its interval, the first left out, in which the network loads."""
        every = [second for level in self.levels for second in self._row(level, method).seconds]
        return mean_interval(every[1:], seed=self.seed)

    def _row(self, level: str, method: str) -> RestorationRow:
        return next(row for row in self.rows if (row.level, row.method) == (level, method))


def compare_restorers(
    rivals: Sequence[RestorerRival],
    faces: Mapping[str, Image],
    measures: Mapping[str, Measure],
    *,
    seed: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> RestorerComparison:
    """Damage every face at every level of `LEVELS` and restore it by every restorer, and by none.

    Args:
        advance: called after each face at each level.
    """
    methods: dict[str, Transform] = {NOTHING: lambda face: face, **{r.name: r.stage for r in rivals}}
    rows = measure_restoration(
        list(faces.values()), methods, measures, levels=LEVELS, seed=seed, advance=advance
    )
    return RestorerComparison(tuple(faces), rows, seed=seed)
