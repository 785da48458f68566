"""Say how a painting was made, so that it can be made again; it holds no path with folders and nothing of the user."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal, TypeAlias

from sfumato.backends_processor import processor_class
from sfumato.io.encoding import KeepMetadata
from sfumato.settings import Settings

SCHEMA = 1
"""Of the JSON; a greater one may hold what this version does not know."""

Place: TypeAlias = Literal["none", "mark", "embed", "sidecar"]
"""Where a recipe goes: nowhere; nowhere, but the picture says that it was painted; into the picture; into a file."""

Part: TypeAlias = Literal["mask", "touches", "palette"]
"""Files that have a part in a painting besides the picture and the models."""

SIDECAR = ".json"
"""Suffix after the name of a picture, in which the recipe beside it lies."""

FILE_OPTIONS = ("style", "restorer", "segmenter", "detector", "recogniser")
"""Options that may be paths; of a path only the name of the file is noted."""

LIBRARIES = ("numpy", "opencv-python-headless", "openvino", "pillow")
"""Packages whose versions may change a level of a pixel or a byte of a file."""


@dataclass(frozen=True, slots=True)
class UsedFile:
    """A file by what is in it.

    Attributes:
        name: of the file, without folders; None where it came without one.
        sha256, bytes: of its content.
    """

    name: str | None
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Writing:
    """How the result was written.

    Attributes:
        format: one of `io.Picture.format`.
        quality: 1..100.
        metadata: whether what the picture says about itself went along.
        recipe: where the recipe went.
    """

    format: str
    quality: int = 92
    metadata: KeepMetadata = "keep"
    recipe: Place = "embed"


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a painting depends on.

    Attributes:
        version: of sfumato.
        settings: every field of `Settings`; of paths only the name of the file.
        models: sha256 of each model, by name.
        source: the picture.
        size: (width, height) of the picture, upright, before it was reduced.
        writing: how the result was written.
        side: longest side in pixels that the picture was reduced to first; None left it.
        parts: further files.
        processor: see `backends_processor.processor_class`.
        libraries: version of each of `LIBRARIES`.
    """

    version: str
    settings: Mapping[str, str | float | bool]
    models: Mapping[str, str]
    source: UsedFile
    size: tuple[int, int]
    writing: Writing
    side: int | None = None
    parts: Mapping[Part, UsedFile] = field(default_factory=dict)
    processor: str = ""
    libraries: Mapping[str, str] = field(default_factory=dict)

    def to_json(self, *, indent: int | None = None) -> str:
        """Return the recipe as JSON in ASCII, the same text for equal recipes."""
        separators = (",", ":") if indent is None else None
        values = {"schema": SCHEMA, **asdict(self)}
        return json.dumps(values, indent=indent, separators=separators, sort_keys=True)


def make_recipe(
    settings: Settings, models: Mapping[str, str], source: UsedFile, size: tuple[int, int], writing: Writing
) -> Recipe:
    """Return the recipe of a picture that is painted here, by this version.

    Args:
        models: sha256 of each model, by name or path.
    """
    return Recipe(
        version=version("sfumato"),
        settings=without_folders(settings),
        models={name_of(name): digest for name, digest in models.items()},
        source=source,
        size=size,
        writing=writing,
        processor=processor_class(settings.device),
        libraries=_library_versions(),
    )


def choose_place(asked: Place | None, metadata: KeepMetadata) -> Place:
    """Return where a recipe goes: as asked; else into the picture, or nowhere but for the mark where all is stripped.

    >>> choose_place(None, "keep"), choose_place(None, "strip"), choose_place("embed", "strip")
    ('embed', 'mark', 'embed')
    """
    if asked is not None:
        return asked
    return "embed" if metadata == "keep" else "mark"


def used_file(data: bytes, name: str | Path | None = None) -> UsedFile:
    """Return what is noted of a file with this content; of a path or an address only the last part."""
    return UsedFile(None if name is None else name_of(str(name)) or None, sha256(data).hexdigest(), len(data))


def name_of(path: str) -> str:
    r"""Return the last part of a path of any system, or of an address.

    >>> name_of("a/b.jpg"), name_of(r"C:\a\b.jpg"), name_of("light")
    ('b.jpg', 'b.jpg', 'light')
    """
    return PureWindowsPath(PurePosixPath(path).name).name


def without_folders(settings: Settings) -> dict[str, str | float | bool]:
    """Return the options by name; of those that are paths, the name of the file.

    >>> without_folders(Settings(style="/home/me/brush.onnx"))["style"]
    'brush.onnx'
    """
    options = asdict(settings)
    for option in FILE_OPTIONS:
        options[option] = ",".join(name_of(name) for name in options[option].split(","))
    return options


def sidecar_of(picture: Path) -> Path:
    """Return the file beside a picture in which its recipe lies.

    >>> sidecar_of(Path("painting.jpg")).name
    'painting.jpg.json'
    """
    return picture.with_name(picture.name + SIDECAR)


def sidecar_bytes(recipe: Recipe) -> bytes:
    """Return what is written beside a picture."""
    return f"{recipe.to_json(indent=2)}\n".encode("ascii")


@cache
def _library_versions() -> Mapping[str, str]:
    return {name: held for name in LIBRARIES if (held := _version_of(name)) is not None}


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # as where OpenCV was installed under another of its names
        return None
