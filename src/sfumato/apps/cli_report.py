"""Print what was done, for people or as JSON; nothing is computed or read here."""

import json
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

    def say(self, line: str) -> None:
        """Print one line for people."""
        if self.speaks:
            print(one_line(line), file=sys.stderr if self.aside else sys.stdout, flush=True)

    def tell(self, report: Mapping[str, object]) -> None:
        """Print the report as JSON if it was asked for; all characters beyond ASCII are escaped."""
        if self.json:
            print(json.dumps(report, indent=2, allow_nan=False))

    @contextmanager
    def progress(self, total: int) -> Iterator[Callable[[], None]]:
        """Show a bar with the time left on standard error, for several pictures on a terminal."""
        if total < 2 or not self.speaks or not sys.stderr.isatty():
            yield lambda: None
            return
        with _progress_bar() as bar:
            task = bar.add_task("painting", total=total)
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


def print_models(specs: Sequence["ModelSpec"]) -> None:
    """Print one row for each model: name, task, size, licences, embedded or not."""
    from rich.table import Table

    table = Table(
        "name", "task", "size", "code", "weights", "commercial", "embedded", box=None, pad_edge=False
    )
    for spec in specs:
        licences = (spec.code_licence, spec.weights_licence, spec.commercial_use)
        embedded = "yes" if spec.embedded else "no"
        table.add_row(spec.name, spec.task, f"{spec.bytes / 1e6:.1f} MB", *licences, embedded)
    console().print(table)


def count_faces(count: int) -> str:
    """Return the number of faces in words.

    >>> count_faces(0), count_faces(1), count_faces(3)
    ('no face', '1 face', '3 faces')
    """
    return {0: "no face", 1: "1 face"}.get(count, f"{count} faces")


def console() -> "Console":
    """Return a console on standard output that prints text as it is; wide enough for a table in a pipe."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 200
    return Console(markup=False, highlight=False, width=width)


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
