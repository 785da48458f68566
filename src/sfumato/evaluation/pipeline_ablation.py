"""Measure what each step from photo to painting adds, as an ablation of the paper's method; it shows nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from skimage.metrics import structural_similarity

from sfumato.errors import InputError, MissingInputError
from sfumato.evaluation.contenders import spread_evenly
from sfumato.evaluation.judges import LikenessJudge
from sfumato.evaluation.pipeline_steps import OURS, STEPS, Ablation, Run
from sfumato.evaluation.statistics import Interval, Paired, compare_pairs, mean_interval
from sfumato.evaluation.style import Rows
from sfumato.evaluation.style_fraction import StyleJudge, measure_fractions
from sfumato.geometry import align, face_affine
from sfumato.io import PICTURE_SUFFIXES, read_picture
from sfumato.pipeline import COMPARED_SIZE
from sfumato.seam import Seam
from sfumato.types import Compare, Face, Image

PHOTO = "photo"
MEASURES: Mapping[str, int] = {"likeness": 1, "seam": -1, "ssim": 1}
"""What is measured of each picture, and whether more is better (1) or less (-1)."""

SSIM_SIDE = 256
"""Shorter side to which pictures are reduced first, as the authors of SSIM advise."""


def structure_kept(photo: Image, result: Image) -> float:
    """Return the structural similarity of the luma of two pictures, reduced to a shorter side of 256 pixels.

    Wang et al., "Image quality assessment", 2004, with a Gaussian window of deviation 1.5, K1 = 0.01 and K2 = 0.03.
    """
    scale = min(1.0, SSIM_SIDE / min(photo.shape[:2]))
    size = tuple(max(11, round(scale * side)) for side in photo.shape[1::-1])
    grey = [
        cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        for image in (photo, result)
    ]
    found = structural_similarity(  # type: ignore[no-untyped-call]  # scikit-image has no types
        *grey, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return float(found)


def measure_likeness(photo: Image, result: Image, faces: Sequence[Face], compare: Compare | None) -> float:
    """Return the mean over faces of how much they look like those of the photo; nan where nothing can tell."""
    if compare is None:
        return float("nan")
    matrices = [face_affine(face.points, COMPARED_SIZE) for face in faces]
    alike = [compare(*(align(image, m, COMPARED_SIZE) for image in (photo, result))) for m in matrices]
    return float(np.mean(alike))


def mean_seam(seams: Sequence[Seam | None]) -> float:
    """Return the mean score of the seams that there are, nan without any."""
    known = [seam.score for seam in seams if seam is not None]
    return float(np.mean(known)) if known else float("nan")


@dataclass(frozen=True, slots=True)
class PictureScores:
    """What was measured of one picture.

    Attributes:
        name: its path below the folder.
        group: its first folder below the folder; "." where it lies in the folder itself.
        faces: how many were kept.
        scores: of each step, by measure; nan where it is not defined.
        timings: seconds of each step's stages.
    """

    name: str
    group: str
    faces: int
    scores: Mapping[str, Mapping[str, float]]
    timings: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class PictureFolder:
    """The pictures to measure on, at any depth.

    Attributes:
        limit: how many of them at most, spread evenly over the names; None means all.
    """

    root: Path
    limit: int | None = None

    def paths(self) -> list[Path]:
        """Return the pictures by name.

        Raises:
            MissingInputError: there is none.
        """
        found = sorted(
            p for p in self.root.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES and p.is_file()
        )
        if not found:
            raise MissingInputError(f"{self.root} holds no pictures; name another folder")
        return spread_evenly(found, self.limit)

    def name(self, path: Path) -> str:
        """Return a picture's path below the folder."""
        return path.relative_to(self.root).as_posix()

    def group(self, path: Path) -> str:
        """Return a picture's first folder below the folder."""
        parts = path.relative_to(self.root).parts
        return parts[0] if len(parts) > 1 else "."


