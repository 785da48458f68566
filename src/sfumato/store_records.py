"""Note beside each model's file its sha256 and, for one of the user's own, what it is; files of models others move."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sfumato.registry import ModelSpec, is_sha256, make_spec
from sfumato.settings import cache_folder
from sfumato.store_tables import write_json

RECORD = "model.json"

_log = logging.getLogger(__name__)


def models_folder() -> Path:
    """Return where the files of models lie."""
    return cache_folder() / "models"


def folder_of(spec: ModelSpec) -> Path:
    """Return the folder of one model."""
    return models_folder() / spec.name


def describe_added(spec: ModelSpec) -> Mapping[str, Any]:
    """Return what is said of a model of the user's own, as `make_spec` reads it."""
    table = asdict(spec)
    del table["name"], table["embedded"]
    return {key: value for key, value in table.items() if value is not None}


def read_record(name: str) -> Mapping[str, Any] | None:
    """Return what is noted of the file of a model; None where nothing is, or in a damaged file."""
    try:
        record = json.loads((models_folder() / name / RECORD).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    known = isinstance(record, dict) and isinstance(record.get("sha256"), str) and is_sha256(record["sha256"])
    return record if known else None


def signature(path: Path) -> list[int]:
    """Return size and time of change of a file, by which it is known again without being read."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def write_record(spec: ModelSpec, digest: str, described: Mapping[str, Any] | None) -> None:
    """Note the sha256 of a model's file and, for one that the user added, what it is.

    Raises:
        OutputError: it cannot be written.
    """
    record: dict[str, Any] = {"sha256": digest, "seen": signature(folder_of(spec) / spec.file)}
    if described is not None:
        record["spec"] = dict(described)
    if record != read_record(spec.name):
        write_json(folder_of(spec) / RECORD, record)


def read_added(record: Path) -> ModelSpec | None:
    """Return the model of the user's own that a record describes, or None."""
    try:
        table = json.loads(record.read_bytes()).get("spec")
        return None if table is None else make_spec(record.parent.name, table)
    except FileNotFoundError:  # removed meanwhile
        return None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        _log.warning(
            "%s is damaged and left out; delete the folder %s and add the model again", record, record.parent
        )
        return None
