"""What the nodes of a cluster do: read pictures, paint them with networks that they hold, and write the results.

An actor paints a few pictures and notes what it is about to write in a small file of its own (an intent), so that
results whose actor or driver died afterwards are known as this program's.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sfumato.batch.chunks import line_of, new_intent
from sfumato.batch.item import Item, Outcome, Writing
from sfumato.batch.ledger import Entry
from sfumato.batch.storage import Storage
from sfumato.batch.work import Build, Painted, Painter, fail
from sfumato.errors import InputError, SfumatoError
from sfumato.settings import Settings

if TYPE_CHECKING:
    import pyarrow


class PaintActor:
    """Hold the networks and paint what comes; one of several, each in a process of its own."""

    def __init__(self, build: Build, target: str) -> None:
        from sfumato.backends import share_processors

        share_processors(threads=1)
        self._painter = Painter(build)
        self._target = target
        self._storage = Storage.open(target)

    def __call__(self, table: "pyarrow.Table") -> dict[str, list[str]]:
        """Paint a few pictures, say what is about to be written, and write them.

        Returns:
            The outcome of each as JSON, its lines of the ledger, and in the last row the name of the intent, unless
            something of it was not written: then it stays, and tells the next run what was.
        """
        painted = [self._paint(row) for row in table.to_pylist()]
        lines = [self._lines(each) for each in painted]
        intent = new_intent() if any(lines) else ""
        outcomes = self._write(painted, lines, intent)
        done = [
            line if outcome.state == "done" else "" for line, outcome in zip(lines, outcomes, strict=True)
        ]
        return {
            "outcome": [json.dumps(asdict(outcome)) for outcome in outcomes],
            "lines": done,
            "intent": [*[""] * (len(painted) - 1), intent if done == lines else ""],
        }

    def _paint(self, row: Mapping[str, Any]) -> Painted:
        """Paint one picture; whatever is wrong with it goes into the outcome."""
        item = item_of(json.loads(row["item"]))
        if row["error"]:
            return Painted(fail(item, InputError(row["error"])))
        painted = self._painter.paint(item, row["data"])
        stamp = (int(row["size"]), int(row["changed"]))
        return replace(painted, outcome=replace(painted.outcome, stamp=stamp))

    def _lines(self, painted: Painted) -> str:
        """Return the lines of the ledger that note the files of a picture.

        The times of change of the files are not known before they are written, so they are noted as 0.
        """
        outcome = painted.outcome
        noted = (
            Entry(outcome.key, sha256(data).hexdigest(), (len(data), 0), outcome.stamp, outcome.content)
            for data in painted.files.values()
        )
        names = (below(target, self._target) for target in painted.files)
        return "".join(line_of(name, entry) for name, entry in zip(names, noted, strict=True))

    def _write(self, painted: Sequence[Painted], lines: Sequence[str], intent: str) -> list[Outcome]:
        """Write the files of pictures after the intent, each recipe before its picture; what fails has an outcome."""
        try:
            if intent:
                self._storage.write(intent, "".join(lines).encode())
        except SfumatoError as error:
            return [each.outcome if not each.data else _failed(each.outcome, error) for each in painted]
        return [self._written(each) for each in painted]

    def _written(self, painted: Painted) -> Outcome:
        try:
            for target, data in reversed(painted.files.items()):
                self._storage.write(below(target, self._target), data)
        except SfumatoError as error:
            return _failed(painted.outcome, error)
        return painted.outcome


def _failed(outcome: Outcome, error: SfumatoError) -> Outcome:
    return fail(outcome.item, error, outcome.seconds)


def read_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a picture's bytes beside its item, or why it cannot be read."""
    item = item_of(json.loads(row["item"]))
    held = {"item": row["item"], "data": b"", "size": 0, "changed": 0, "error": ""}
    storage, name = storage_of(item.source)
    try:
        stamp = storage.stamp(name)
        if stamp is None:
            return {**held, "error": f"{item.name} is gone; it was there when the batch began"}
        return {**held, "data": storage.read(name), "size": stamp[0], "changed": stamp[1]}
    except OSError as error:
        reason = " ".join(str(error).split())
        return {**held, "error": f"cannot open {item.name}: {reason}; check its permissions"}


def below(path: str, target: str) -> str:
    """Return the path of a result below the folder or address of all."""
    return os.path.relpath(path, target)


def item_of(held: Mapping[str, Any]) -> Item:
    """Return the item whose fields were JSON."""
    return Item(**{**held, "settings": Settings(**held["settings"]), "writing": Writing(**held["writing"])})


def outcome_of(held: Mapping[str, Any]) -> Outcome:
    """Return the outcome whose fields were JSON."""
    return Outcome(**{**held, "item": item_of(held["item"]), "stamp": tuple(held["stamp"])})


def storage_of(source: str) -> tuple[Storage, str]:
    """Return the storage in which a picture lies, and its name there."""
    folder, _, name = source.rpartition("/")
    return Storage.open(folder or "."), name
