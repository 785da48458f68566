"""Note what was painted, line by line, so that a later run does only what is missing; it paints nothing.

A line is written before the result gets its name: what has the name and the size that a line tells is this program's.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, TextIO, TypeAlias

from filelock import FileLock, Timeout

from sfumato.batch.plan import WHOLE, Shard
from sfumato.errors import SettingsError

Stamp: TypeAlias = tuple[int, int]
"""Size in bytes and time of change in nanoseconds of a file."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A result and the picture it was made from.

    Attributes:
        key: what the result depends on.
        sha256: of the result.
        result, source: sizes and times of change of both files, by which they are known again without being read.
        content: sha256 of the picture.
    """

    key: str
    sha256: str
    result: Stamp
    source: Stamp
    content: str


class Ledger:
    """The results in a folder, by their path below it; one process writes to a part of it at a time.

    Attributes:
        entries: the latest result of each path.
        written: sha256 of every result that was ever written to each path.

    Raises:
        SettingsError: another run works on the same part.
    """

    def __init__(self, folder: Path, shard: Shard = WHOLE) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"ledger-{shard.index}-of-{shard.count}"
        self._lock = FileLock(folder / f"{name}.lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise SettingsError(
                f"another run paints into {folder.parent}; wait for it, or give each run its own --shard"
            ) from error
        self.entries: dict[str, Entry] = {}
        self.written: dict[str, tuple[str, ...]] = {}
        for target, entry in _read_all(folder):
            self._hold(target, entry)
        self._file = open_lines(folder / f"{name}.jsonl")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._lock.release()

    def note(self, target: str, entry: Entry) -> None:
        """Note a result that is about to get its name."""
        write_line(self._file, {"target": target, **asdict(entry)})
        self._hold(target, entry)

    def _hold(self, target: str, entry: Entry) -> None:
        self.entries[target] = entry
        former = self.written.get(target, ())
        if entry.sha256 not in former:
            self.written[target] = (*former, entry.sha256)


def open_lines(path: Path) -> TextIO:
    """Open a file of lines to add to it; a line that was broken off is ended."""
    file = path.open("a+", encoding="utf-8")
    if file.tell():
        with path.open("rb") as held:
            held.seek(-1, os.SEEK_END)
            broken = held.read() != b"\n"
        if broken:
            file.write("\n")
            file.flush()
    return file


def write_line(file: TextIO, values: Mapping[str, Any]) -> None:
    """Write one line at once, so that it outlives the process."""
    file.write(json.dumps(values) + "\n")
    file.flush()


def read_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the lines of a file of JSON; what was broken off is left out."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                held = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(held, dict):
                yield held


def parse_entry(line: Mapping[str, Any]) -> tuple[str, Entry] | None:
    """Return the path and the result that a line speaks of, or None where it is none."""
    try:
        result, source = (_stamp(line[part]) for part in ("result", "source"))
        return line["target"], Entry(line["key"], line["sha256"], result, source, line["content"])
    except (KeyError, TypeError, ValueError):
        return None


def _read_all(folder: Path) -> Iterator[tuple[str, Entry]]:
    ledgers = sorted(folder.glob("ledger-*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    for path in [*folder.glob("intents/*.jsonl"), *ledgers]:  # intents are those of actors whose driver died
        parsed = (parse_entry(line) for line in read_lines(path))
        yield from (held for held in parsed if held is not None)


def _stamp(pair: Sequence[int]) -> Stamp:
    size, changed = pair
    return int(size), int(changed)
