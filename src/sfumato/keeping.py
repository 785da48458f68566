"""Say where and how far a photo is kept in its painting, faces with their edges and eyes; it runs no network."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from sfumato.compositing import Kept, keep_colour, paint_weights
from sfumato.edges import EDGES, SKIN_SIDE, Edge, choose_edge
from sfumato.geometry import ALIGNED_SIZE, clip_box, crop_bounds, face_affine
from sfumato.settings import Settings
from sfumato.stages.segment import Parsing, face_extent
from sfumato.types import CLASSES, FACE_CLASSES, Face, Image, Mask

EYES = tuple(float(name in ("left_eye", "right_eye")) for name in CLASSES)
"""Strength of each class in the mask of the eyes."""

PERSON = tuple(float(name == "person") for name in CLASSES)
"""Strength of each class in the mask of what belongs to persons but to no face."""


def cover_persons(
    shape: tuple[int, ...], parsing: Parsing | None, settings: Settings, chosen: Collection[int]
) -> Mask:
    """Return where and how far whole persons are kept; faces alone are laid in one by one, with their edges.

    What is pasted is kept wholly or not at all, faces and all.
    """
    if parsing is not None and settings.blend == "paste":
        covered = parsing.coverage(settings.class_strengths, chosen)
        return np.asarray(covered >= 0.5, dtype=np.float32)
    if parsing is None or not settings.class_strengths[1]:
        return np.zeros(shape[:2], np.float32)
    return parsing.coverage(settings.class_strengths, chosen)


def lay_in_faces(
    alpha: Mask,
    pictures: tuple[Image, Image],
    parsing: Parsing,
    kept: Mapping[int, Face],
    settings: Settings,
    edges: Mapping[int, Sequence[Edge]],
) -> dict[int, Edge]:
    """Draw the edges of the mask, in place: of each face as it shows least, of persons as those of the picture.

    Args:
        alpha: what `cover_persons` gave.
        pictures: the painting, and the photo with its faces restored.
        kept: the faces to keep, by their index in the parsing.
        edges: what is tried for each of them, its feather for a `settings.feather` of 1.

    Returns:
        The edge that was taken for each face, fit for `edges`; none where whole persons are kept.
    """
    painted, photo = pictures
    strengths = settings.class_strengths
    if strengths[1] > 0:
        whole = Kept(photo, alpha, typical_extent(tuple(kept.values()), photo))
        alpha[...] = _feathered(EDGES[0], settings.feather).draw(whole)
        return {}
    entire = all(strengths[k] == 1 for k in FACE_CLASSES)  # or skin beyond a part would be another part
    taken = {}
    for index, face in kept.items():
        place = surroundings(face, photo)
        here = parsing.within(place)
        part = Kept(photo[place], here.coverage(strengths, (index,)), face_extent(face))
        beyond = here.reduced(SKIN_SIDE / max(here.shape)).coverage(PERSON) if entire else None
        tried = [_feathered(edge, settings.feather) for edge in edges[index]]
        edge = choose_edge(painted[place], part, beyond, paint=settings.paint, edges=tried)
        taken[index] = edges[index][tried.index(edge)]
        np.maximum(alpha[place], edge.draw(part, beyond), out=alpha[place])
    return taken


def keep_eyes(
    result: Image, photo: Image, alpha: Mask, parsing: Parsing, kept: Mapping[int, Face], *, paint: float
) -> None:
    """Give the eyes that are kept the colour they had, in place."""
    _, grain = paint_weights(paint)
    for index, face in kept.items():
        place = _around_eyes(face, photo)
        eyes = parsing.within(place).coverage(EYES, (index,))
        keep_colour(result[place], photo[place], (1 - grain) * alpha[place] * eyes)


def surroundings(face: Face, image: Image) -> tuple[slice, slice]:
    """Return the part of the picture that the face's aligned crop lies in."""
    x0, y0, x1, y1 = clip_box(crop_bounds(face_affine(face.points), ALIGNED_SIZE), image.shape)
    return slice(y0, y1), slice(x0, x1)


def typical_extent(faces: Sequence[Face], image: Image) -> float:
    """Return the median height of the kept faces, or a third of the picture where there is none."""
    extents = [face_extent(face) for face in faces]
    return float(np.median(extents)) if extents else min(image.shape[:2]) / 3


def _feathered(edge: Edge, feather: float) -> Edge:
    return replace(edge, feather=edge.feather * feather)


def _around_eyes(face: Face, image: Image) -> tuple[slice, slice]:
    """Return the part of the picture that holds the face's eyes, three fifths of their distance about both."""
    eyes = face.points[:2]
    reach = 0.6 * float(np.linalg.norm(eyes[1] - eyes[0]))
    box = (*(eyes.min(axis=0) - reach), *(eyes.max(axis=0) + reach))
    x0, y0, x1, y1 = clip_box((box[0], box[1], box[2], box[3]), image.shape)
    return slice(y0, y1), slice(x0, x1)
