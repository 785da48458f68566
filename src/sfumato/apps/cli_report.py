"""Print what was done, for people or as JSON; nothing is computed or read here."""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from sfumato.apps.cli_inputs import STREAM
from sfumato.types import Face

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from sfumato.apps.cli_stylize import Outcome
    from sfumato.registry import ModelSpec


@dataclass(frozen=True, slots=True)
class Voice:
    """Say how to speak: lines for people, one JSON object, or nothing but errors.

    Attributes:
        aside: standard output carries the picture, so that lines go to standard error.
    """

    json: bool = False
    quiet: bool = False
    aside: bool = False

    @property
    def speaks(self) -> bool:
        """Return whether lines for people are wanted."""
        return not (self.json or self.quiet)

    @property
    def shows(self) -> bool:
        """Return whether lines for people go beside a terminal, on which a bar may be drawn."""
        return self.speaks and sys.stderr.isatty()

    def say(self, line: str) -> None:
        """Print one line for people."""
        if self.speaks:
            print(one_line(line), file=sys.stderr if self.aside else sys.stdout, flush=True)

    def tell(self, report: Mapping[str, object]) -> None:
        """Print the report as JSON if it was asked for; all characters beyond ASCII are escaped."""
        if self.json:
            print(json.dumps(report, indent=2, allow_nan=False))

    @contextmanager
    def progress(self, total: int, what: str = "painting") -> Iterator[Callable[[], None]]:
        """Show a bar with the time left on standard error, for several pictures on a terminal."""
        if total < 2 or not self.shows:
            yield lambda: None
            return
        with _progress_bar() as bar:
            task = bar.add_task(what, total=total)
            yield lambda: bar.advance(task)


def complain(message: str) -> None:
    """Print one line on standard error."""
    print(f"sfumato: {one_line(message)}", file=sys.stderr)


def one_line(text: str) -> str:
    """Return `text` with line breaks turned into spaces, as a file name may hold them."""
    return " ".join(text.splitlines())


def say_outcome(voice: Voice, outcome: "Outcome") -> None:
    """Say what became of one picture; a failure is said even when quiet."""
    source = name_stream(outcome.job.source, "input")
    if outcome.error:
        complain(outcome.error if source in outcome.error else f"{source}: {outcome.error}")
        return
    report = outcome.report or {}
    faces = count_faces(len(cast(Sequence[object], report["faces"])))
    seam = describe_seams(cast(Mapping[str, Sequence[float | None]], report["scores"])["seam"])
    target = name_stream(outcome.job.target, "output")
    voice.say(f"{source} -> {target} ({faces}{seam}, {outcome.seconds:.1f} s)")


def describe_seams(scores: Sequence[float | None]) -> str:
    """Return the seam scores of the kept faces as a line shows them; nothing where no face has an edge.

    >>> describe_seams([0.934]), describe_seams([1.31, None, 0.9]), describe_seams([None])
    (', seam 0.93', ', seams 0.90 to 1.31', '')
    """
    known = [score for score in scores if score is not None]
    if not known:
        return ""
    return f", seam {known[0]:.2f}" if len(known) == 1 else f", seams {min(known):.2f} to {max(known):.2f}"


def name_stream(path: Path, side: str) -> str:
    """Return the path as it was given, or the standard stream that `-` stands for.

    >>> name_stream(Path("-"), "input"), name_stream(Path("a.jpg"), "input")
    ('standard input', 'a.jpg')
    """
    return f"standard {side}" if path == STREAM else str(path)


def say_summary(voice: Voice, outcomes: Sequence["Outcome"]) -> None:
    """Say how many of several pictures were painted."""
    if len(outcomes) < 2:
        return
    failed = sum(bool(outcome.error) for outcome in outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    rest = f", {failed} failed" if failed else ""
    voice.say(f"{len(outcomes) - failed} of {len(outcomes)} pictures painted in {seconds:.1f} s{rest}")


def print_faces(faces: Sequence[Face]) -> None:
    """Print one row for each face, numbered as --faces counts them."""
    from rich.table import Table

    table = Table("face", "x0", "y0", "x1", "y1", "score", box=None, pad_edge=False)
    for number, face in enumerate(faces, start=1):
        table.add_row(str(number), *(f"{value:.0f}" for value in face.box), f"{face.score:.2f}")
    console().print(table if faces else "no face found")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table under its title."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console().print(table)


def print_models(specs: Sequence["ModelSpec"], states: Mapping[str, str]) -> None:
    """Print one row for each model: name, task, size, weights' licence, commercial use, and where it is."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("name", "task", "size", "where", "commercial"):
        table.add_column(column, no_wrap=True)
    table.add_column("weights")
    for spec in specs:
        size = describe_bytes(spec.bytes)
        table.add_row(
            spec.name, spec.task, size, states[spec.name], spec.commercial_use, spec.weights_licence
        )
    console().print(table)


def describe_bytes(count: int | None) -> str:
    """Return a size in words.

    >>> describe_bytes(1_862_912), describe_bytes(348_632_874), describe_bytes(None)
    ('1.9 MB', '349 MB', 'unknown')
    """
    if count is None:
        return "unknown"
    return f"{count / 1e6:.1f} MB" if count < 1e8 else f"{count / 1e6:,.0f} MB"


def count_faces(count: int) -> str:
    """Return the number of faces in words.

    >>> count_faces(0), count_faces(1), count_faces(3)
    ('no face', '1 face', '3 faces')
    """
    return {0: "no face", 1: "1 face"}.get(count, f"{count} faces")


def console() -> "Console":
    """Return a console on standard output that prints text as it is; wide enough for a table in a pipe."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 250
    return Console(markup=False, highlight=False, width=width)


def _show_nothing(*_: object) -> None:
    """Take what would be shown on a terminal."""


@contextmanager
def transfer_bar(voice: Voice, what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show how much of a file has come, how fast, and the time left, on a terminal."""
    if not voice.speaks or not sys.stderr.isatty():
        yield _show_nothing
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True, highlight=False), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def waiting(voice: Voice, what: str) -> Iterator[Callable[[float], None]]:
    """Show that something goes on, and for how long, on a terminal; elsewhere nothing."""
    if not voice.speaks or not sys.stderr.isatty():
        yield _show_nothing
        return
    from rich.console import Console

    with Console(stderr=True, highlight=False).status(what) as status:
        yield lambda seconds: status.update(f"{what}: {seconds:.0f} s")


@contextmanager
def report_waits(*, quiet: bool) -> Iterator[None]:
    """Say on standard error what keeps a command waiting: weights that are converted once, a very large model."""
    if quiet:
        yield
        return
    logger = logging.getLogger("sfumato")
    handler = logging.Handler()
    handler.emit = lambda record: complain(record.getMessage())  # type: ignore[method-assign]  # what it is made for
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _progress_bar() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        MofNCompleteColumn(),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    console = Console(stderr=True, highlight=False)
    # Lines pass above the bar only where both are on the terminal; a redirected standard output keeps its lines.
    return Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty())
