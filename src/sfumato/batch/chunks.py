"""Keep a ledger where files cannot be added to, as in storages of clouds; nothing is painted here."""

import json
from dataclasses import asdict
from hashlib import sha256

from sfumato.batch.ledger import Entry, parse_entry
from sfumato.batch.places import Place
from sfumato.batch.plan import OWN

INTENTS = f"{OWN}/intents"

CHUNK = 200
"""Pictures after which the ledger is written."""


class ChunkedLedger:
    """The results below a place, in files that are written whole: storage of clouds cannot be added to.

    Attributes:
        entries: the latest result of each path.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.entries: dict[str, Entry] = {}
        self._written: dict[str, set[str]] = {}
        self._new: list[str] = []
        self._names: list[str] = []
        ledgers = [
            name for name in place.names(OWN) if name.startswith("ledger-") and name.endswith(".jsonl")
        ]
        for name in sorted(ledgers, key=lambda name: (place.stamp(f"{OWN}/{name}") or (0, 0))[1]):
            self._take(place.read(f"{OWN}/{name}").decode(errors="replace"))

    def note(self, name: str, entry: Entry) -> None:
        """Note a result; `flush` makes it last."""
        if self.entries.get(name) == entry:
            return
        self._hold(name, entry)
        self._new.append(line_of(name, entry))
        self._names.append(name)
        if len(self._new) >= CHUNK:
            self.flush()

    def flush(self) -> None:
        """Write what was noted, and then remove the intents of it."""
        if not self._new:
            return
        content = "".join(self._new)
        self.place.write(
            f"{OWN}/ledger-ray-{sha256(content.encode()).hexdigest()[:16]}.jsonl", content.encode()
        )
        for name in self._names:
            self.place.delete(intent_name(name))
        self._new, self._names = [], []

    def intent(self, name: str) -> Entry | None:
        """Return what an actor was about to write under a name, or None."""
        if self.place.stamp(intent_name(name)) is None:
            return None
        held = parse_entry(json.loads(self.place.read(intent_name(name))))
        return None if held is None else held[1]

    def is_result(self, name: str, there: tuple[int, int], entry: Entry) -> bool:
        """Tell whether a file is the noted result: by size and time, by its size where the driver noted it, or read."""
        if entry.result == there or (entry == self.entries.get(name) and entry.result == (there[0], 0)):
            return True
        return entry.result[0] == there[0] and sha256(self.place.read(name)).hexdigest() == entry.sha256

    def is_ours(self, name: str) -> bool:
        """Tell whether a file is a result that was noted, now or before."""
        known = set(self._written.get(name, ()))
        intent = self.intent(name)
        if intent is not None:
            known.add(intent.sha256)
        return bool(known) and sha256(self.place.read(name)).hexdigest() in known

    def _take(self, text: str) -> None:
        for line in text.splitlines():
            try:
                held = parse_entry(json.loads(line))
            except json.JSONDecodeError:
                continue
            if held is not None:
                self._hold(*held)

    def _hold(self, name: str, entry: Entry) -> None:
        self.entries[name] = entry
        self._written.setdefault(name, set()).add(entry.sha256)


def intent_name(name: str) -> str:
    """Return the name of the intent to write a result."""
    return f"{INTENTS}/{sha256(name.encode()).hexdigest()[:32]}.json"


def line_of(name: str, entry: Entry) -> str:
    """Return the line of the ledger that notes a result."""
    return json.dumps({"target": name, **asdict(entry)}) + "\n"
