"""Keep a ledger where files cannot be added to, as in the storage of clouds; nothing is painted here."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from hashlib import sha256
from secrets import token_hex

from sfumato.batch.ledger import Entry, Stamp, parse_entry
from sfumato.batch.plan import OWN
from sfumato.batch.storage import Storage

INTENTS = f"{OWN}/intents"
"""Folder of small files of lines that were written before the results that they note."""

CHUNK = 200
"""Pictures after which the ledger is written."""


class ChunkedLedger:
    """The results in a storage, in files that are written whole: those of clouds cannot be added to.

    Attributes:
        entries: the latest result of each path, written or intended.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.entries: dict[str, Entry] = {}
        self._written: dict[str, set[str]] = {}
        self._new: list[str] = []
        self._done: list[str] = []
        self._unsure: set[str] = set()
        self._open: dict[str, set[str]] = {}
        intents = {
            f"{INTENTS}/{name}": list(self._read(f"{INTENTS}/{name}")) for name in storage.names(INTENTS)
        }
        for intended in intents.values():
            self._unsure.update(name for name, _ in intended)
            self._hold_all(intended)
        ledgers = [
            f"{OWN}/{name}"
            for name in storage.names(OWN)
            if name.startswith("ledger-") and name.endswith(".jsonl")
        ]
        for file in sorted(ledgers, key=lambda file: (storage.stamp(file) or (0, 0))[1]):
            noted = list(self._read(file))
            self._unsure.difference_update(name for name, _ in noted)
            self._hold_all(noted)
        for file, intended in intents.items():
            open_ = (name for name, entry in intended if name in self._unsure or self.entries[name] != entry)
            self._open[file] = set(open_)

    def note(self, name: str, entry: Entry) -> None:
        """Note a result; `flush` makes it last."""
        for names in self._open.values():
            names.discard(name)
        known = self.entries.get(name) == entry and name not in self._unsure
        self._unsure.discard(name)
        if known:
            return
        self._hold(name, entry)
        self._new.append(line_of(name, entry))
        if len(self._new) >= CHUNK:
            self.flush()

    def note_lines(self, lines: str, intent: str = "") -> None:
        """Note the results that lines of the ledger speak of.

        Args:
            intent: the file whose lines have all been noted with these.
        """
        for name, entry in parse_lines(lines):
            self.note(name, entry)
        if intent:
            self._done.append(intent)

    def noted(self, name: str, there: Stamp | None) -> Entry | None:
        """Return what notes the file that lies under a name, or None where nothing lies there or another file.

        Args:
            there: size and time of change of the file.
        """
        entry = self.entries.get(name)
        if there is None or entry is None:
            return None
        by_driver = entry.result == (there[0], 0) and name not in self._unsure
        if entry.result == there or by_driver:
            return entry
        same = entry.result[0] == there[0] and sha256(self.storage.read(name)).hexdigest() == entry.sha256
        return entry if same else None

    def is_ours(self, name: str) -> bool:
        """Tell whether a file is a result that was noted or intended, now or before."""
        known = self._written.get(name, ())
        return bool(known) and sha256(self.storage.read(name)).hexdigest() in known

    def flush(self) -> None:
        """Write what was noted, and then remove the intents of it."""
        if self._new:
            content = "".join(self._new).encode()
            self.storage.write(f"{OWN}/ledger-ray-{sha256(content).hexdigest()[:16]}.jsonl", content)
        self._done += [intent for intent, names in self._open.items() if not names]
        for intent in self._done:
            self.storage.delete(intent)
            self._open.pop(intent, None)
        self._new, self._done = [], []

    def _read(self, name: str) -> Iterator[tuple[str, Entry]]:
        return parse_lines(self.storage.read(name).decode(errors="replace"))

    def _hold_all(self, pairs: Iterable[tuple[str, Entry]]) -> None:
        for name, entry in pairs:
            self._hold(name, entry)

    def _hold(self, name: str, entry: Entry) -> None:
        self.entries[name] = entry
        self._written.setdefault(name, set()).add(entry.sha256)


def parse_lines(text: str) -> Iterator[tuple[str, Entry]]:
    """Yield paths and results that lines of a ledger speak of; what was broken off is left out."""
    for line in text.splitlines():
        try:
            held = parse_entry(json.loads(line))
        except json.JSONDecodeError:
            continue
        if held is not None:
            yield held


def new_intent() -> str:
    """Return the name of an intent that nobody else writes."""
    return f"{INTENTS}/{token_hex(16)}.jsonl"


def line_of(name: str, entry: Entry) -> str:
    """Return the line of the ledger that notes a result."""
    return json.dumps({"target": name, **asdict(entry)}) + "\n"
