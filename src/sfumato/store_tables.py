"""Read and write the small JSON files beside the models, whole or not at all; what is in them others know."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from sfumato.errors import ModelError, OutputError
from sfumato.settings import cache_folder

PINS = "pins.json"
"""The sha256 of each model that nobody publishes one for."""

LICENCES = "licences.json"
"""The licences that the user has accepted, by model."""


def read_table(name: str) -> dict[str, str]:
    """Return a table of words; empty where there is none.

    Raises:
        ModelError: it is damaged.
    """
    path = cache_folder() / name
    try:
        table = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read; correct or delete it") from error
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise ModelError(f"{path} is no table of words; correct or delete it")
    return table


def change_table(name: str, change: Callable[[dict[str, str]], Mapping[str, str]]) -> None:
    """Write what `change` makes of a table, if that is another; of two processes one waits for the other.

    Raises:
        ModelError: the table is damaged.
        OutputError: it cannot be written.
    """
    if dict(change(read_table(name))) == read_table(name):
        return
    from filelock import FileLock

    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{name}.lock"):
            write_json(folder / name, dict(sorted(change(read_table(name)).items())))
    except OSError as error:
        raise OutputError(f"{folder / name} cannot be written: {error.strerror or error}") from error


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file under a temporary name, and move it to its place.

    Raises:
        OutputError: it cannot be written.
    """
    temporary = temporary_in(path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        discard(temporary)


def temporary_in(folder: Path) -> Path:
    """Return a name in a folder that no other file has."""
    return folder / f".{uuid4().hex}.part"


def discard(path: Path) -> None:
    """Delete a file that may not be there; that it cannot be deleted is no further error."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
