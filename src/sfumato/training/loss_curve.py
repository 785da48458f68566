"""Draw how the losses fell (the paper's Fig. 2), from the log of a run; it trains nothing."""

import csv
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import MissingInputError

LOGS = "logs"
"""Folder of a run's logs: `version_0` of its start, one more of each resumption."""

_SMOOTHING = 0.02
"""Part of the run over which the drawn line averages."""

_LEAST_WINDOW = 7
"""Logged losses that it averages at least."""

_COLUMNS = 3
"""Panels side by side."""


def read_curve(run: Path, name: str) -> NDArray[np.float64]:
    """Return Nx2: step and value of one column of a run's logs; what a resumed run did again counts once.

    Raises:
        MissingInputError: there is no log, or no such column in it.
    """
    values: dict[int, float] = {}
    for log in _logs(run):
        with log.open(newline="", encoding="utf-8") as file:
            values |= {int(row["step"]): float(row[name]) for row in csv.DictReader(file) if row.get(name)}
    if not values:
        raise MissingInputError(f"{run / LOGS} holds no {name}; the run has logged none yet")
    return np.array(sorted(values.items()))


def smooth(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Return the mean over up to `width` values around each; shorter windows at the ends.

    >>> smooth(np.array([0.0, 3.0, 6.0]), 3).tolist()
    [1.5, 3.0, 4.5]
    """
    half = width // 2
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first = np.maximum(np.arange(len(values)) - half, 0)
    last = np.minimum(np.arange(len(values)) + half + 1, len(values))
    return np.asarray((sums[last] - sums[first]) / (last - first))


def draw_loss_curve(run: Path) -> tuple[Path, Path]:
    """Write `loss.png` and `loss.csv` into the folder of a run and return both paths."""
    training = read_curve(run, "loss")
    line = smooth(training[:, 1], max(_LEAST_WINDOW, round(_SMOOTHING * len(training))))
    curves = {"training": training, "training, averaged": np.column_stack([training[:, 0], line])}
    with suppress(MissingInputError):  # a run that ended before its first validation
        curves["validation"] = read_curve(run, "val_loss")
    _write_table(run / "loss.csv", curves)
    _draw(run / "loss.png", curves)
    return run / "loss.png", run / "loss.csv"


def draw_all_losses(run: Path) -> Path:
    """Write `losses.png` into the folder of a run, a panel for each loss that it logged, and return its path.

    Raises:
        MissingInputError: there is no log.
    """
    from matplotlib.figure import Figure

    curves = {name: read_curve(run, name) for name in logged_losses(run)}
    rows = -(-len(curves) // _COLUMNS)
    figure = Figure(figsize=(2.4 * _COLUMNS, 1.8 * rows), dpi=150, layout="constrained")
    for place, (name, points) in enumerate(curves.items(), 1):
        axes = figure.add_subplot(rows, _COLUMNS, place)
        line = smooth(points[:, 1], max(_LEAST_WINDOW, round(_SMOOTHING * len(points))))
        axes.plot(points[:, 0], points[:, 1], color="0.8", linewidth=0.6)
        axes.plot(points[:, 0], line, color="C0", linewidth=1.2)
        axes.set_title(name.replace("_", " "), fontsize=8)
        axes.set_ylim(bottom=0)
        axes.tick_params(labelsize=6)
        axes.grid(color="0.9", linewidth=0.5)
    path = run / "losses.png"
    figure.savefig(path, format="png")
    return path


def logged_losses(run: Path) -> tuple[str, ...]:
    """Return the names of all losses in a run's logs, the sum first.

    Raises:
        MissingInputError: there is no log.
    """
    names: dict[str, None] = {"loss": None}
    for log in _logs(run):
        with log.open(newline="", encoding="utf-8") as file:
            header = next(csv.reader(file), [])
        names |= {name: None for name in header if name not in ("epoch", "step") and "val" not in name}
    return tuple(names)


def _logs(run: Path) -> Sequence[Path]:
    logs = sorted((run / LOGS).glob("version_*/metrics.csv"), key=lambda log: int(log.parent.name[8:]))
    if not logs:
        raise MissingInputError(f"{run / LOGS} holds no metrics.csv; name the folder of a run")
    return logs


def _write_table(path: Path, curves: Mapping[str, NDArray[np.float64]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["curve", "step", "loss"])
        for name, points in curves.items():
            writer.writerows([name, int(step), f"{value:.6g}"] for step, value in points)


def _draw(path: Path, curves: Mapping[str, NDArray[np.float64]]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4, 2.4), dpi=300, layout="constrained")
    axes = figure.add_subplot()
    styles: Sequence[Mapping[str, Any]] = (
        {"color": "0.8", "linewidth": 0.6},
        {"color": "C0", "linewidth": 1.4},
        {"color": "C1", "linewidth": 1.2, "marker": "o", "markersize": 2.5},
    )
    for (name, points), style in zip(curves.items(), styles, strict=False):
        axes.plot(points[:, 0], points[:, 1], label=name, **style)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_ylim(bottom=0)
    axes.grid(color="0.9", linewidth=0.5)
    axes.legend(fontsize=7, frameon=False)
    figure.savefig(path, format="png")
