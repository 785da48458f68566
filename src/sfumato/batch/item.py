"""Name what is to be painted and what became of it; nothing is painted here."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from importlib.metadata import version
from typing import Any, Literal, TypeAlias

from sfumato.recipe import SIDECAR, Place
from sfumato.settings import Settings

State: TypeAlias = Literal["done", "kept", "failed"]
"""Painted now, there from a former run, or not to be had."""


@dataclass(frozen=True, slots=True)
class Writing:
    """How results are encoded.

    Attributes:
        format: one of `io.Picture.format`; None is that of the picture, as the suffix of its target says.
        quality: 1..100, where the format loses something.
        metadata: whether EXIF and XMP go along.
        recipe: where the recipe goes.
        certificate, key: files by which results are signed; None does not sign.
    """

    format: str | None = None
    quality: int = 92
    metadata: Literal["keep", "strip"] = "keep"
    recipe: Place = "embed"
    certificate: str | None = None
    key: str | None = None


AS_IT_IS = Writing()
"""The format of the picture, and all that it says about itself."""


@dataclass(frozen=True, slots=True)
class Item:
    """A picture to be painted.

    Attributes:
        source, target: paths, or addresses such as s3://bucket/a.jpg for a cluster.
        name: what reports call it: the path below the folder, or as the manifest has it.
        settings: of this picture.
    """

    source: str
    target: str
    name: str
    settings: Settings
    writing: Writing = AS_IT_IS

    @property
    def targets(self) -> tuple[str, ...]:
        """Return all that the picture becomes: the painting and, where it is asked for, the recipe beside it."""
        return (self.target, self.target + SIDECAR) if self.writing.recipe == "sidecar" else (self.target,)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a picture.

    Attributes:
        key: what the result depends on, see `key_of`.
        sha256, bytes: of the result.
        content, stamp: sha256 of the picture, and the size and time of change of its file.
        seconds: from the first byte read to the last one encoded.
        report: what was found and measured; empty where it failed or was kept.
        error, exit_code: the line that says what is wrong and its code.
    """

    item: Item
    state: State
    key: str = ""
    sha256: str = ""
    bytes: int = 0
    content: str = ""
    stamp: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    report: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    exit_code: int = 0

    def describe(self) -> dict[str, Any]:
        """Return the line of the report, as JSON values."""
        head: dict[str, Any] = {"input": self.item.name, "output": self.item.target, "state": self.state}
        if self.state == "failed":
            return {**head, "error": self.error, "exit_code": self.exit_code, "seconds": self.seconds}
        made = {"key": self.key, "sha256": self.sha256, "bytes": self.bytes, "seconds": self.seconds}
        return {**head, **made, **self.report}


def key_of(content: str, item: Item, models: Mapping[str, str]) -> str:
    """Return a sha256 of all that a result depends on: picture, settings, models, encoding and version.

    Args:
        content: sha256 of the picture's file.
        models: sha256 of each model, by name.
    """
    parts = {
        "content": content,
        "settings": asdict(item.settings),
        "writing": asdict(item.writing),
        "models": dict(models),
        "version": version("sfumato"),
    }
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
