"""Describe every model: addresses, sha256, licences and origin; data only, it loads no network."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from sfumato.errors import ModelError

Task: TypeAlias = Literal[
    "detector", "segmenter", "restorer", "recogniser", "stylizer", "any-style", "any-style-encoder"
]

CommercialUse: TypeAlias = Literal["yes", "no", "unclear"]

PLUGINS = "sfumato.models"
"""Group of the entry points by which other packages add models: each names a mapping of tables as in `models.toml`."""

SETS: Mapping[str, tuple[str, ...]] = {
    "paper": ("cyclegan-monet", "gfpgan-1.4", "unet-efficientnet-b2,sam-vit-b"),
}
"""What `sfumato models pull` takes for several models; of those divided by commas, the first that is here or has an
address."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Say what a model is, where it is and on which terms it may be used.

    Attributes:
        file: its name: of an ONNX file in `sfumato/weights` where it is embedded, else of what is downloaded.
        code_licence: of the program that trained it.
        data: what it was trained on.
        in_plain_words: what the licences mean, and what a business may do.
        paper: where it was published.
        bytes, sha256: of that file; None is not known, and what comes first is then pinned.
        urls: where it is, the first answering one counts.
        note: what to do where there is no address, or what else must be known.
        style: what `--style` calls it, for stylizers.
        paints: how a stylizer's network is to be used, the fields of `stages.style_facts.StyleFacts`.
    """

    name: str
    task: Task
    file: str
    code_licence: str
    weights_licence: str
    data: str
    commercial_use: CommercialUse
    in_plain_words: str
    paper: str
    bytes: int | None = None
    sha256: str | None = None
    urls: tuple[str, ...] = ()
    embedded: bool = False
    note: str = ""
    style: str = ""
    paints: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model on this machine, or a folder of Hugging Face's, and its sha256; of a folder, of its files."""

    path: Path
    sha256: str


@cache
def load_registry() -> Mapping[str, ModelSpec]:
    """Return every known model by name: those of `models.toml` and those that plug-ins add.

    Raises:
        ModelError: a plug-in is broken; it is named.
    """
    text = (files("sfumato") / "models.toml").read_text(encoding="utf-8")
    specs = {name: make_spec(name, table) for name, table in tomllib.loads(text).items()}
    for point in entry_points(group=PLUGINS):
        specs.update(_plugged(point, specs))
    return specs


def make_spec(name: str, table: Mapping[str, Any]) -> ModelSpec:
    """Return the model that a table describes.

    Raises:
        ValueError, TypeError: the table has other fields, or values that mean nothing.
    """
    spec = ModelSpec(name=name, **{**table, "urls": tuple(table.get("urls", ()))})
    _check_types(spec)
    if spec.task not in get_args(Task) or spec.commercial_use not in get_args(CommercialUse):
        raise ValueError(f"{name}: task '{spec.task}' or commercial_use '{spec.commercial_use}' is unknown")
    if not is_plain(spec.name) or not is_plain(spec.file):
        raise ValueError(f"{name}: a name or file with other characters than letters, digits and .+_-")
    return spec


def _check_types(spec: ModelSpec) -> None:
    """Make sure that every value is of its type; tables come from files of others as well.

    Raises:
        TypeError: one is not.
    """
    for name, kind in _KINDS.items():
        if not isinstance(getattr(spec, name), kind):
            raise TypeError(f"{spec.name}: {name} must be of type {kind.__name__}")
    known = spec.sha256 is None or is_sha256(str(spec.sha256))
    if not known or not all(isinstance(url, str) for url in spec.urls):
        raise TypeError(f"{spec.name}: sha256 or urls mean nothing")
    if spec.bytes is not None and (type(spec.bytes) is not int or spec.bytes < 0):
        raise TypeError(f"{spec.name}: bytes must be a number of bytes")


_TEXTS = (
    "name",
    "task",
    "file",
    "code_licence",
    "weights_licence",
    "data",
    "commercial_use",
    "in_plain_words",
    "paper",
    "note",
    "style",
)
_KINDS: Mapping[str, type] = {**dict.fromkeys(_TEXTS, str), "embedded": bool, "paints": dict}


def is_sha256(text: str) -> bool:
    """Tell whether a text is a full sha256, in lower case.

    >>> is_sha256("0" * 64), is_sha256("0" * 63), is_sha256("")
    (True, False, False)
    """
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def is_plain(name: str) -> bool:
    """Tell whether a name can safely be part of a path.

    >>> [is_plain(name) for name in ("sam2.1-hiera-tiny", "sam2.1_hiera_b+.pt", "../x", ".hidden", "")]
    [True, True, False, False, False]
    """
    letters = name.replace("-", "").replace("_", "").replace(".", "").replace("+", "")
    return letters.isalnum() and letters.isascii() and name[0] not in ".-" and len(name) <= 100


def _plugged(point: EntryPoint, known: Mapping[str, ModelSpec]) -> Mapping[str, ModelSpec]:
    owner = point.dist.name if point.dist else point.value
    try:
        tables: Mapping[str, Mapping[str, Any]] = point.load()
        specs = {name: make_spec(name, {**table, "embedded": False}) for name, table in tables.items()}
    except Exception as error:  # whatever the code of others raises
        raise ModelError(
            f"the plug-in '{point.name}' of {owner} lists no models ({error}); update or uninstall it"
        ) from error
    taken = sorted(specs.keys() & known.keys())
    if taken:
        raise ModelError(
            f"the plug-in '{point.name}' of {owner} claims the model '{taken[0]}', which is another's; uninstall it"
        )
    return specs


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
