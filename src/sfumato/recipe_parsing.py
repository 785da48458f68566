"""Read recipes, which come from strangers' files: all is checked, and no name may lead to a folder; nothing is run."""

import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from typing import TypeVar, cast, get_args

from sfumato.errors import InputError, SfumatoError
from sfumato.io.encoding import KeepMetadata
from sfumato.io.formats import FORMATS
from sfumato.io.picture import shown
from sfumato.recipe import SCHEMA, Part, Place, Recipe, UsedFile, Writing, name_of, without_folders
from sfumato.settings import Options, Settings

LONGEST_TEXT = 1000
"""Letters of any text of a recipe."""

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")

Value = TypeVar("Value")


def parse_recipe(text: str | bytes, name: str) -> Recipe:
    """Return the recipe that JSON holds, after checking every value.

    Args:
        name: what errors call the file.

    Raises:
        InputError: it is no recipe, or one of a later version.
    """
    try:
        held = json.loads(text, parse_constant=_refuse_constant)
        _check_schema(held)
        return _recipe(held)
    except (_FaultError, SfumatoError) as error:
        raise InputError(f"{name} holds no recipe that can be followed: {shown(str(error))}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} holds no recipe, as it is no JSON; get a whole copy of it") from error


class _FaultError(Exception):
    """Says what is wrong with a recipe."""


def _refuse_constant(name: str) -> float:
    raise _FaultError(f"{name} is no number of a recipe")


def _check_schema(held: object) -> None:
    if not isinstance(held, dict) or type(held.get("schema")) is not int:
        raise _FaultError("it has no schema")
    if held["schema"] != SCHEMA:
        raise _FaultError(
            f"its schema is {str(held['schema'])[:20]}, this version reads {SCHEMA}; use another sfumato"
        )


def _recipe(held: Mapping[str, object]) -> Recipe:
    take = _Table(held, "recipe", ("schema", *(part.name for part in fields(Recipe))))
    return Recipe(
        version=take("version", _text),
        settings=take("settings", _settings),
        models=take("models", _digests),
        source=take("source", _used_file),
        size=take("size", _size),
        writing=take("writing", _writing),
        side=take("side", _side),
        parts=take("parts", _parts),
        processor=take("processor", _text),
        libraries=take("libraries", _texts),
    )


class _Table:
    """A table of a recipe, whose names are exactly those that it must have."""

    def __init__(self, held: object, called: str, names: tuple[str, ...]) -> None:
        if not isinstance(held, dict):
            raise _FaultError(f"its {called} is no table")
        odd = sorted(map(str, held.keys() ^ set(names)))
        if odd:
            raise _FaultError(f"its {called} lacks '{odd[0]}' or should not have it")
        self._held = held

    def __call__(self, name: str, check: Callable[[object, str], Value]) -> Value:
        """Return a value after its check, which is told its name for the error."""
        return check(self._held[name], name)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise _FaultError(f"its {name} is no text")
    return value


def _texts(value: object, name: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _FaultError(f"its {name} is no table")
    return {_text(key, name): _text(text, name) for key, text in value.items()}


def _digest(value: object, name: str) -> str:
    if not _SHA256.match(_text(value, name)):
        raise _FaultError(f"its {name} is no sha256")
    return cast(str, value)


def _digests(value: object, name: str) -> dict[str, str]:
    return {key: _digest(digest, f"sha256 of {key}") for key, digest in _texts(value, name).items()}


def _number(value: object, name: str, lowest: int = 0, highest: float = math.inf) -> int:
    if type(value) is not int or not lowest <= value <= highest:
        raise _FaultError(f"its {name} is no number that it could be")
    return value


def _side(value: object, name: str) -> int | None:
    return None if value is None else _number(value, name, 16, 20_000)


def _size(value: object, name: str) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise _FaultError(f"its {name} is no width and height")
    return _number(value[0], name, 1), _number(value[1], name, 1)


def _one_of(choices: Collection[str], value: object, name: str) -> str:
    if not isinstance(value, str) or value not in choices:
        raise _FaultError(f"its {name} is none of {', '.join(sorted(choices))}")
    return value


def _format(value: object, name: str) -> str:
    return _one_of(FORMATS, value, name)


def _quality(value: object, name: str) -> int:
    return _number(value, name, 1, 100)


def _metadata(value: object, name: str) -> KeepMetadata:
    return cast(KeepMetadata, _one_of(get_args(KeepMetadata), value, name))


def _place(value: object, name: str) -> Place:
    return cast(Place, _one_of(get_args(Place), value, name))


def _writing(value: object, name: str) -> Writing:
    take = _Table(value, name, tuple(part.name for part in fields(Writing)))
    return Writing(
        take("format", _format),
        take("quality", _quality),
        take("metadata", _metadata),
        take("recipe", _place),
    )


def _used_file(value: object, name: str) -> UsedFile:
    take = _Table(value, name, tuple(part.name for part in fields(UsedFile)))
    return UsedFile(take("name", _file_name), take("sha256", _digest), take("bytes", _number))


def _parts(value: object, name: str) -> dict[Part, UsedFile]:
    if not isinstance(value, dict):
        raise _FaultError(f"its {name} is no table")
    known = get_args(Part)
    return {cast(Part, _one_of(known, part, name)): _used_file(held, part) for part, held in value.items()}


def _file_name(value: object, name: str) -> str | None:
    """Return the name of a file that lies in no folder, so that no recipe leads to files elsewhere."""
    if value is None:
        return None
    text = _text(value, name)
    if not text or text == ".." or "\0" in text or name_of(text) != text:
        raise _FaultError(f"its {name} is not the name of a file alone")
    return text


def _settings(value: object, name: str) -> dict[str, str | float | bool]:
    kinds = {option.name: type(option.default) for option in fields(Settings)}
    take = _Table(value, name, tuple(kinds))
    options = {option: take(option, _typed(kind)) for option, kind in kinds.items()}
    settings = Settings(**cast(Options, options))
    if without_folders(settings) != options:
        raise _FaultError(f"its {name} lead to a folder")
    return options


def _typed(kind: type) -> Callable[[object, str], str | float | bool]:
    """Return the check of an option of `Settings`."""

    def check(value: object, name: str) -> str | float | bool:
        number = float(value) if kind is float and type(value) is int else value
        if type(number) is not kind:
            raise _FaultError(f"its {name} is not of type {kind.__name__}")
        return _text(number, name) if kind is str else cast(float, number)

    return check
