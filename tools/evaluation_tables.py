"""Fill the tables of docs/evaluation.md from the measurements in docs/evaluation/*.json; it measures nothing.

usage: python tools/evaluation_tables.py
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any

from sfumato.evaluation.report import spell
from sfumato.evaluation.segmenter_comparison import MEAN
from sfumato.evaluation.segmenter_report import HEADINGS
from sfumato.evaluation.statistics import Interval
from sfumato.evaluation.variants import VARIANTS
from sfumato.types import CLASSES

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "evaluation.md"
BLOCK = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)

Found = Mapping[str, Any]
Rows = Iterator[Sequence[str]]


def figure(held: Found, digits: int = 3) -> str:
    """Return a figure with its interval as text."""
    ends = (nan if held[end] is None else float(held[end]) for end in ("value", "low", "high"))
    return spell(Interval(*ends), digits)


def face(found: Found) -> Rows:
    """Yield the face region of plain pictures, a row for each model."""
    figures = ("f1", "precision", "recall", "boundary_f1")
    yield ["", "mean IoU", *(HEADINGS[name] for name in figures)]
    for model, held in found["models"].items():
        plain = held["variants"]["plain"]
        yield [model, figure(plain["mean"]["iou"]), *(figure(plain["pooled"]["face"][k]) for k in figures)]


def pairs(found: Found) -> Rows:
    """Yield the paired tests, a row for each two models and figure."""
    yield ["", "first less second", "p", "significant", "equivalent"]
    for name, tests in found["paired tests"].items():
        for test in tests:
            chance = "< 0.001" if test["p"] < 0.001 else f"{test['p']:.3f}"
            words = ["yes" if test[word] else "no" for word in ("significant", "equivalent")]
            both = f"{HEADINGS[name]}: {test['first']}, {test['second']}"
            yield [both, figure(test["difference"]), chance, *words]


def cost(found: Found) -> Rows:
    """Yield the cost of one picture with one face, a row for each model."""
    yield ["", "parameters", "file", "GFLOPs", "cold", "warm (least to most)", "peak memory"]
    for model, held in found["models"].items():
        c = held["cost"]
        least, most = (1000 * second for second in c["spread"])
        yield [
            model,
            f"{c['parameters'] / 1e6:.2f} M",
            f"{c['bytes'] / 1e6:.1f} MB",
            f"{c['gflops']:.1f}",
            f"{c['cold']:.2f} s",
            f"{1000 * c['warm']:.0f} ms ({least:.0f} to {most:.0f})",
            f"{c['memory'] / 1e6:.0f} MB",
        ]


def robustness(found: Found) -> Rows:
    """Yield the mean IoU of the face region, a row for each variant."""
    models = found["models"]
    yield ["", "face found", *models]
    for variant, number in found["pictures with a face"].items():
        means = [figure(held["variants"][variant]["mean"]["iou"]) for held in models.values()]
        share = 100 * number / int(found["facts"]["pictures"])
        yield [f"{variant}: {VARIANTS[variant].means}", f"{share:.0f} %", *means]


def classes(found: Found) -> Rows:
    """Yield the IoU of each class and their mean, a row for each, of the models that have classes."""
    models = {name: held for name, held in found["models"].items() if held["classes"]}
    yield ["", *models]
    for name in (*CLASSES, MEAN):
        yield [name, *(figure(held["variants"]["plain"]["pooled"][name]["iou"]) for held in models.values())]


def groups(found: Found) -> Rows:
    """Yield the pooled IoU of the face region, a row for each group."""
    models = found["models"]
    yield ["", "pictures", *models]
    for respect, members in next(iter(models.values()))["groups"].items():
        for group, held in members.items():
            cells = [figure(model["groups"][respect][group]["face iou"]) for model in models.values()]
            yield [f"{respect}: {group}", str(held["pictures"]), *cells]


def steps(found: Found) -> Rows:
    """Yield what each step from photo to painting does, a row for each."""
    first = next(iter(found["steps"].values()))
    judges = list(first.get("style distance", {}))
    yield ["", "likeness", "seam", "SSIM", *(f"style, {judge}" for judge in judges), "seconds"]
    for name, held in found["steps"].items():
        styles = [figure(held["style distance"][judge]) for judge in judges]
        measures = [figure(held[measure]) for measure in ("likeness", "seam", "ssim")]
        yield [name, *measures, *styles, figure(held["seconds"], 2)]


def restorers(found: Found) -> Rows:
    """Yield the scores of each restorer at each level of damage."""
    levels = found["levels"]
    names = list(next(iter(next(iter(levels.values()))["methods"].values())))
    yield ["", *names]
    for level, held in levels.items():
        for method, scores in held["methods"].items():
            yield [f"{level}: {method}", *(figure(scores[k], 2 if k == "PSNR" else 3) for k in names)]


TABLES = {
    "face": ("segmenters", face),
    "pairs": ("segmenters", pairs),
    "cost": ("segmenters", cost),
    "robustness": ("segmenters", robustness),
    "classes": ("segmenters", classes),
    "groups": ("segmenters", groups),
    "steps": ("pipeline", steps),
    "restorers": ("restorer", restorers),
}
"""Tables of the page by name: the measurement that each is made of, and how."""


def table(name: str) -> str:
    """Return a table of the page as Markdown."""
    source, rows_of = TABLES[name]
    rows = list(rows_of(json.loads((DOCS / "evaluation" / f"{source}.json").read_text(encoding="utf-8"))))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]) + "\n"


def filled(page: str) -> str:
    """Return the page with every table as the measurements have it."""
    return BLOCK.sub(lambda block: f"{block[1]}\n{table(block[2])}\n{block[3]}", page)


def main() -> None:
    """Fill the tables of the page."""
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
