"""Lay out the comparison of segmenters as a report; it measures nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

import numpy as np

from sfumato.cost import SegmenterCost
from sfumato.evaluation.chart import draw_intervals, draw_lines
from sfumato.evaluation.parsing_counts import FIGURES
from sfumato.evaluation.report import Report, Section, Shown, Table, here, spell
from sfumato.evaluation.segmenter_comparison import MEAN, PLAIN, Comparison, PortraitSet
from sfumato.evaluation.segmenter_summary import Summary
from sfumato.evaluation.statistics import Interval
from sfumato.evaluation.variants import VARIANTS
from sfumato.training.easyportrait import PALETTE
from sfumato.types import CLASSES, FACE_CLASSES, Detect, Image, Labels

HEADINGS: Mapping[str, str] = {
    "iou": "IoU",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "boundary_f1": "boundary F1",
}
MEASURES = (
    "The face region is skin, brows, eyes, lips and teeth. The mean is over pictures with a face; all other figures "
    "pool the pixels of all pictures. Boundary F1 counts border pixels within 2 px at 512. In brackets: 95 % bootstrap "
    "intervals, in which persons are drawn anew. Every model looks at the faces that the same detector found."
)
DERIVED = ("glasses", "hat")
"""Respects that not every data set can tell."""


def report_segmenters(
    summary: Summary, pictures: Sequence[Sequence[Shown]] = (), choice: str | None = None
) -> Report:
    """Return the report of a comparison.

    Args:
        pictures: rows to show, see `show_extremes`.
        choice: why which model was chosen, if one was.
    """
    comparison = summary.comparison
    verdicts = [pair.verdict for pair in summary.pairs["iou"]]
    lead = ["Face region, mean IoU: " + "; ".join(verdicts) + "."] if verdicts else []
    lead += [f"Chosen: {choice}."] if choice else []
    sections = [
        _face_section(summary),
        *_cost_section(comparison.costs),
        *_robustness_section(summary),
        *_class_sections(summary),
        *_group_section(summary),
        *([Section("Best, median and worst cases", pictures=pictures)] if pictures else []),
    ]
    facts = {
        "data": comparison.data,
        "pictures": str(len(comparison.portraits)),
        "persons": str(len(set(comparison.persons))),
        **comparison.conditions,
        **{f"sha256 of {rival.name}": rival.sha256 for rival in comparison.rivals},
        "seed": str(comparison.seed),
        **here(),
    }
    title = "Segmenters compared: " + ", ".join(summary.models)
    return Report(
        title, lead, facts, comparison.missing, sections, _numbers(summary, choice), list(_rows(summary))
    )


def face_table(summary: Summary) -> Table:
    """Return what is measured of the face region of plain pictures, a row for each model."""
    rows = []
    for name in summary.models:
        face = summary.pooled[name][PLAIN]["face"]
        rows.append([name, spell(summary.mean_iou(name)), *(spell(face[figure]) for figure in FIGURES)])
    return Table(["face region", "mean IoU", *(f"{HEADINGS[f]}, pooled" for f in FIGURES)], rows)


def _face_section(summary: Summary) -> Section:
    borders = [pair.verdict for pair in summary.pairs["boundary_f1"]]
    text = [MEASURES, *(["Boundary F1, mean: " + "; ".join(borders) + "."] if borders else [])]
    chart = draw_intervals(
        {name: summary.mean_iou(name) for name in summary.models}, "mean IoU of the face region"
    )
    return Section("Face region", text, face_table(summary), [chart])


def cost_table(costs: Mapping[str, SegmenterCost]) -> Table:
    """Return what each model costs, a row for each."""
    columns = ["model", "parameters", "file", "GFLOPs", "cold", "warm (least to most)", "peak memory"]
    return Table(columns, [[name, *_cost_cells(cost)] for name, cost in costs.items()])


def _cost_cells(cost: SegmenterCost) -> Iterator[str]:
    yield "-" if cost.parameters is None else f"{cost.parameters / 1e6:.2f} M"
    yield "-" if cost.bytes is None else f"{cost.bytes / 1e6:.1f} MB"
    yield "-" if cost.gflops is None else f"{cost.gflops:.1f}"
    yield f"{cost.cold:.2f} s"
    yield f"{1000 * cost.warm:.0f} ms ({1000 * cost.spread[0]:.0f} to {1000 * cost.spread[1]:.0f})"
    yield f"{cost.memory / 1e6:.0f} MB"


def _cost_section(costs: Mapping[str, SegmenterCost]) -> list[Section]:
    if not costs:
        return []
    text = (
        "One picture with one face, each model in a process of its own. Cold: opening the networks and the first "
        "picture. Warm: median of further ones. Peak memory: of the whole process. GFLOPs: convolutions and matrix "
        "products, a multiplication with its addition counted as two; of Segment Anything with the U-Net that names "
        "the parts of the face."
    )
    return [Section("Cost", [text], cost_table(costs))]


def robustness_table(summary: Summary) -> Table:
    """Return the mean IoU of the face region for each variant, a row for each; and how often a face was found."""
    first = summary.comparison.scores[summary.models[0]]
    rows = []
    for variant in summary.variants:
        found = np.mean([score.faces > 0 for score in first[variant]])
        means = [spell(summary.means[name][variant]["iou"]) for name in summary.models]
        rows.append([f"{variant}: {VARIANTS[variant].means}", f"{100 * found:.0f} %", *means])
    return Table(["variant", "face found", *summary.models], rows)


def _robustness_section(summary: Summary) -> list[Section]:
    variants = summary.variants
    if len(variants) < 2:
        return []
    lines = {name: [summary.means[name][variant]["iou"] for variant in variants] for name in summary.models}
    text = "Mean IoU of the face region over pictures; a face that the detector misses counts as 0."
    chart = draw_lines(lines, variants, "mean IoU of the face region")
    return [Section("Robustness", [text], robustness_table(summary), [chart])]


def class_table(summary: Summary, figure: str) -> Table | None:
    """Return one figure of each class and their mean, a row for each, of the models that have classes."""
    named = [rival.name for rival in summary.comparison.rivals if rival.classes]
    if not named:
        return None
    rows = [
        [label, *(spell(summary.pooled[name][PLAIN][label][figure]) for name in named)]
        for label in (*CLASSES, MEAN)
    ]
    return Table([HEADINGS[figure], *named], rows)


def _class_sections(summary: Summary) -> list[Section]:
    without = [rival.name for rival in summary.comparison.rivals if not rival.classes]
    text = ["The mean leaves teeth out."]
    text += [f"No classes, as Segment Anything knows none: {', '.join(without)}."] if without else []
    tables = {figure: class_table(summary, figure) for figure in FIGURES}
    return [
        Section(f"Classes: {HEADINGS[figure]}", text if figure == "iou" else [], table)
        for figure, table in tables.items()
        if table is not None
    ]


def group_table(summary: Summary) -> Table:
    """Return the pooled IoU of the face region in each group, a row for each."""
    rows = []
    for respect, members in summary.groups[summary.models[0]].items():
        for group, (number, _) in members.items():
            cells = [spell(summary.groups[name][respect][group][1]) for name in summary.models]
            rows.append([f"{respect}: {group}", str(number), *cells])
    return Table(["group", "pictures", *summary.models], rows)


def _group_section(summary: Summary) -> list[Section]:
    told = summary.groups[summary.models[0]]
    untold = [respect for respect in DERIVED if respect not in told]
    text = [
        "Pooled IoU of the face region. Pose: by where the nose lies between the eyes. Skin tone: individual typology "
        "angle as photographed, which light and white balance move. Glasses and hat: from 19-class masks where there "
        "are any. Groups of few pictures have wide intervals."
    ]
    text += [f"Not told by these data: {', '.join(untold)}."] if untold else []
    return [Section("Groups", text, group_table(summary))]


def _numbers(summary: Summary, choice: str | None) -> Mapping[str, object]:
    comparison = summary.comparison
    models = {
        rival.name: {
            "sha256": rival.sha256,
            "classes": rival.classes,
            "cost": asdict(comparison.costs[rival.name]) if rival.name in comparison.costs else None,
            "variants": {
                variant: {
                    "mean": summary.means[rival.name][variant],
                    "pooled": summary.pooled[rival.name][variant],
                }
                for variant in summary.variants
            },
            "groups": {
                respect: {group: {"pictures": n, "face iou": found} for group, (n, found) in members.items()}
                for respect, members in summary.groups[rival.name].items()
            },
        }
        for rival in comparison.rivals
    }
    tests = {
        figure: [
            {
                "first": pair.first,
                "second": pair.second,
                "difference": pair.difference,
                "p": pair.p,
                "significant": pair.significant,
                "equivalent": pair.equivalent,
            }
            for pair in pairs
        ]
        for figure, pairs in summary.pairs.items()
    }
    first = comparison.scores[summary.models[0]]
    found = {variant: sum(score.faces > 0 for score in scores) for variant, scores in first.items()}
    return {"models": models, "paired tests": tests, "pictures with a face": found, "chosen": choice}


def _rows(summary: Summary) -> Iterator[Mapping[str, object]]:
    """Yield one row for each figure."""
    for name in summary.models:
        for variant in summary.variants:
            for region, figures in summary.pooled[name][variant].items():
                for figure, interval in figures.items():
                    yield _row(name, variant, "all", region, f"pooled {figure}", interval)
            for figure, interval in summary.means[name][variant].items():
                yield _row(name, variant, "all", "face", f"mean {figure}", interval)
        for respect, members in summary.groups[name].items():
            for group, (_, interval) in members.items():
                yield _row(name, PLAIN, f"{respect}: {group}", "face", "pooled iou", interval)


def _row(
    model: str, variant: str, group: str, region: str, figure: str, interval: Interval
) -> Mapping[str, object]:
    where = {"model": model, "variant": variant, "group": group, "region": region}
    return {**where, "figure": figure, **asdict(interval)}


def show_extremes(comparison: Comparison, portraits: PortraitSet, detect: Detect) -> list[list[Shown]]:
    """Return rows of pictures: of each model the best, the median and the worst by the IoU of the face region.

    A row shows the photo, its true labels, and what each model made of it.
    """
    pairs = {pair.name: pair for pair in portraits.pairs()}
    chosen: dict[int, list[str]] = {}
    for rival in comparison.rivals:
        ranked = comparison.ranked(rival.name)
        if not ranked:  # the truth has no face anywhere
            continue
        for word, place in zip(("best", "median", "worst"), (0, len(ranked) // 2, -1), strict=True):
            chosen.setdefault(ranked[place], []).append(f"{word} of {rival.name}")
    rows = []
    for place, words in chosen.items():
        sample = portraits.read(pairs[comparison.portraits[place].name])
        faces = detect(sample.image)
        row = [
            Shown("; ".join(words), sample.image),
            Shown("truth", paint_labels(sample.image, sample.labels)),
        ]
        for rival in comparison.rivals:
            labels = rival.stage(sample.image, faces).labels()
            iou = comparison.face_scores(rival.name)[place]
            row.append(Shown(f"{rival.name}: IoU {iou:.3f}", paint_labels(sample.image, labels)))
        rows.append(row)
    return rows


def paint_labels(image: Image, labels: Labels) -> Image:
    """Return the photo, darkened, with the face region in the colours of the data set over it."""
    face = np.isin(labels, FACE_CLASSES)[..., None]
    painted = np.where(face, 0.35 * image + 0.65 * PALETTE[labels], 0.5 * image)
    return np.asarray(np.rint(painted), dtype=np.uint8)
