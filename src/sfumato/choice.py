"""Choose among the faces that were found; it finds none."""

from collections.abc import Sequence

from sfumato.errors import SettingsError
from sfumato.settings_parsing import Spot, parse_faces
from sfumato.types import Face

REACH = 0.25
"""How far beside the box of a face a place may lie that means it, in sizes of the face."""


def choose_faces(faces: Sequence[Face], which: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the indices of the faces that `which` names: all, largest, numbers counted from 1, or places.

    Args:
        shape: (h, w) of the picture, of which places are parts.

    Raises:
        SettingsError: there is no face of that number, or at that place.
    """
    wanted = parse_faces(which)
    if wanted == "all":
        return tuple(range(len(faces)))
    if wanted == "largest":
        return (max(range(len(faces)), key=lambda k: faces[k].size),) if faces else ()
    named = [_face_at(faces, w, shape) if isinstance(w, Spot) else _numbered(faces, w) for w in wanted]
    return tuple(dict.fromkeys(named))


def _numbered(faces: Sequence[Face], number: int) -> int:
    if number > len(faces):
        raise SettingsError(f"face {number} was asked for, but {len(faces)} were found; see: sfumato detect")
    return number - 1


def _face_at(faces: Sequence[Face], spot: Spot, shape: tuple[int, ...]) -> int:
    """Return the index of the face whose middle is nearest to a place among those that reach it."""
    x, y = spot.x * shape[1], spot.y * shape[0]
    near = [k for k, face in enumerate(faces) if _reaches(face, x, y)]
    if not near:
        raise SettingsError(f"no face was found at {spot.x:g}:{spot.y:g}; see: sfumato detect")
    return min(near, key=lambda k: _distance(faces[k], x, y))


def _reaches(face: Face, x: float, y: float) -> bool:
    x0, y0, x1, y1 = face.box
    reach = REACH * face.size
    return x0 - reach <= x <= x1 + reach and y0 - reach <= y <= y1 + reach


def _distance(face: Face, x: float, y: float) -> float:
    x0, y0, x1, y1 = face.box
    return float(((x0 + x1) / 2 - x) ** 2 + ((y0 + y1) / 2 - y) ** 2)
