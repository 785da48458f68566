"""Models that a plug-in adds for the time of a test, so that small files stand in the place of large ones."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from sfumato.registry import load_registry

TABLE: Mapping[str, Any] = {
    "task": "stylizer",
    "file": "weights.pth",
    "code_licence": "MIT",
    "weights_licence": "MIT",
    "data": "none",
    "commercial_use": "yes",
    "in_plain_words": "do as you like",
    "paper": "none",
}


@dataclass
class Distribution:
    name: str = "someone"


class Point:
    """An entry point that loads what it is given."""

    name, value, dist = "test", "someone:MODELS", Distribution()

    def __init__(self, load: Callable[[], Any]) -> None:
        self.load = load


@contextmanager
def plugged(load: Callable[[], Any]) -> Iterator[None]:
    """Let a plug-in add what `load` returns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sfumato.registry.entry_points", lambda **_: [Point(load)])
        load_registry.cache_clear()
        try:
            yield
        finally:
            load_registry.cache_clear()
