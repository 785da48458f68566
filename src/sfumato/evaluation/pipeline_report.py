"""Lay out the ablation of the pipeline as a report; it measures nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import isnan

import numpy as np

from sfumato.evaluation.chart import draw_intervals
from sfumato.evaluation.judges import LikenessJudge
from sfumato.evaluation.pair_rows import PAIR_COLUMNS, pair_rows
from sfumato.evaluation.pipeline_ablation import (
    MEASURES,
    AblationScores,
    PictureFolder,
    measure_likeness,
)
from sfumato.evaluation.pipeline_steps import OURS, STEPS, Ablation
from sfumato.evaluation.report import Report, Section, Shown, Table, here, spell
from sfumato.evaluation.statistics import Interval
from sfumato.geometry import align, face_affine
from sfumato.io import read_picture
from sfumato.types import Compare, Image

HEADINGS: Mapping[str, str] = {"likeness": "likeness", "seam": "seam", "ssim": "SSIM"}
MEASURING = (
    "Likeness: cosine by which a recogniser finds each kept face like that of the photo, 1 is the same. Seam: how much "
    "more of a step the edge of the mask is in the result than in the photo, in colour and grain; 1 is no more. SSIM: "
    "structural similarity of luminance to the photo, the shorter side at 256 pixels. Faces are averaged in each "
    "picture first, so that a picture counts once however many faces it has. In brackets: 95 % bootstrap intervals, "
    "pictures drawn anew."
)
NO_SEAM = "The first two steps have no seam: nothing is cut out, so that there is no edge to measure at."
SECONDS = (
    "Seconds are the mean over pictures of the stages that a step needs - finding faces, restoring, segmenting, "
    "painting and blending - without reading and measuring. What several steps need ran once and counts for each of "
    "them. The first picture, in which networks load, is left out."
)
STYLE = (
    "Style: Frechet distance of the results to the paintings, on means and deviations of a network's channels "
    "at 256x256, as a fraction of the distance of the photos themselves; less is nearer to the paintings. With few "
    "pictures a Frechet distance comes out too large, for photos and results alike: compare fractions within one table "
    "only. Brackets are 1.96 bootstrap standard errors to both sides. VGG19 is what styles learn by here, so that it "
    "flatters them; EfficientNet-Lite0 is not."
)
NO_STYLE = "No folder of paintings was given (--paintings), so that nearness to paintings is not measured."
MISSING_NOTE = "not measured"


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the ablation was made with.

    Attributes:
        facts: data and models, for the head of the report.
        judge: of likeness.
        paintings: folder of paintings, or None.
    """

    facts: Mapping[str, str]
    judge: LikenessJudge
    paintings: str | None


def report_pipeline(
    found: AblationScores, conditions: Conditions, pictures: Sequence[Sequence[Shown]] = ()
) -> Report:
    """Return the report of an ablation.

    Args:
        pictures: rows to show, see `show_extremes`.
    """
    facts = {
        **conditions.facts,
        "pictures measured": str(len(found.pictures)),
        "faces kept": str(sum(picture.faces for picture in found.pictures)),
        "pictures without a face": str(len(found.without_face)),
        "pictures that cannot be read": str(len(found.unreadable)),
        "likeness by": conditions.judge.name,
        "paintings": conditions.paintings or "none",
        "seed": str(found.seed),
        **here(),
    }
    sections = [
        _steps_section(found, conditions),
        Section("What each step is", table=Table(["step", "what"], [list(step) for step in STEPS.items()])),
        *([Section("Worst, median and best picture", [EXTREMES], pictures=pictures)] if pictures else []),
        *(_tests_section(found, measure) for measure in MEASURES),
        Section("Groups", [GROUPS], group_table(found)),
        *_left_out_section(found),
    ]
    return Report(
        "The pipeline step by step",
        _lead(found),
        facts,
        found.missing,
        sections,
        _numbers(found, conditions),
        list(_rows(found)),
    )


EXTREMES = (
    "By the likeness of our faces, mean over the picture. Of each picture the second row shows the largest face that "
    "is kept; the number is that face's likeness."
)
GROUPS = (
    "Likeness by sub-folder, mean over pictures. Groups of few pictures have wide intervals; of fewer than three there "
    "is none to speak of."
)


def _lead(found: AblationScores) -> list[str]:
    """Return what each step changes in likeness, one after the other, and what our blending changes of the seam."""
    pairs = {(pair.first, pair.second): pair for pair in found.paired("likeness")}
    said = [pairs[pair].verdict for pair in pairwise(found.steps) if pair in pairs]
    seams = [pair.verdict for pair in found.paired("seam") if pair.second == OURS]
    lead = ["Likeness, step by step: " + "; ".join(said) + "."] if said else []
    return lead + (["Seam (differences of its negative): " + "; ".join(seams) + "."] if seams else [])


def step_table(found: AblationScores) -> Table:
    """Return what is measured of each step, a row for each; dashes for one that was not taken."""
    columns = [
        "step",
        *(HEADINGS[m] for m in MEASURES),
        *(f"style, {name}" for name in found.style),
        "seconds",
    ]
    rows = []
    for step in STEPS:
        if step not in found.steps:
            rows.append([step, MISSING_NOTE, *["-"] * (len(columns) - 2)])
            continue
        style = [spell(fractions[step]) for fractions in found.style.values()]
        rows.append(
            [step, *(spell(found.mean(m, step)) for m in MEASURES), *style, spell(found.seconds(step), 2)]
        )
    return Table(columns, rows)


