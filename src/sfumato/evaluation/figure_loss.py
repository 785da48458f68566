"""Draw how the loss fell in a training (the paper's Fig. 2), from the table that a run leaves; it trains nothing."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sfumato.errors import InputError, MissingInputError
from sfumato.evaluation.figure_style import FAINT, LINE, WIDTH, figure_style, new_sheet

Curves: TypeAlias = Mapping[str, NDArray[np.float64]]
"""Nx2 steps and losses of each curve by its name."""

TABLE = "loss.csv"
"""The table in a run's folder that `training.loss_curve` writes: curve, step, loss."""

HEIGHT = 58.0
"""Of the drawing in mm, with what is written at its axes."""

LEFT, RIGHT, BOTTOM = 12.0, 4.0, 9.5
"""Room in mm for what is written at the axes; on the right half of a number may stand out."""

STYLES: Mapping[str, Mapping[str, Any]] = {
    "training": {"color": FAINT, "linewidth": 0.6},
    "training, averaged": {"color": "#0072B2"},
    "validation": {"color": "#D55E00", "marker": "o", "markersize": 3},
}
"""Look of each curve that a training writes; others get matplotlib's."""


def read_curves(run: Path) -> Curves:
    """Return the curves of a run's `loss.csv`.

    Raises:
        MissingInputError: there is none, or it holds no loss.
        InputError: it is no table of curve, step and loss.
    """
    table = run / TABLE
    if not table.is_file():
        raise MissingInputError(f"{table} is missing; name the folder of a run that has ended")
    points: dict[str, list[tuple[float, float]]] = {}
    try:
        with table.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                points.setdefault(row["curve"], []).append((float(row["step"]), float(row["loss"])))
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{table} is no table of curve, step and loss; name the folder of a run") from error
    if not points:
        raise MissingInputError(f"{table} holds no loss; name the folder of a run that has logged some")
    return {name: np.array(curve) for name, curve in points.items()}


def draw_loss(number: int, curves: Curves, caption: str) -> Figure:
    """Return the figure of a run's curves."""
    last = max(points[-1, 0] for points in curves.values())
    with figure_style():
        sheet = new_sheet(number, caption, HEIGHT)
        axes = sheet.axes(LEFT, LINE / 2, WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM - LINE / 2)
        for name, points in curves.items():
            axes.plot(points[:, 0], points[:, 1], label=name, **STYLES.get(name, {}))
        axes.set(xlabel="step", ylabel="loss", xlim=(0, 1.015 * last))
        axes.set_ylim(bottom=min(0.0, *(points[:, 1].min() for points in curves.values())))
        axes.grid(color="0.9", linewidth=0.5)
        axes.legend()
    return sheet.figure