@dataclass(frozen=True, slots=True)
class AblationScores:
    """What was measured.

    Attributes:
        pictures: those with a kept face, in the order of the rows of `style`.
        without_face: names of pictures in which no face was found.
        unreadable: why each of the others could not be read, by name.
        style: Frechet distance to the paintings as a fraction of the photos' own, by judge and step.
        missing: why a step was not taken, by its name.
    """

    pictures: tuple[PictureScores, ...]
    without_face: tuple[str, ...]
    unreadable: Mapping[str, str]
    style: Mapping[str, Mapping[str, Interval]]
    missing: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0

    @property
    def steps(self) -> tuple[str, ...]:
        """Return the steps that were taken, in order."""
        return tuple(step for step in STEPS if step in self.pictures[0].scores)

    def values(self, measure: str, step: str, group: str | None = None) -> list[float]:
        """Return one measure of each picture, or of each of a group."""
        chosen = [p for p in self.pictures if group is None or p.group == group]
        return [picture.scores[step][measure] for picture in chosen]

    def mean(self, measure: str, step: str, group: str | None = None) -> Interval:
        """Return the mean over pictures with its interval."""
        return mean_interval(self.values(measure, step, group), seed=self.seed)

    def seconds(self, step: str) -> Interval:
        """Return the mean seconds of a picture with its interval, the first left out, in which networks warm up."""
        totals = [sum(picture.timings[step].values()) for picture in self.pictures[1:]]
        return mean_interval(totals, seed=self.seed)

    def paired(self, measure: str) -> list[Paired]:
        """Return the comparison of every two steps that have this measure; of what is better low, by its negative."""
        sign = MEASURES[measure]
        scores = {step: [sign * v for v in self.values(measure, step)] for step in self.steps}
        return compare_pairs(
            {step: values for step, values in scores.items() if not np.isnan(values).all()}, seed=self.seed
        )

    def groups(self) -> Mapping[str, int]:
        """Return how many pictures each group has, by name."""
        names = [picture.group for picture in self.pictures]
        return {name: names.count(name) for name in sorted(set(names))}

    def ranked(self) -> list[int]:
        """Return the places of the pictures by the likeness of our faces, worst first."""
        likeness = np.array(self.values("likeness", OURS))
        return [int(k) for k in np.argsort(likeness, kind="stable") if not np.isnan(likeness[k])]


def measure_steps(
    ablation: Ablation,
    pictures: PictureFolder,
    judge: LikenessJudge,
    style_judges: Sequence[StyleJudge] = (),
    *,
    seed: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> AblationScores:
    """Take every step with every picture and measure it; pictures are held one at a time.

    Raises:
        InputError: there is no picture with a face.
    """
    measured: list[PictureScores] = []
    without_face: list[str] = []
    unreadable: dict[str, str] = {}
    rows: dict[str, dict[str, list[Rows]]] = {style.name: {} for style in style_judges}
    for path in pictures.paths():
        name = pictures.name(path)
        try:
            image = read_picture(path).image
        except InputError as error:
            unreadable[name] = str(error)
            advance()
            continue
        run = ablation.run(image)
        advance()
        if not run.faces:
            without_face.append(name)
            continue
        measured.append(score_picture(name, pictures.group(path), image, run, judge.compare))
        for style in style_judges:
            for shown, picture in {PHOTO: image, **{s: step.image for s, step in run.steps.items()}}.items():
                rows[style.name].setdefault(shown, []).append(style.describe([picture]))
    if not measured:
        raise InputError(f"no face is found in any picture of {pictures.root}; name another folder")
    fractions = {style.name: _fractions(style, rows[style.name], seed) for style in style_judges}
    return AblationScores(tuple(measured), tuple(without_face), unreadable, fractions, seed=seed)


def score_picture(name: str, group: str, photo: Image, run: Run, compare: Compare | None) -> PictureScores:
    """Return what is measured of one picture."""
    scores = {
        step: {
            "likeness": measure_likeness(photo, made.image, run.faces, compare),
            "seam": mean_seam(made.seams),
            "ssim": structure_kept(photo, made.image),
        }
        for step, made in run.steps.items()
    }
    return PictureScores(
        name, group, len(run.faces), scores, {step: made.timings for step, made in run.steps.items()}
    )


def _fractions(judge: StyleJudge, rows: Mapping[str, Sequence[Rows]], seed: int) -> Mapping[str, Interval]:
    sets = {name: np.concatenate(held) for name, held in rows.items()}
    return measure_fractions(sets.pop(PHOTO), sets, judge.paintings, seed=seed)
