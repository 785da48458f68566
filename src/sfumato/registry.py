"""Describe every model: file, sha256, licences and origin; data only, it loads no network."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from sfumato.errors import ModelError, SettingsError
from sfumato.settings import did_you_mean

Task = Literal[
    "detector", "segmenter", "restorer", "recogniser", "stylizer", "any-style", "any-style-encoder"
]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Say what a model is and on which terms it may be used.

    Attributes:
        style: what `--style` calls it, for stylizers.
        file: name of the ONNX file in `sfumato/weights`.
        bytes, sha256: of that file.
        data: what it was trained on.
        commercial_use: yes, no or unclear.
        paints: how a stylizer's network is to be used, the fields of `stages.style_facts.StyleFacts`.
    """

    name: str
    task: Task
    file: str
    bytes: int
    sha256: str
    code_licence: str
    weights_licence: str
    data: str
    commercial_use: Literal["yes", "no", "unclear"]
    paper: str
    embedded: bool
    style: str = ""
    paints: Mapping[str, Any] = field(default_factory=dict)


@cache
def load_registry() -> Mapping[str, ModelSpec]:
    """Return every known model by name, as `models.toml` lists them."""
    text = (files("sfumato") / "models.toml").read_text(encoding="utf-8")
    return {name: ModelSpec(name=name, **table) for name, table in tomllib.loads(text).items()}


def find_style(style: str) -> ModelSpec:
    """Return the stylizer that `--style` names.

    Raises:
        SettingsError: there is none; the nearest is suggested.
    """
    styles = {spec.style: spec for spec in load_registry().values() if spec.task == "stylizer"}
    if style not in styles:
        raise SettingsError(
            f"unknown style '{style}'{did_you_mean(style, styles)}; available: {', '.join(styles)}"
        )
    return styles[style]


def find_embedded(task: Task) -> ModelSpec:
    """Return the embedded model of a task that has one."""
    return next(spec for spec in load_registry().values() if spec.task == task and spec.embedded)


def has_embedded(task: Task) -> bool:
    """Tell whether a model of this task is embedded."""
    return any(spec.task == task and spec.embedded for spec in load_registry().values())


def model_path(spec: ModelSpec) -> Path:
    """Return the verified file of an embedded model.

    Raises:
        ModelError: the file is missing or is not the one that was trained.
    """
    path = Path(str(files("sfumato") / "weights" / spec.file))
    if not path.is_file():
        raise ModelError(f"model file {path} is missing; reinstall sfumato")
    if sha256(path.read_bytes()).hexdigest() != spec.sha256:
        raise ModelError(f"model file {path} is damaged (its sha256 differs); reinstall sfumato")
    return path
