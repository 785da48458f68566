"""Understand the texts in which choices are written, and refuse those that mean nothing; it holds no choice."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sfumato.errors import SettingsError
from sfumato.types import CLASSES, FACE_CLASSES

ClassStrengths: TypeAlias = tuple[float, ...]
"""How far each of the nine EasyPortrait classes keeps its photo, 0..1."""

CLASS_GROUPS: Mapping[str, tuple[int, ...]] = {
    "face": FACE_CLASSES,
    "person": (1, *FACE_CLASSES),
    "none": (),
    "brows": (3, 4),
    "eyes": (5, 6),
    **{name: (index,) for index, name in enumerate(CLASSES) if name not in ("background", "person")},
}
"""What can be named in `preserve`, and the class ids that each name stands for."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a picture of any size: the parts, 0..1, of its width and height."""

    x: float
    y: float


def parse_preserve(text: str) -> ClassStrengths:
    """Return the strength of each of the nine classes that `text` names.

    >>> parse_preserve("eyes,skin=0.5")
    (0.0, 0.0, 0.5, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0)
    """
    strengths = [0.0] * len(CLASSES)
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        if name not in CLASS_GROUPS:
            raise SettingsError(
                f"unknown class '{name}' to preserve{did_you_mean(name, CLASS_GROUPS)}; use {', '.join(CLASS_GROUPS)}"
            )
        strength = _parse_strength(name, number) if number else 1.0
        for index in CLASS_GROUPS[name]:
            strengths[index] = strength
    return tuple(strengths)


def _parse_strength(name: str, number: str) -> float:
    try:
        strength = float(number)
    except ValueError as error:
        raise SettingsError(f"strength '{number}' of '{name}' is not a number; use 0 to 1") from error
    check_range(f"strength of '{name}'", strength, 1.0)
    return strength


def parse_faces(text: str) -> Literal["all", "largest"] | tuple[int | Spot, ...]:
    """Return all, largest, or the numbers of faces, counted from 1, and their places.

    >>> parse_faces("1,3"), parse_faces("0.25:0.4")
    ((1, 3), (Spot(x=0.25, y=0.4),))
    """
    if text == "all":
        return "all"
    if text == "largest":
        return "largest"
    try:
        return tuple(_parse_place(part) if ":" in part else _parse_number(part) for part in text.split(","))
    except ValueError as error:
        raise SettingsError(
            f"faces '{text}' is neither all, largest, numbers such as 1,3 nor places such as 0.25:0.4"
        ) from error


def _parse_number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise SettingsError(f"faces '{text}': faces are counted from 1")
    return number


def _parse_place(text: str) -> Spot:
    x, y = (float(part) for part in text.split(":"))
    for part in (x, y):
        check_range(f"place '{text}' of a face", part, 1.0)
    return Spot(x, y)


def check_range(name: str, value: float, highest: float) -> None:
    """Raise unless the value lies in 0 to `highest`."""
    if not 0.0 <= value <= highest:
        raise SettingsError(f"{name} is {value}; use 0 to {highest:g}")


def did_you_mean(name: str, known: Mapping[str, object]) -> str:
    """Return a phrase that suggests the nearest known name, or nothing.

    >>> did_you_mean("mone", {"monet": 1})
    "; did you mean 'monet'?"
    """
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else ""
