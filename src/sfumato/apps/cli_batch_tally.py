"""Count, report and say what becomes of the pictures of a batch, and end it when asked to; it paints nothing."""

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from sfumato.apps.cli_report import Voice, complain

if TYPE_CHECKING:
    from sfumato.batch.item import Outcome

SOME_FAILED = 1
INTERRUPTED = 130


@dataclass(slots=True)
class Tally:
    """What became of the pictures so far, and whether to go on.

    Attributes:
        fail_fast: stop at the first failure.
        stopped: no more pictures are begun.
        interrupted: because somebody asked for it.
    """

    fail_fast: bool
    counts: Counter[str] = field(default_factory=Counter)
    stopped: bool = False
    interrupted: bool = False

    def count(self, outcome: "Outcome") -> None:
        """Count a picture."""
        self.counts[outcome.state] += 1
        if self.fail_fast and outcome.state == "failed":
            self.stopped = True

    def describe(self) -> str:
        """Return the counts in words.

        >>> Tally(False, Counter(done=3, kept=2)).describe()
        '3 painted, 2 were there already'
        """
        words = {"done": "painted", "kept": "were there already", "failed": "failed"}
        said = [f"{self.counts[state]} {word}" for state, word in words.items() if self.counts[state]]
        return ", ".join(said) or "no pictures"


@contextmanager
def interruptible(tally: Tally) -> Iterator[None]:
    """Let the first Ctrl-C, or SIGTERM, begin no more pictures, and the second one end at once."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        if tally.stopped:
            raise KeyboardInterrupt
        tally.stopped = tally.interrupted = True
        complain("finishing the pictures in hand; once more ends at once")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def report_lines(path: Path | None) -> "Iterator[Callable[[Outcome], None]]":
    """Give what adds the line of a picture to the report."""
    from sfumato.batch.ledger import open_lines, write_line

    if path is None:
        yield lambda _: None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_lines(path) as file:
        yield lambda outcome: write_line(file, outcome.describe())


def say(voice: Voice, outcome: "Outcome") -> None:
    """Say what became of one picture; a failure is said even when quiet."""
    if outcome.state == "failed":
        name = outcome.item.name
        complain(outcome.error if name in outcome.error else f"{name}: {outcome.error}")
    elif outcome.state == "done":
        lost = ", its Content Credentials are not carried over" if "credentials" in outcome.report else ""
        voice.say(f"{outcome.item.name} -> {outcome.item.target} ({outcome.seconds:.1f} s{lost})")


def exit_code(tally: Tally) -> int:
    """Return 0 if all went well, 1 if a picture failed, 130 after Ctrl-C."""
    if tally.interrupted:
        return INTERRUPTED
    return SOME_FAILED if tally.counts["failed"] else 0
