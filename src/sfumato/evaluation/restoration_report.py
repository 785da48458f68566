"""Lay out the comparison of face restorers as a report; it measures nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

import numpy as np

from sfumato.evaluation.chart import draw_lines
from sfumato.evaluation.judges import LikenessJudge
from sfumato.evaluation.pair_rows import PAIR_COLUMNS, pair_rows
from sfumato.evaluation.report import Report, Section, Shown, Table, here, spell
from sfumato.evaluation.restoration import LEVELS, damage_face
from sfumato.evaluation.restorer_comparison import (
    IDENTITY,
    LESS_IS_BETTER,
    NOTHING,
    PERCEPTUAL,
    PSNR,
    VGG,
    RestorerComparison,
    RestorerRival,
)
from sfumato.evaluation.statistics import Interval
from sfumato.types import Image

DIGITS: Mapping[str, int] = {PSNR: 2}
MEASURING = (
    "Each face is damaged by a known amount - blur, shrinking, noise, JPEG - and enlarged again by bicubic "
    "interpolation, which is what doing nothing leaves. PSNR in decibels, 100 for an equal picture; SSIM over RGB; "
    "perceptual distance of the type of LPIPS, on EfficientNet-Lite0's features with weights of 1, 0 for an equal "
    "picture, not comparable with LPIPS itself. In brackets: 95 % bootstrap intervals, faces drawn anew."
)
VGG_NOTE = (
    "VGG19 distance: mean relative difference of three of its layers. The embedded restorer learnt by VGG19, which may "
    "favour it."
)
SECONDS = "Seconds are the mean over faces and levels, the first face left out, in which the network loads."
EXTREMES = "By the {measure} of {method} at this level. The numbers are each picture's."
TESTS = (
    "On the same faces, by a permutation test of the signs; p is corrected for all pairs of one level. Differences of "
    "distances are of their negative, so that more is better."
)


def report_restorers(
    found: RestorerComparison,
    rivals: Sequence[RestorerRival],
    judge: LikenessJudge,
    data: str,
    pictures: Sequence[Sequence[Shown]] = (),
) -> Report:
    """Return the report of a comparison.

    Args:
        data: name of the folder of faces.
        pictures: rows to show, see `show_extremes`.
    """
    facts = {
        "data": data,
        "faces": str(len(found.faces)),
        "identity by": judge.name,
        **{f"sha256 of {rival.name}": rival.sha256 for rival in rivals},
        "seed": str(found.seed),
        **here(),
    }
    last = found.levels[-1]
    extremes = EXTREMES.format(measure=ranked_by(found), method=found.methods[1])
    sections = [
        *_level_sections(found, judge),
        *(
            [Section(f"Best, median and worst face, {last} damage", [extremes], pictures=pictures)]
            if pictures
            else []
        ),
        *(Section(f"Paired tests: {m}", [TESTS], pair_table(found, m)) for m in found.measures),
        Section("Seconds a face", [SECONDS], _seconds_table(found)),
    ]
    return Report(
        "Face restorers compared: " + ", ".join(found.methods),
        _lead(found),
        facts,
        found.missing,
        sections,
        _numbers(found, judge),
        list(_rows(found)),
    )


def _lead(found: RestorerComparison) -> list[str]:
    """Return how each restorer compares with doing nothing at each level, by identity or, without it, by distance."""
    measure = ranked_by(found)
    return [
        f"{measure.capitalize()}, {level} damage: "
        + "; ".join(pair.verdict for pair in found.paired(level, measure) if pair.first == NOTHING)
        + "."
        for level in found.levels
    ]


def ranked_by(found: RestorerComparison) -> str:
    """Return the measure by which the best and the worst face are told."""
    return IDENTITY if IDENTITY in found.measures else PERCEPTUAL


def level_table(found: RestorerComparison, level: str) -> Table:
    """Return what is measured at one level of damage, a row for each method."""
    rows = [
        [method, *(_spelt(found.mean(level, method, measure), measure) for measure in found.measures)]
        for method in found.methods
    ]
    return Table([f"{level} damage", *found.measures], rows)


def _spelt(interval: Interval, measure: str) -> str:
    return spell(interval, DIGITS.get(measure, 3))


def _level_sections(found: RestorerComparison, judge: LikenessJudge) -> Iterator[Section]:
    for place, level in enumerate(found.levels):
        text = [_describe(level)]
        if place == 0:
            text += [MEASURING, judge.note, *([VGG_NOTE] if VGG in found.measures else [])]
        yield Section(f"Damage: {level}", text, level_table(found, level))
    charts = [
        draw_lines(
            {method: [found.mean(level, method, m) for level in found.levels] for method in found.methods},
            found.levels,
            m,
        )
        for m in found.measures
        if m != PSNR  # 100 dB for what is not damaged leaves no room for the rest
    ]
    yield Section("By level of damage", charts=charts)


def _describe(level: str) -> str:
    """Return what a level does to a face.

    >>> _describe("strong")
    'Blur of 4 px, shrunk by 8, noise of 12 levels, JPEG quality 65.'
    >>> _describe("sharp")
    'Untouched: a restorer should leave it as it is.'
    """
    damage = LEVELS[level]
    if damage.quality is None:
        return "Untouched: a restorer should leave it as it is."
    return (
        f"Blur of {damage.blur[0]:g} px, shrunk by {damage.shrink:g}, noise of {damage.noise:g} levels, JPEG quality "
        f"{damage.quality}."
    )


def pair_table(found: RestorerComparison, measure: str) -> Table:
    """Return the paired tests of a measure, a row for each level and each two methods."""
    digits = DIGITS.get(measure, 3)
    rows = [
        [level, *row] for level in found.levels for row in pair_rows(found.paired(level, measure), digits)
    ]
    return Table(["damage", *PAIR_COLUMNS], rows)


def _seconds_table(found: RestorerComparison) -> Table:
    methods = [method for method in found.methods if method != NOTHING]
    return Table(["restorer", "seconds"], [[method, spell(found.seconds(method))] for method in methods])


def _numbers(found: RestorerComparison, judge: LikenessJudge) -> Mapping[str, object]:
    levels = {
        level: {
            "damage": asdict(LEVELS[level]),
            "methods": {
                method: {measure: found.mean(level, method, measure) for measure in found.measures}
                for method in found.methods
            },
            "paired tests": {
                measure: [
                    {**asdict(pair), "significant": pair.significant} for pair in found.paired(level, measure)
                ]
                for measure in found.measures
            },
        }
        for level in found.levels
    }
    return {
        "notes": [MEASURING, judge.note, TESTS, SECONDS, *([VGG_NOTE] if VGG in found.measures else [])],
        "levels": levels,
        "less is better": sorted(LESS_IS_BETTER.intersection(found.measures)),
        "seconds": {method: found.seconds(method) for method in found.methods if method != NOTHING},
        "faces": list(found.faces),
        "scores": [
            {"level": row.level, "method": row.method, "of each face": row.scores} for row in found.rows
        ],
    }


def _rows(found: RestorerComparison) -> Iterator[Mapping[str, object]]:
    """Yield one row for each figure, and one for each restorer that did not take part."""
    for level in found.levels:
        for method in found.methods:
            for measure in found.measures:
                yield _row(level, method, measure, found.mean(level, method, measure))
    for method in found.methods[1:]:
        yield _row("all", method, "seconds", found.seconds(method))
    for name, why in found.missing.items():
        yield _row("all", name, "not measured", Interval(np.nan, np.nan, np.nan), why)


def _row(level: str, method: str, figure: str, interval: Interval, note: str = "") -> Mapping[str, object]:
    return {"level": level, "method": method, "figure": figure, **asdict(interval), "note": note}


def show_extremes(
    found: RestorerComparison, rivals: Sequence[RestorerRival], faces: Mapping[str, Image]
) -> list[list[Shown]]:
    """Return rows of the best, the median and the worst face at the strongest damage by the first restorer.

    A row shows the truth, the damaged face, and what each restorer makes of it.
    """
    level, measure = found.levels[-1], ranked_by(found)
    sign = -1 if measure in LESS_IS_BETTER else 1
    order = np.argsort([-sign * v for v in found.scores(level, rivals[0].name, measure)], kind="stable")
    chosen: dict[int, str] = {}
    for word, place in (("best", order[0]), ("worst", order[-1]), ("median", order[len(order) // 2])):
        chosen.setdefault(int(place), word)
    rows = []
    for place, word in sorted(chosen.items(), key=lambda item: list(order).index(item[0])):
        name = found.faces[place]
        damaged = damage_face(faces[name], LEVELS[level], place, seed=found.seed)
        made = {NOTHING: damaged, **{rival.name: rival.stage(damaged) for rival in rivals}}
        captions = {
            method: f"{method}: {measure} {found.scores(level, method, measure)[place]:.3f}, PSNR "
            f"{found.scores(level, method, PSNR)[place]:.1f}"
            for method in made
        }
        rows.append(
            [
                Shown(f"{word}: {name}", faces[name]),
                *(Shown(captions[method], image) for method, image in made.items()),
            ]
        )
    return rows
