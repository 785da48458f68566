"""Find what a recipe names: itself, the photo, further files and models; only what has the right sha256 is taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import cast

from sfumato.errors import InputError, MissingInputError, ModelError
from sfumato.io import read_bytes, read_picture
from sfumato.io.picture import shown
from sfumato.recipe import FILE_OPTIONS, Part, Recipe, UsedFile, name_of, sidecar_of
from sfumato.recipe_embedding import read_recipe
from sfumato.recipe_parsing import parse_recipe
from sfumato.registry import Task
from sfumato.resolve import WORDS
from sfumato.segmenters import AUTO
from sfumato.settings import Options, Settings
from sfumato.store import known_models

TASKS: Mapping[str, Task] = {word: task for task, word in WORDS.items()}
"""Task of the models that each option names."""

DIGITS = 12
"""Of a sha256 that a message shows."""


@dataclass(frozen=True, slots=True)
class Painting:
    """A painting and how it was made.

    Attributes:
        path: where it lies, or would lie beside its recipe.
        data: its bytes; None where only its recipe is there.
    """

    path: Path
    data: bytes | None
    recipe: Recipe


def open_painting(file: Path) -> Painting:
    """Return the painting that a file is, with the recipe that it carries or that lies beside it; or that of a recipe.

    Raises:
        InputError: there is no such file, or no recipe in it nor beside it.
    """
    data = read_bytes(file)
    if data.lstrip()[:1] == b"{":
        picture = (
            file.with_suffix("") if file.suffix.lower() == ".json" else file.with_name(f"{file.name}.picture")
        )
        there = read_bytes(picture) if picture.is_file() else None
        return Painting(picture, there, parse_recipe(data, shown(file)))
    recipe = read_recipe(read_picture(data, name=str(file)).metadata, shown(file))
    if recipe is not None:
        return Painting(file, data, recipe)
    beside = sidecar_of(file)
    if beside.is_file():
        return Painting(file, data, parse_recipe(read_bytes(beside), shown(beside)))
    raise InputError(
        f"{shown(file)} holds no recipe, and there is no {shown(beside.name)} beside it; sfumato stylize writes one"
    )


def find_source(painting: Painting, given: Path | None) -> Path:
    """Return the photo of a painting: as given, below a folder that is given, or of its name beside the painting.

    Raises:
        InputError: it is not there, or another.
    """
    wanted, beside = painting.recipe.source, painting.path.parent
    if given is not None and given.is_dir():
        found = _find_below(given, wanted)
        if found is None:
            raise MissingInputError(
                f"no file below {shown(given)} is {_describe(wanted)}; name it by --source"
            )
        return found
    if given is None and wanted.name is None:
        raise MissingInputError("the recipe knows no name of the photo; name it by --source")
    path = given if given is not None else beside / str(wanted.name)
    if given is None and not path.is_file():
        raise MissingInputError(f"no {shown(path)}; name the photo, or a folder above it, by --source")
    _refuse_other(path, wanted, "--source")
    return path


def find_parts(
    painting: Painting, given: Mapping[Part, Path | None], folders: Sequence[Path]
) -> Mapping[Part, Path]:
    """Return the further files of a painting: as given, or of their names in one of the folders.

    Raises:
        InputError: one is not there, or another.
    """
    found: dict[Part, Path] = {}
    for part, wanted in painting.recipe.parts.items():
        path = given.get(part) or _named_in(folders, wanted.name)
        if path is None:
            raise MissingInputError(
                f"the recipe asks for the {part}, {_describe(wanted)}; name it by --{part}"
            )
        _refuse_other(path, wanted, f"--{part}")
        found[part] = path
    return found


def find_settings(recipe: Recipe, folders: Sequence[Path]) -> Settings:
    """Return the settings of a recipe, in which what is the name of a file is its path in one of the folders."""
    options = dict(recipe.settings)
    for option in FILE_OPTIONS:
        names = str(options[option]).split(",")
        options[option] = ",".join(_located(name.strip(), TASKS[option], folders) for name in names)
    if AUTO in str(options["segmenter"]).split(","):
        options["segmenter"] = _recorded_segmenter(recipe) or AUTO
    return Settings(**cast(Options, options))


def check_models(recipe: Recipe, models: Mapping[str, str]) -> None:
    """Make sure that the models here are those of the recipe.

    Raises:
        ModelError: they are not; which ones is said.
    """
    here = {name_of(name): digest for name, digest in models.items()}
    odd = sorted(
        name for name in here.keys() | recipe.models.keys() if here.get(name) != recipe.models.get(name)
    )
    if not odd:
        return
    told = (
        f"{shown(name)} ({_digits(recipe.models.get(name))}, here {_digits(here.get(name))})" for name in odd
    )
    raise ModelError(
        f"models differ from those of the recipe: {', '.join(told)}; sfumato models pull {shown(odd[0])} may bring it"
    )


def _located(name: str, task: Task, folders: Sequence[Path]) -> str:
    known = any(name in (spec.name, spec.style) for spec in known_models().values() if spec.task == task)
    path = None if known or name in ("light", AUTO) else _named_in(folders, name)
    return name if path is None else str(path)


def _recorded_segmenter(recipe: Recipe) -> str | None:
    """Return the segmenter that "auto" stood for when the picture was painted, where the registry has it."""
    known = known_models()
    named = [known[name] for name in recipe.models if name in known and known[name].task == "segmenter"]
    others = [spec.name for spec in named if not spec.embedded]
    return others[0] if others else ("light" if named else None)


def _named_in(folders: Sequence[Path], name: str | None) -> Path | None:
    if not name:
        return None
    return next((folder / name for folder in folders if (folder / name).exists()), None)


def _find_below(folder: Path, wanted: UsedFile) -> Path | None:
    """Return the file with the right content, the one with the right name if there are several."""
    alike = [
        path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size == wanted.bytes
    ]
    alike.sort(key=lambda path: path.name != wanted.name)
    return next((path for path in alike if sha256(path.read_bytes()).hexdigest() == wanted.sha256), None)


def _refuse_other(path: Path, wanted: UsedFile, option: str) -> None:
    digest = sha256(read_bytes(path)).hexdigest()
    if digest != wanted.sha256:
        raise InputError(
            f"{shown(path)} is another file than was painted from: its sha256 is {_digits(digest)}, not "
            f"{_digits(wanted.sha256)}; name the right one by {option}"
        )


def _describe(wanted: UsedFile) -> str:
    return f"{shown(wanted.name or 'a file')} of sha256 {_digits(wanted.sha256)}"


def _digits(digest: str | None) -> str:
    return digest[:DIGITS] if digest else "none"
