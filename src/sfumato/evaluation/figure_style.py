"""Give all figures one look: width, fonts, caption and files; it knows nothing of what is drawn.

A figure is as wide as the text of Springer's LNCS, 122 mm, and is laid out in millimetres from its top left corner.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any, Literal, TypeAlias

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import TextPath

from sfumato.fields import shrink
from sfumato.types import Image

Format: TypeAlias = Literal["png", "pdf"]

WIDTH = 122.0
"""Width of every figure in mm: that of the text in Springer's LNCS."""

DPI = 300

INCH = 25.4
POINT = INCH / 72
"""Millimetres of an inch, and of a typographic point."""

SMALL, CAPTION = 7.0, 9.0
"""Sizes of the text in points: in the figure, and of its caption as LNCS sets it."""

LINE, CAPTION_LINE = 1.25 * SMALL * POINT, 1.22 * CAPTION * POINT
"""Distances of lines of text in mm."""

CAPTION_SPACE = 2.5
"""Millimetres between a figure and its caption."""

INK, FAINT = "0.15", "0.6"
"""Greys of lines and text, and of what stands back."""

RC: Mapping[str, Any] = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": SMALL,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": SMALL,
    "font.family": "DejaVu Sans",
    "font.size": SMALL,
    "image.composite_image": False,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,
    "savefig.dpi": DPI,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "xtick.labelsize": SMALL,
    "xtick.major.width": 0.6,
    "ytick.color": INK,
    "ytick.labelsize": SMALL,
    "ytick.major.width": 0.6,
}

BODY_FONT = FontProperties(family="DejaVu Sans", size=SMALL)
BOLD_FONT = FontProperties(family="DejaVu Sans", size=SMALL, weight="bold")
CAPTION_FONT = FontProperties(family="STIXGeneral", size=CAPTION)
NUMBER_FONT = FontProperties(family="STIXGeneral", size=CAPTION, weight="bold")

METADATA: Mapping[Format, Mapping[str, str | None]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": "sfumato", "Producer": None},
}
"""What tells when and by which release a file was made is left out, so that files can be compared."""


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw and write figures in the common style, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context(), matplotlib.rc_context(matplotlib.rcParamsDefault):
        matplotlib.rcParams.update(dict[Any, Any](RC))
        yield


@dataclass(frozen=True, slots=True)
class Sheet:
    """A figure that is laid out in millimetres from its top left corner.

    Attributes:
        height: of the whole figure, its caption included.
    """

    figure: Figure
    height: float

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Return new axes at a place."""
        bottom = self.height - top - height
        place = (left / WIDTH, bottom / self.height, width / WIDTH, height / self.height)
        return self.figure.add_axes(place)

    def picture(self, image: Image, left: float, top: float, width: float, height: float) -> Axes:
        """Show a picture that fills a place, at no more pixels than are printed; return its axes."""
        axes = self.axes(left, top, width, height)
        axes.imshow(reduce_to_print(image, width, height), aspect="auto")
        axes.set_axis_off()
        return axes

    def write(self, text: str, left: float, top: float, font: FontProperties, *, align: str = "left") -> None:
        """Write a line, its top at a place.

        Args:
            align: "left" where it begins there, "center" where its middle is.
        """
        place = (left / WIDTH, 1 - top / self.height)
        self.figure.text(*place, text, fontproperties=font, va="top", ha=align)


def new_sheet(number: int, caption: str, body: float) -> Sheet:
    """Return a figure with room of the height `body` above its caption.

    Args:
        caption: what stands after "Fig. 1."
    """
    head = f"Fig. {number}. "
    lines = wrap(legible(head + caption, CAPTION_FONT), WIDTH - 1.5, CAPTION_FONT)
    height = body + CAPTION_SPACE + CAPTION_LINE * len(lines) + 0.6
    figure = Figure(figsize=(WIDTH / INCH, height / INCH), dpi=DPI)
    FigureCanvasAgg(figure)
    sheet = Sheet(figure, height)
    top = body + CAPTION_SPACE
    sheet.write(head.strip(), 0, top, NUMBER_FONT)
    first = lines[0].removeprefix(head)
    indent = text_width(head.strip(), NUMBER_FONT) + text_width("n", CAPTION_FONT) * 0.6
    sheet.write(first, indent, top, CAPTION_FONT)
    for place, line in enumerate(lines[1:], 1):
        sheet.write(line, 0, top + place * CAPTION_LINE, CAPTION_FONT)
    return sheet


def render(figure: Figure, format: Format) -> bytes:
    """Return the bytes of a figure's file, the same for the same figure."""
    with figure_style(), BytesIO() as buffer:
        figure.savefig(buffer, format=format, dpi=DPI, metadata=dict(METADATA[format]))
        return buffer.getvalue()


def reduce_to_print(image: Image, width: float, height: float) -> Image:
    """Return a picture at no more pixels than a place of this size in mm prints."""
    pixels = max(width / INCH * DPI / image.shape[1], height / INCH * DPI / image.shape[0])
    return image if pixels >= 1 else np.rint(shrink(image, pixels)).astype(np.uint8)


@cache
def text_width(text: str, font: FontProperties) -> float:
    """Return how many mm a line of text takes."""
    if not text.strip():
        return 0.0
    outline = TextPath((0, 0), text, size=font.get_size(), prop=font)
    return float(outline.get_extents().x1 * POINT)


def wrap(text: str, width: float, font: FontProperties) -> tuple[str, ...]:
    """Return lines no wider than `width` mm, broken at spaces, after hyphens and the like, and else anywhere."""
    lines = [""]
    for piece in re.findall(r"[^\s\-_/]+[\-_/]*\s*|[\s\-_/]+", text):
        fits = text_width(piece.rstrip(), font) <= width
        for part in [piece] if fits else piece:
            if lines[-1] and text_width((lines[-1] + part).rstrip(), font) > width:
                lines.append("")
            lines[-1] += part
    return tuple(line.strip() for line in lines)


def legible(text: str, font: FontProperties) -> str:
    """Return the text with a question mark for each character that the font does not have."""
    face = get_font(findfont(font))
    return "".join(letter if face.get_char_index(ord(letter)) else "?" for letter in " ".join(text.split()))


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence lists them.

    >>> listed(["light"]), listed(["light", "sam", "unet"])
    ('light', 'light, sam and unet')
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
