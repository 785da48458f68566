"""Yield the pictures of a folder as they come; nothing is painted here."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sfumato.batch.item import Item

SECONDS = 1.0
"""Between two looks into the folder."""


def watch(
    items: Callable[[], Iterator[Item]], stop: Callable[[], bool], seconds: float = SECONDS
) -> Iterator[Item | None]:
    """Yield each picture once it has stayed the same from one look to the next, and again when it has changed.

    None is yielded after each look: nothing more is there for the moment.

    Args:
        items: looks into the folder.
        stop: tells when to end.
    """
    seen: dict[str, tuple[int, int]] = {}
    given: dict[str, tuple[int, int]] = {}
    while not stop():
        for item in items():
            stamp = _stamp(Path(item.source))
            if stamp is not None and seen.get(item.source) == stamp != given.get(item.source):
                given[item.source] = stamp
                yield item
            if stamp is not None:
                seen[item.source] = stamp
        yield None
        time.sleep(seconds)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        held = path.stat()
    except OSError:  # gone meanwhile
        return None
    return held.st_size, held.st_mtime_ns
