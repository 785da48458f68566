"""Draw the steps of a run as boxes with their pictures (the paper's Fig. 1); it runs nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path
from numpy import concatenate

from sfumato.evaluation.figure_style import (
    BODY_FONT,
    BOLD_FONT,
    INK,
    LINE,
    WIDTH,
    Sheet,
    figure_style,
    legible,
    new_sheet,
    wrap,
)
from sfumato.evaluation.workflow import Step
from sfumato.types import Image

ROWS = (("read", "detect", "restore", "segment"), ("stylize", "blend", "measure"))
"""What happens to the photo and its faces, and below what happens to the painting."""

BELOW: Mapping[str, int] = {"stylize": 0, "blend": 2, "measure": 3}
"""Column of each step of the second row."""

COLUMNS, BOX, PAD, EDGE = 4, 26.0, 1.2, 0.2
"""Boxes side by side, their width, the room within their edges, and outside of them to the figure's, in mm."""

BETWEEN = (WIDTH - 2 * EDGE - COLUMNS * BOX) / (COLUMNS - 1)
"""Millimetres between boxes side by side."""

LANE = 7.0
"""Height in mm of the room between the rows, where arrows run."""

BYPASS = 3.5
"""Height in mm of the room above the first row, for an arrow past a box."""

PICTURE_SPACE = 0.9
"""Millimetres above and below a thumbnail."""

TALLEST = 26.0
"""Height in mm that a thumbnail has at most."""

Place: TypeAlias = tuple[int, int]
"""Row and column."""

Corner: TypeAlias = tuple[float, float]
"""Distances from the left and the top of the figure, in mm."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the boxes of a workflow are.

    Attributes:
        places: of each step.
        picture: height in mm of the room for a picture.
        heights: of the boxes of each row, in mm.
    """

    places: Mapping[str, Place]
    picture: float
    heights: tuple[float, float]

    @property
    def height(self) -> float:
        """Return the height of the whole drawing in mm."""
        return BYPASS + self.heights[0] + LANE + self.heights[1]

    def corner(self, step: str) -> Corner:
        """Return the top left corner of a step's box."""
        row, column = self.places[step]
        return EDGE + column * (BOX + BETWEEN), BYPASS + row * (self.heights[0] + LANE)

    def size(self, step: str) -> Corner:
        """Return width and height of a step's box."""
        return BOX, self.heights[self.places[step][0]]

    def route(self, source: str, target: str) -> list[Corner]:
        """Return the corners of an arrow from one box to another: beside, over or between others, never through."""
        (row, column), (end_row, end_column) = self.places[source], self.places[target]
        (x, y), (end_x, end_y), height = self.corner(source), self.corner(target), self.size(source)[1]
        if row == end_row and self._is_free(row, range(column + 1, end_column)):
            return [(x + BOX, y + height / 2), (end_x, y + height / 2)]
        if row == end_row:
            start, end, above = x + 0.7 * BOX, end_x + 0.3 * BOX, y - 0.7 * BYPASS
            return [(start, y), (start, above), (end, above), (end, end_y)]
        middle, down = x + BOX / 2, y + height
        if column == end_column:
            return [(middle, down), (middle, end_y)]
        end, lane = end_x + (0.25 if column < end_column else 0.75) * BOX, (down + end_y) / 2
        return [(middle, down), (middle, lane), (end, lane), (end, end_y)]

    def _is_free(self, row: int, columns: Iterable[int]) -> bool:
        return not any((row, column) in self.places.values() for column in columns)


def draw_workflow(number: int, steps: Sequence[Step], caption: str) -> Figure:
    """Return the figure: a box for each step, numbered in their order, and arrows between them."""
    with figure_style():
        layout = lay_out(steps)
        sheet = new_sheet(number, caption, layout.height + EDGE)
        canvas = sheet.axes(0, 0, WIDTH, sheet.height)
        canvas.set(xlim=(0, WIDTH), ylim=(sheet.height, 0))
        canvas.set_axis_off()
        for place, step in enumerate(steps, 1):
            for source in step.sources:
                _draw_arrow(canvas, layout.route(source, step.name))
            _draw_box(canvas, layout.corner(step.name), layout.size(step.name)[1])
            _fill_box(sheet, step, place, layout)
    return sheet.figure


def lay_out(steps: Sequence[Step]) -> Layout:
    """Return where each step's box is; those of the first row stand close together."""
    names = {step.name: len(_texts(step)) for step in steps}
    first = [name for name in ROWS[0] if name in names]
    places = {name: (0, column) for column, name in enumerate(first)}
    places |= {name: (1, BELOW[name]) for name in ROWS[1] if name in names}
    picture = min(TALLEST, (BOX - 2 * PAD) * max(map(_aspect, steps)))
    above, below = (max(names[name] for name in row if name in names) for row in ROWS)
    empty = 2 * PAD + LINE + PICTURE_SPACE + picture + PICTURE_SPACE
    return Layout(places, picture, (empty + LINE * above, empty + LINE * below))


def _aspect(step: Step) -> float:
    return step.picture.shape[0] / step.picture.shape[1]


def _texts(step: Step) -> list[str]:
    """Return the lines below a step's picture: its model and what was found."""
    lines = [wrap(legible(text, BODY_FONT), BOX - 2 * PAD, BODY_FONT) for text in (step.model, *step.found)]
    return [line for part in lines for line in part if line]


def _draw_box(canvas: Axes, corner: Corner, height: float) -> None:
    box = FancyBboxPatch(
        corner, BOX, height, boxstyle="round,pad=0,rounding_size=1.2", facecolor="0.97", edgecolor=INK
    )
    box.set(linewidth=0.6, gid="box")
    canvas.add_patch(box)


def _draw_arrow(canvas: Axes, corners: Sequence[Corner]) -> None:
    codes = concatenate([[Path.MOVETO], [Path.LINETO] * (len(corners) - 1)])
    arrow = FancyArrowPatch(
        path=Path(corners, codes), arrowstyle="-|>,head_length=3.2,head_width=1.8", color=INK
    )
    arrow.set(linewidth=0.8, joinstyle="miter", capstyle="butt", gid="arrow")
    canvas.add_patch(arrow)


def _fill_box(sheet: Sheet, step: Step, place: int, layout: Layout) -> None:
    """Write the title, show the picture and write the lines below it."""
    left, top = layout.corner(step.name)
    middle, inner = left + BOX / 2, BOX - 2 * PAD
    sheet.write(f"{place}  {step.name.capitalize()}", middle, top + PAD, BOLD_FONT, align="center")
    start = top + PAD + LINE + PICTURE_SPACE
    _show(sheet, step.picture, (left + PAD, start), (inner, layout.picture))
    below = start + layout.picture + PICTURE_SPACE
    for line, text in enumerate(_texts(step)):
        sheet.write(text, middle, below + line * LINE, BODY_FONT, align="center")


def _show(sheet: Sheet, image: Image, corner: Corner, room: Corner) -> None:
    """Show a whole picture in the middle of a place."""
    height, width = image.shape[:2]
    scale = min(room[0] / width, room[1] / height)
    w, h = width * scale, height * scale
    sheet.picture(image, corner[0] + (room[0] - w) / 2, corner[1] + (room[1] - h) / 2, w, h)
