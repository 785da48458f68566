"""Open the models that take part in a comparison, and say why others do not; it compares nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from sfumato.errors import BackendMissingError, ModelError
from sfumato.registry import Task
from sfumato.resolve import WORDS, Opened, is_path

Stage = TypeVar("Stage")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Contender(Generic[Stage]):
    """A model that takes part.

    Attributes:
        name: as it is shown.
        asked: as it was asked for.
    """

    name: str
    asked: str
    opened: Opened[Stage]


def open_contenders(
    asked: Sequence[str], task: Task, suffixes: Sequence[str], opener: Callable[[str], Opened[Stage]]
) -> tuple[list[Contender[Stage]], dict[str, str]]:
    """Return the models that are on this machine, each once, and why each of the others does not take part.

    Args:
        suffixes: of files that hold such a model.
        opener: opens the model of a name or a file.

    Raises:
        SettingsError: no model has such a name.
        MissingInputError: there is no such file.
        ModelError: not one of them is on this machine.
    """
    found: list[Contender[Stage]] = []
    missing: dict[str, str] = {}
    for text in dict.fromkeys(asked):
        stem = Path(text).stem if is_path(text, task, suffixes) else text
        name = text if stem in {*(contender.name for contender in found), *missing} else stem
        try:
            opened = opener(text)
        except (ModelError, BackendMissingError) as error:
            missing[name] = str(error)
            continue
        same = next((other.name for other in found if other.opened.sha256 == opened.sha256), None)
        if same is None:
            found.append(Contender(name, text, opened))
        else:
            missing[name] = f"it is the same file as {same}, which is measured"
    if not found:
        raise ModelError("; ".join(missing.values()) or f"no {WORDS[task]} was named; name one at least")
    return found, missing


def spread_evenly(items: Sequence[Item], limit: int | None) -> list[Item]:
    """Return so many of the items at most, from the first to the last; None means all.

    >>> spread_evenly("abcdefg", 3), spread_evenly("ab", 5)
    (['a', 'd', 'g'], ['a', 'b'])
    """
    if limit is None or limit >= len(items):
        return list(items)
    return [items[k] for k in np.linspace(0, len(items) - 1, limit).round().astype(int)]
