"""Tell which model a name or a path among the options means; it opens none."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from sfumato.conversion import read_weights
from sfumato.errors import SettingsError
from sfumato.registry import ModelFile, ModelSpec, Task, load_registry
from sfumato.settings_parsing import did_you_mean
from sfumato.store import find_model, known_models, open_stored

WORDS: Mapping[Task, str] = {
    "stylizer": "style",
    "restorer": "restorer",
    "segmenter": "segmenter",
    "detector": "detector",
    "recogniser": "recogniser",
}
"""What users call a model of each task that they can choose."""


SYNONYMS: Mapping[tuple[Task, str], str] = {("segmenter", "unet-light"): "light"}
"""Further names of models: the light U-Net is called `unet-light` where it is trained."""

Stage = TypeVar("Stage")


@dataclass(frozen=True, slots=True)
class Opened(Generic[Stage]):
    """A stage that an option stands for, and what it is called.

    Attributes:
        stage: what finds, parses, restores, compares or paints.
        name: the model's, or the path as it was given.
        sha256: of its file.
        also: sha256 of each further model that has a part in it, by name.
    """

    stage: Stage
    name: str
    sha256: str
    also: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Meant:
    """What an option means.

    Attributes:
        name: the model's, or the path as it was given.
        spec: of a model that has a name, else None.
    """

    name: str
    file: ModelFile
    spec: ModelSpec | None


def resolve(text: str, task: Task, suffixes: Sequence[str]) -> Meant:
    """Return the model of this name and task, or that of a file; "light" is the embedded one.

    Args:
        suffixes: of files that hold such a model.

    Raises:
        SettingsError: no model has this name; the nearest is suggested.
        MissingInputError: there is no such file.
        ModelError: the model of this name is not on this machine, or damaged.
    """
    if not is_path(text, task, suffixes):
        spec = find_named(text, task, suffixes)
        return Meant(spec.name, open_stored(spec), spec)
    path = Path(text)
    if not path.is_dir() and path.suffix.lower() not in suffixes:
        raise SettingsError(f"{WORDS[task]} '{text}' is no file of {', '.join(suffixes)}; name such a file")
    return Meant(text, read_weights(path, WORDS[task]), None)


def is_path(text: str, task: Task, suffixes: Sequence[str]) -> bool:
    """Tell whether an option is a path and no name: by a suffix, a separator, or a folder that no model is named as."""
    if Path(text).suffix.lower() in suffixes or os.sep in text:
        return True
    return Path(text).is_dir() and _named(text, task) is None


def find_named(name: str, task: Task, suffixes: Sequence[str] = ()) -> ModelSpec:
    """Return the model of this name and task, whether it is on this machine or not.

    Args:
        suffixes: of the files that could have been named instead, for the error.

    Raises:
        SettingsError: there is none; the nearest is suggested.
    """
    spec = _named(name, task)
    if spec is None:
        names = {
            spec.style or spec.name.removeprefix(f"{task}-"): spec
            for spec in known_models().values()
            if spec.task == task
        }
        files = f"; or name a file of {', '.join(suffixes)}" if suffixes else ""
        raise SettingsError(
            f"unknown {WORDS[task]} '{name}'{did_you_mean(name, names)}; available: {', '.join(names)}{files}"
        )
    return spec


def _named(name: str, task: Task) -> ModelSpec | None:
    name = SYNONYMS.get((task, name), name)
    embedded = load_registry().get(f"{task}-{name}")
    return embedded if embedded is not None and embedded.embedded else find_model(name, task)