def _steps_section(found: AblationScores, conditions: Conditions) -> Section:
    missing = [f"{step} was not taken: {why}" for step, why in found.missing.items()]
    style = STYLE if found.style else NO_STYLE
    text = [MEASURING, conditions.judge.note, NO_SEAM, style, SECONDS, *missing]
    means = {step: found.mean("likeness", step) for step in found.steps}
    known = not any(isnan(mean.value) for mean in means.values())
    charts = [draw_intervals(means, f"likeness by {conditions.judge.name}")] if known else []
    return Section("Steps", text, step_table(found), charts)


def _tests_section(found: AblationScores, measure: str) -> Section:
    text = "On the same pictures, by a permutation test of the signs; p is corrected for all pairs of this table."
    turned = " Differences are of the negative seam, so that more is better." if MEASURES[measure] < 0 else ""
    return Section(
        f"Paired tests: {HEADINGS[measure]}",
        [text + turned],
        Table(PAIR_COLUMNS, pair_rows(found.paired(measure))),
    )


def group_table(found: AblationScores) -> Table:
    """Return the likeness of each step in each group, a row for each group."""
    rows = [
        [
            group,
            str(number),
            *(_spell_group(found.mean("likeness", step, group), number) for step in found.steps),
        ]
        for group, number in found.groups().items()
    ]
    return Table(["sub-folder", "pictures", *found.steps], rows)


def _spell_group(mean: Interval, number: int) -> str:
    """Return a figure, with its interval if there are enough pictures for one.

    >>> _spell_group(Interval(0.72, 0.72, 0.72), 1), _spell_group(Interval(0.72, 0.5, 0.9), 3)
    ('0.720', '0.720 [0.500, 0.900]')
    """
    few = number < 3 and not isnan(mean.value)
    return f"{mean.value:.3f}" if few else spell(mean)


def _left_out_section(found: AblationScores) -> list[Section]:
    rows = [[name, "no face was found"] for name in found.without_face]
    rows += [[name, why] for name, why in found.unreadable.items()]
    return [Section("Pictures left out", table=Table(["picture", "why"], rows))] if rows else []


def _numbers(found: AblationScores, conditions: Conditions) -> Mapping[str, object]:
    steps = {
        step: {
            "what": STEPS[step],
            **{measure: found.mean(measure, step) for measure in MEASURES},
            "style distance": {name: fractions[step] for name, fractions in found.style.items()},
            "seconds": found.seconds(step),
        }
        for step in found.steps
    }
    groups = {
        group: {
            "pictures": number,
            "likeness": {step: found.mean("likeness", step, group) for step in found.steps},
        }
        for group, number in found.groups().items()
    }
    tests = {
        measure: [{**asdict(pair), "significant": pair.significant} for pair in found.paired(measure)]
        for measure in MEASURES
    }
    notes = [conditions.judge.note, NO_SEAM, STYLE if found.style else NO_STYLE, SECONDS]
    return {
        "notes": notes,
        "steps": steps,
        "paired tests": tests,
        "groups": groups,
        "pictures": [asdict(picture) for picture in found.pictures],
        "without a face": list(found.without_face),
        "unreadable": dict(found.unreadable),
    }


def _rows(found: AblationScores) -> Iterator[Mapping[str, object]]:
    """Yield one row for each figure, and one for each step that was not taken."""
    for step in found.steps:
        for measure in MEASURES:
            yield _row(step, "all", measure, found.mean(measure, step))
        for name, fractions in found.style.items():
            yield _row(step, "all", f"style distance, {name}", fractions[step])
        yield _row(step, "all", "seconds", found.seconds(step))
        for group in found.groups():
            yield _row(step, group, "likeness", found.mean("likeness", step, group))
    for step, why in found.missing.items():
        yield _row(step, "all", MISSING_NOTE, Interval(np.nan, np.nan, np.nan), why)


def _row(step: str, group: str, figure: str, interval: Interval, note: str = "") -> Mapping[str, object]:
    return {"step": step, "group": group, "figure": figure, **asdict(interval), "note": note}


def show_extremes(
    found: AblationScores, ablation: Ablation, pictures: PictureFolder, compare: Compare | None
) -> list[list[Shown]]:
    """Return rows of the worst, the median and the best picture by our likeness, each step beside the photo.

    The steps are taken again. A second row for each picture shows its largest face.
    """
    ranked = found.ranked()
    if not ranked:
        return []
    places = dict(
        zip((ranked[0], ranked[len(ranked) // 2], ranked[-1]), ("worst", "median", "best"), strict=True)
    )
    rows = []
    for place, word in places.items():
        scores = found.pictures[place]
        image = read_picture(pictures.root / scores.name).image
        run = ablation.run(image)
        made: dict[str, Image] = {step: step_made.image for step, step_made in run.steps.items()}
        face = max(run.faces, key=lambda each: each.size)
        matrix = face_affine(face.points)
        wholes = [Shown(f"{word}: {scores.name}", image)]
        crops = [Shown("its largest face", align(image, matrix))]
        for step, picture in made.items():
            alike = scores.scores[step]["likeness"]
            wholes.append(Shown(f"{step}: {alike:.3f}", picture))
            crop_alike = measure_likeness(image, picture, [face], compare)
            crops.append(Shown(f"{step}: {crop_alike:.3f}", align(picture, matrix)))
        rows += [wholes, crops]
    return rows
