"""Write what an evaluation found as JSON, CSV and one self-contained page; it measures nothing."""

import base64
import csv
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from io import StringIO
from math import isnan
from pathlib import Path

import cv2
from jinja2 import Environment, PackageLoader, StrictUndefined

from sfumato.evaluation.statistics import Interval
from sfumato.io import write_bytes
from sfumato.training.card import hardware
from sfumato.types import Image

SHOWN_SIDE = 320
"""Longer side in pixels to which a picture is reduced in a page."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; the first of each names it."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture with what it shows."""

    caption: str
    image: Image


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page.

    Attributes:
        text: paragraphs.
        charts: drawings, as SVG.
        pictures: rows of pictures, each row side by side.
    """

    title: str
    text: Sequence[str] = ()
    table: Table | None = None
    charts: Sequence[str] = ()
    pictures: Sequence[Sequence[Shown]] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What an evaluation found.

    Attributes:
        title: what was compared.
        lead: the outcome, in a few sentences.
        facts: what was measured on, by what, when.
        missing: why a model did not take part, by name.
        sections: the parts of the page.
        figures: everything in numbers, ready for JSON once intervals are spelt out.
        rows: the same as long rows of a table, one figure each.
    """

    title: str
    lead: Sequence[str]
    facts: Mapping[str, str]
    missing: Mapping[str, str]
    sections: Sequence[Section]
    figures: Mapping[str, object]
    rows: Sequence[Mapping[str, object]]

    def as_json(self) -> Mapping[str, object]:
        """Return facts, missing models and figures; intervals as value, low and high, nan as null."""
        found = {"facts": self.facts, "missing": self.missing, **self.figures}
        return {name: plain(value) for name, value in found.items()}

    def write(self, folder: Path, name: str, *, overwrite: bool = False) -> list[Path]:
        """Write NAME.json, NAME.csv and NAME.html into a folder and return their paths.

        Raises:
            OutputError: one of them exists and `overwrite` is false, or cannot be written.
        """
        texts = {
            "json": json.dumps(self.as_json(), indent=1, allow_nan=False) + "\n",
            "csv": as_csv(self.rows),
            "html": as_html(self),
        }
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{name}.{suffix}" for suffix in texts]
        for path, text in zip(paths, texts.values(), strict=True):
            write_bytes(text.encode(), path, overwrite=overwrite)
        return paths


def here() -> Mapping[str, str]:
    """Return where and when something was measured: program, processor, system and day."""
    return {
        "sfumato": version("sfumato"),
        "hardware": hardware(),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "date": datetime.now(UTC).date().isoformat(),
    }


def plain(value: object) -> object:
    """Return a value as JSON holds it."""
    if isinstance(value, Interval):
        return {"value": plain(value.value), "low": plain(value.low), "high": plain(value.high)}
    if isinstance(value, float):
        return None if isnan(value) else round(value, 5)
    if isinstance(value, Mapping):
        return {str(name): plain(held) for name, held in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(held) for held in value]
    return value


def spell(interval: Interval, digits: int = 3) -> str:
    """Return a figure with its interval, if it has one.

    >>> spell(Interval(0.9481, 0.94, 0.955)), spell(Interval(float("nan"), 0, 0))
    ('0.948 [0.940, 0.955]', '-')
    """
    if isnan(interval.value):
        return "-"
    if isnan(interval.low):
        return f"{interval.value:.{digits}f}"
    return f"{interval.value:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def as_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows of one table, the names of the first row's columns in the first line; nan is empty."""
    text = StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: plain(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def as_html(report: Report) -> str:
    """Return a page that needs no other file and no network, and runs no script."""
    environment = Environment(
        loader=PackageLoader("sfumato.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["picture"] = _as_address
    return environment.get_template("report.html.jinja").render(report=report)


def _as_address(image: Image) -> str:
    """Return a picture, reduced, as an address that holds it whole."""
    scale = min(1.0, SHOWN_SIDE / max(image.shape[:2]))
    size = tuple(max(1, round(scale * side)) for side in image.shape[1::-1])
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"
