"""Take models of the user's own into the cache, under names that mean nothing else; what is in them others know."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from sfumato.download import digest_of
from sfumato.errors import MissingInputError, OutputError, SettingsError
from sfumato.registry import SETS, ModelSpec, Task, is_plain, load_registry, make_spec
from sfumato.store import expected_sha256, find_stored, is_open, put
from sfumato.store_records import folder_of, models_folder, read_record
from sfumato.store_tables import discard, temporary_in

SUFFIXES = (".onnx", ".pth", ".pt", ".safetensors")
"""Of the files that can be added."""


def check_free(name: str, task: Task, file: str, digest: str) -> None:
    """Make sure that a file may be kept under a name.

    Args:
        file: its name in the cache.

    Raises:
        SettingsError: the name means something else, or another file is there.
    """
    if not is_plain(name):
        raise SettingsError(f"model name '{name}' is no plain one; use letters, digits and .+_-")
    registered = load_registry().get(name)
    if _is_taken(name, task, registered):
        raise SettingsError(f"model name '{name}' is taken; choose another with --name")
    there = read_record(name)
    if there is not None and there["sha256"] != digest:
        raise SettingsError(
            f"model {name} is here already, from another file; remove it first, or choose another --name"
        )
    if registered is None:
        return
    if expected_sha256(registered) not in (None, digest):
        raise SettingsError(
            f"this file is not {name}: its sha256 is {digest}; choose another name with --name"
        )
    if registered.urls and Path(file).suffix != Path(registered.file).suffix:
        raise SettingsError(
            f"{name} is a file of {Path(registered.file).suffix}; choose another name with --name"
        )


def _is_taken(name: str, task: Task, registered: ModelSpec | None) -> bool:
    """Tell whether a name means something else: a set, "light", an embedded model or style, another task's model."""
    if name in SETS or name == "light" or name.startswith(tuple(f"{other}-" for other in get_args(Task))):
        return True
    if registered is not None and (registered.task != task or registered.embedded):
        return True
    return any(spec.embedded and spec.style == name for spec in load_registry().values())


def add(file: Path, task: Task, name: str, *, about: Mapping[str, Any] | None = None) -> ModelSpec:
    """Copy a model's file of the user's own into the cache, under a name that the options take.

    A name of the registry that has no address, or that nobody publishes a sha256 for, may be filled this way. A file
    NAME.json beside it, which says how a generator paints, goes with it.

    Args:
        about: further fields of `ModelSpec`.

    Raises:
        SettingsError: the name is another model's, or no plain one, or the file has another suffix than a model's.
        MissingInputError: there is no such file.
        OutputError: it cannot be written.
    """
    if not file.is_file():
        raise MissingInputError(
            f"{file} {'is a folder' if file.is_dir() else 'does not exist'}; name the file of a model"
        )
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise SettingsError(f"{file} is no file of {', '.join(SUFFIXES)}; rename it if it is one of these")
    digest = digest_of(file)
    registered = load_registry().get(name)
    check_free(name, task, f"weights{suffix}", digest)
    spec = registered or make_spec(name, {**_unknown(file, task), **(about or {})})
    if registered is not None and is_open(registered):
        spec = replace(registered, file=f"{Path(registered.file).stem}{suffix}")
    already = find_stored(spec)
    if already is not None:
        return spec
    temporary = temporary_in(models_folder())
    try:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, temporary)
        put(spec, temporary, digest, added=registered is None or spec.file != registered.file)
        beside = file.with_suffix(".json")
        if beside.is_file():
            shutil.copyfile(beside, (folder_of(spec) / spec.file).with_suffix(".json"))
    except OSError as error:
        raise OutputError(f"{models_folder()} cannot be written: {error.strerror or error}") from error
    finally:
        discard(temporary)
    return spec


def _unknown(file: Path, task: Task) -> Mapping[str, Any]:
    """Return what is said of a model of which nothing is known."""
    return {
        "task": task,
        "file": f"weights{file.suffix.lower()}",
        "code_licence": "not stated",
        "weights_licence": "not stated",
        "data": "not stated",
        "commercial_use": "unclear",
        "in_plain_words": "What its author allows, which sfumato does not know.",
        "paper": "",
        "note": f"added from {file.name}",
    }
