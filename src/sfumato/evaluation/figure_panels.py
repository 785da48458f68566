"""Lay pictures out in rows and columns under titles, for the paper's Fig. 3 and 4; it makes no picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sfumato.evaluation.figure_style import (
    BODY_FONT,
    FAINT,
    LINE,
    WIDTH,
    Sheet,
    figure_style,
    legible,
    new_sheet,
    text_width,
    wrap,
)
from sfumato.types import Image

GAP = 1.2
"""Millimetres between pictures."""

TALLEST = 165.0
"""Millimetres that the pictures of a figure take in height before they get narrower, to stay on a page."""

NARROWEST = 14.0
"""Width in mm below which pictures do not get, however many they are."""

TITLE_SPACE = 0.8
"""Millimetres above and below titles."""

NOTHING = "no annotation"
"""What stands where a column has no picture."""


@dataclass(frozen=True, slots=True)
class Panels:
    """What a figure shows.

    Attributes:
        columns: title of each column.
        rows: pictures of one size, one for each column; None where there is none.
        caption: what stands after "Fig. 3."
        legend: colour of each name that is explained below the pictures.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Image | None, ...], ...]
    caption: str
    legend: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


def draw_panels(number: int, panels: Panels) -> Figure:
    """Return the figure: titles, a row for each picture, the legend and the caption."""
    with figure_style():
        width = _panel_width(panels)
        titles = [wrap(legible(title, BODY_FONT), width, BODY_FONT) for title in panels.columns]
        head = LINE * max(map(len, titles)) + 2 * TITLE_SPACE
        heights = [width * _aspect(row) for row in panels.rows]
        legend = _place_legend(panels.legend)
        foot = LINE * len(legend) + 1.6 if legend else 0.0
        body = head + sum(heights) + GAP * (len(heights) - 1) + foot
        sheet = new_sheet(number, panels.caption, body)
        lefts = _lefts(len(panels.columns), width)
        for left, lines in zip(lefts, titles, strict=True):
            _write_title(sheet, lines, left + width / 2, head)
        top = head
        for row, height in zip(panels.rows, heights, strict=True):
            for left, image in zip(lefts, row, strict=True):
                _draw_panel(sheet, image, left, top, (width, height))
            top += height + GAP
        _draw_legend(sheet, legend, panels.legend, top - GAP + 1.6)
    return sheet.figure


def _draw_panel(
    sheet: Sheet, image: Image | None, left: float, top: float, size: tuple[float, float]
) -> None:
    if image is not None:
        sheet.picture(image, left, top, *size)
        return
    axes = sheet.axes(left, top, *size)
    axes.set(xticks=[], yticks=[], facecolor="0.97")
    axes.spines[:].set(visible=True, color=FAINT, linewidth=0.5)
    text = "\n".join(wrap(NOTHING, size[0] - 2, BODY_FONT))
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=FAINT)


def _write_title(sheet: Sheet, lines: Sequence[str], centre: float, head: float) -> None:
    """Write a title's lines so that the last stands right above the pictures."""
    for place, line in enumerate(reversed(lines), 1):
        sheet.write(line, centre, head - TITLE_SPACE - place * LINE, BODY_FONT, align="center")


def _aspect(row: Sequence[Image | None]) -> float:
    """Return height by width of a row's pictures."""
    shape = next(image.shape for image in row if image is not None)
    return shape[0] / shape[1]


def _panel_width(panels: Panels) -> float:
    count = len(panels.columns)
    full = (WIDTH - GAP * (count - 1)) / count
    room = TALLEST - GAP * (len(panels.rows) - 1)
    return min(full, max(NARROWEST, room / sum(map(_aspect, panels.rows))))


def _lefts(count: int, width: float) -> list[float]:
    """Return where each column begins; all together stand in the middle."""
    margin = (WIDTH - count * width - (count - 1) * GAP) / 2
    return [margin + k * (width + GAP) for k in range(count)]


PATCH, PATCH_SPACE, ENTRY_SPACE = 2.4, 0.9, 3.0
"""Millimetres of a colour in the legend, between it and its name, and between two entries."""


def _place_legend(legend: Mapping[str, tuple[float, ...]]) -> list[list[tuple[str, float]]]:
    """Return the lines of the legend: names and where they begin, each line in the middle."""
    lines: list[list[str]] = [[]]
    for name in legend:
        if _legend_width([*lines[-1], name]) > WIDTH:
            lines.append([])
        lines[-1].append(name)
    placed = []
    for names in filter(None, lines):
        left, line = (WIDTH - _legend_width(names)) / 2, []
        for name in names:
            line.append((name, left))
            left += _legend_width([name]) + ENTRY_SPACE
        placed.append(line)
    return placed


def _legend_width(names: Sequence[str]) -> float:
    entries = [PATCH + PATCH_SPACE + text_width(name, BODY_FONT) for name in names]
    return sum(entries) + ENTRY_SPACE * (len(entries) - 1)


def _draw_legend(
    sheet: Sheet,
    lines: Sequence[Sequence[tuple[str, float]]],
    colours: Mapping[str, tuple[float, ...]],
    top: float,
) -> None:
    for place, entries in enumerate(lines):
        line_top = top + place * LINE
        for name, left in entries:
            corner = (left / WIDTH, 1 - (line_top + PATCH) / sheet.height)
            size = (PATCH / WIDTH, PATCH / sheet.height)
            patch = Rectangle(corner, *size, facecolor=colours[name], edgecolor=FAINT, linewidth=0.3)
            patch.set_transform(sheet.figure.transFigure)
            sheet.figure.add_artist(patch)
            sheet.write(name, left + PATCH + PATCH_SPACE, line_top, BODY_FONT)
