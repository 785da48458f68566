"""Draw figures with their intervals as SVG for the page of a report; nothing is measured or written here."""

from collections.abc import Mapping, Sequence
from io import StringIO

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sfumato.evaluation.statistics import Interval

_LOOK = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "svg.fonttype": "path",
    "text.parse_math": False,
    "svg.hashsalt": "sfumato",
}


def draw_intervals(figures: Mapping[str, Interval], label: str) -> str:
    """Return a chart of one figure of each model, its interval as a bar, as SVG."""
    with mpl.rc_context(_LOOK):  # type: ignore[arg-type]  # the stubs want every key of rcParams by name
        figure = Figure(figsize=(6.5, 0.9 + 0.35 * len(figures)), layout="constrained")
        axes = figure.subplots()
        for place, interval in enumerate(figures.values()):
            axes.errorbar([interval.value], [place], xerr=_ends([interval]), fmt="o", capsize=3)
        axes.set_yticks(range(len(figures)), list(figures))
        axes.set_ylim(len(figures) - 0.5, -0.5)
        axes.set_xlabel(label)
        return _as_svg(figure)


def draw_lines(figures: Mapping[str, Sequence[Interval]], names: Sequence[str], label: str) -> str:
    """Return a chart of one figure of each model under each of several conditions, as SVG."""
    with mpl.rc_context(_LOOK):  # type: ignore[arg-type]  # the stubs want every key of rcParams by name
        figure = Figure(figsize=(6.5, 3.2), layout="constrained")
        axes: Axes = figure.subplots()
        for number, (name, intervals) in enumerate(figures.items()):
            places = np.arange(len(names)) + 0.08 * (number - (len(figures) - 1) / 2)
            values = [interval.value for interval in intervals]
            axes.errorbar(places, values, yerr=_ends(intervals), fmt="o", capsize=2, label=name)
        axes.set_xticks(range(len(names)), list(names))
        axes.set_ylabel(label)
        axes.legend(frameon=False)
        return _as_svg(figure)


def _ends(intervals: Sequence[Interval]) -> list[list[float]]:
    """Return how far the ends of intervals lie below and above their values."""
    values = np.array([interval.value for interval in intervals])
    low = values - [interval.low for interval in intervals]
    high = [interval.high for interval in intervals] - values
    # Rounding may place an end that equals the value beyond it, and one picture alone has no interval.
    return [np.maximum(np.nan_to_num(side), 0).tolist() for side in (low, high)]


def _as_svg(figure: Figure) -> str:
    """Return the drawing without the lines before its first tag, so that it may stand in a page."""
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
