"""Lay out the comparison of segmenters as a report; it measures nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

import numpy as np

from sfumato.evaluation.chart import draw_intervals, draw_lines
from sfumato.evaluation.parsing_counts import FIGURES
from sfumato.evaluation.report import Report, Section, Shown, Table, here, spell
from sfumato.evaluation.segmenter_comparison import PLAIN, Comparison, PortraitSet, Rival
from sfumato.evaluation.segmenter_cost import SegmenterCost
from sfumato.evaluation.statistics import Interval, mean_interval
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
    "The face region is skin, brows, eyes, lips and teeth. All figures but the mean over pictures pool the pixels of "
    "all pictures. Boundary F1 counts border pixels within 2 px at 512. In brackets: 95 % bootstrap intervals, in "
    "which persons are drawn anew. Every model looks at the faces that the same detector found."
)


def report_segmenters(
    comparison: Comparison, pictures: Sequence[Sequence[Shown]] = (), choice: str | None = None
) -> Report:
    """Return the report of a comparison.

    Args:
        pictures: rows to show, see `show_extremes`.
        choice: why which model was chosen, if one was.
    """
    verdicts = [pair.verdict for pair in comparison.paired()]
    lead = ["Face region, mean IoU: " + "; ".join(verdicts) + "."] if verdicts else []
    lead += [f"Chosen: {choice}."] if choice else []
    sections = [
        _face_section(comparison),
        *_cost_section(comparison.costs),
        *_robustness_section(comparison),
        *_class_section(comparison),
        *_group_section(comparison),
        *([Section("Best, median and worst cases", pictures=pictures)] if pictures else []),
    ]
    facts = {
        "data": comparison.data,
        "pictures": str(len(comparison.portraits)),
        "persons": str(len({portrait.person for portrait in comparison.portraits})),
        **{f"sha256 of {rival.name}": rival.sha256 for rival in comparison.rivals},
        "seed": str(comparison.seed),
        **here(),
    }
    title = "Segmenters compared: " + ", ".join(rival.name for rival in comparison.rivals)
    return Report(
        title,
        lead,
        facts,
        comparison.missing,
        sections,
        _numbers(comparison, choice),
        list(_rows(comparison)),
    )


def mean_face(comparison: Comparison, model: str, variant: str = PLAIN, figure: str = "iou") -> Interval:
    """Return the mean over pictures of a figure of the face region, with its interval."""
    return mean_interval(comparison.face_scores(model, figure, variant), seed=comparison.seed)


def face_table(comparison: Comparison) -> Table:
    """Return what is measured of the face region of plain pictures, a row for each model."""
    rows = []
    for rival in comparison.rivals:
        face = comparison.figures(rival.name)["face"]
        mean = spell(mean_face(comparison, rival.name))
        rows.append([rival.name, mean, *(spell(face[figure]) for figure in FIGURES)])
    return Table(["face region", "mean IoU", *(f"{HEADINGS[f]}, pooled" for f in FIGURES)], rows)


def _face_section(comparison: Comparison) -> Section:
    borders = [f"Boundary F1: {pair.verdict}." for pair in comparison.paired("boundary_f1")]
    means = {rival.name: mean_face(comparison, rival.name) for rival in comparison.rivals}
    chart = draw_intervals(means, "mean IoU of the face region")
    return Section("Face region", [MEASURES, *borders], face_table(comparison), [chart])


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


def robustness_table(comparison: Comparison) -> Table:
    """Return the mean IoU of the face region for each variant, a row for each; and how often a face was found."""
    variants = list(comparison.scores[comparison.rivals[0].name])
    rows = []
    for variant in variants:
        scores = comparison.scores[comparison.rivals[0].name][variant]
        found = np.mean([score.faces > 0 for score in scores])
        means = [spell(mean_face(comparison, rival.name, variant)) for rival in comparison.rivals]
        rows.append([f"{variant}: {VARIANTS[variant].means}", f"{100 * found:.0f} %", *means])
    return Table(["variant", "face found", *(rival.name for rival in comparison.rivals)], rows)


def _robustness_section(comparison: Comparison) -> list[Section]:
    variants = list(comparison.scores[comparison.rivals[0].name])
    if len(variants) < 2:
        return []
    lines = {
        rival.name: [mean_face(comparison, rival.name, variant) for variant in variants]
        for rival in comparison.rivals
    }
    text = "Mean IoU of the face region over pictures; a face that the detector misses counts as 0."
    chart = draw_lines(lines, variants, "mean IoU of the face region")
    return [Section("Robustness", [text], robustness_table(comparison), [chart])]


def class_table(comparison: Comparison, figure: str) -> Table | None:
    """Return one figure of each class, a row for each, of the models that have classes."""
    named = [rival for rival in comparison.rivals if rival.classes]
    if not named:
        return None
    figures = {rival.name: comparison.figures(rival.name) for rival in named}
    rows = [[name, *(spell(figures[rival.name][name][figure]) for rival in named)] for name in CLASSES]
    return Table([HEADINGS[figure], *(rival.name for rival in named)], rows)


def _class_section(comparison: Comparison) -> list[Section]:
    without = [rival.name for rival in comparison.rivals if not rival.classes]
    text = [f"No classes, as Segment Anything knows none: {', '.join(without)}."] if without else []
    tables = [(figure, class_table(comparison, figure)) for figure in ("iou", "boundary_f1")]
    return [
        Section(f"Classes: {HEADINGS[figure]}", text if figure == "iou" else [], table)
        for figure, table in tables
        if table is not None
    ]


def group_table(comparison: Comparison) -> Table:
    """Return the pooled IoU of the face region in each group, a row for each."""
    groups = {rival.name: comparison.by_group(rival.name) for rival in comparison.rivals}
    rows = []
    for respect, members in groups[comparison.rivals[0].name].items():
        for group, (number, _) in members.items():
            cells = [spell(groups[rival.name][respect][group][1]) for rival in comparison.rivals]
            rows.append([f"{respect}: {group}", str(number), *cells])
    return Table(["group", "pictures", *(rival.name for rival in comparison.rivals)], rows)


def _group_section(comparison: Comparison) -> list[Section]:
    table = group_table(comparison)
    text = (
        "Pooled IoU of the face region. Pose: by where the nose lies between the eyes. Skin tone: individual typology "
        "angle as photographed, which light and white balance move. Glasses and hat: from 19-class masks where there "
        "are any. Groups of few pictures have wide intervals, or none to speak of."
    )
    return [Section("Groups", [text], table)] if table.rows else []


def _numbers(comparison: Comparison, choice: str | None) -> Mapping[str, object]:
    models = {}
    for rival in comparison.rivals:
        variants = {
            variant: {
                "mean": {figure: mean_face(comparison, rival.name, variant, figure) for figure in FIGURES},
                "pooled": comparison.figures(rival.name, variant),
            }
            for variant in comparison.scores[rival.name]
        }
        groups = {
            respect: {group: {"pictures": n, "face iou": found} for group, (n, found) in members.items()}
            for respect, members in comparison.by_group(rival.name).items()
        }
        cost = comparison.costs.get(rival.name)
        models[rival.name] = {
            "sha256": rival.sha256,
            "classes": rival.classes,
            "cost": None if cost is None else asdict(cost),
            "variants": variants,
            "groups": groups,
        }
    tests = {
        figure: [
            {**asdict(pair), "significant": pair.significant, "equivalent": pair.equivalent}
            for pair in comparison.paired(figure)
        ]
        for figure in ("iou", "boundary_f1")
    }
    first = comparison.scores[comparison.rivals[0].name]
    found = {variant: sum(score.faces > 0 for score in scores) for variant, scores in first.items()}
    return {"models": models, "paired tests": tests, "pictures with a face": found, "chosen": choice}


def _rows(comparison: Comparison) -> Iterator[Mapping[str, object]]:
    """Yield one row for each figure."""
    for rival in comparison.rivals:
        for variant in comparison.scores[rival.name]:
            for region, figures in comparison.figures(rival.name, variant).items():
                for figure, interval in figures.items():
                    yield _row(rival, variant, "all", region, f"pooled {figure}", interval)
            for figure in FIGURES:
                mean = mean_face(comparison, rival.name, variant, figure)
                yield _row(rival, variant, "all", "face", f"mean {figure}", mean)
        for respect, members in comparison.by_group(rival.name).items():
            for group, (_, interval) in members.items():
                yield _row(rival, PLAIN, f"{respect}: {group}", "face", "pooled iou", interval)


def _row(
    rival: Rival, variant: str, group: str, region: str, figure: str, interval: Interval
) -> Mapping[str, object]:
    return {
        "model": rival.name,
        "variant": variant,
        "group": group,
        "region": region,
        "figure": figure,
        **asdict(interval),
    }


def show_extremes(comparison: Comparison, portraits: PortraitSet, detect: Detect) -> list[list[Shown]]:
    """Return rows of pictures: of each model the best, the median and the worst by the IoU of the face region.

    A row shows the photo, its true labels, and what each model made of it.
    """
    pairs = {pair.name: pair for pair in portraits.pairs()}
    chosen: dict[int, list[str]] = {}
    for rival in comparison.rivals:
        ranked = comparison.ranked(rival.name)
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
