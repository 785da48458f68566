"""Make the pictures that figures show of faces and classes; it lays out nothing and runs no network."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.geometry import align, clip_box, crop_bounds, face_affine
from sfumato.types import CLASSES, Box, Face, Image, Labels

SIDE = 256
"""Of aligned faces in pixels."""

FACE_COLUMNS = slice(56, 200)
"""Columns of an aligned face that hold the face itself."""

MARK = (240, 228, 66)
"""Colour of boxes and landmarks."""

COLOURS: NDArray[np.uint8] = np.array(
    [
        (255, 255, 255),
        (0, 114, 178),
        (86, 180, 233),
        (230, 159, 0),
        (240, 228, 66),
        (0, 158, 115),
        (204, 121, 167),
        (213, 94, 0),
        (0, 0, 0),
    ],
    dtype=np.uint8,
)
"""Colour of each class: those of Okabe and Ito, which the colour-blind tell apart; the background has none."""

SHARES: NDArray[np.float32] = np.array([0, 0.3, 0.55, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8], dtype=np.float32)
"""How far each class covers the photo: parts of the face most."""


def class_colours() -> Mapping[str, tuple[float, ...]]:
    """Return the colour of each class but the background, 0..1, by its name as people write it."""
    return {
        name.replace("_", " "): tuple(float(level) / 255 for level in colour)
        for name, colour in zip(CLASSES[1:], COLOURS[1:], strict=True)
    }


def overlay_classes(image: Image, labels: Labels) -> Image:
    """Return the photo with a colour laid over each class; background stays as it is.

    >>> overlay_classes(np.full((1, 1, 3), 100, np.uint8), np.array([[2]], np.uint8)).tolist()
    [[[92, 144, 173]]]
    """
    share = SHARES[labels][..., None]
    return np.rint((1 - share) * image + share * COLOURS[labels]).astype(np.uint8)


def mark_faces(image: Image, faces: Sequence[Face]) -> Image:
    """Return the picture with the box and the landmarks of each face, drawn to be seen at the size of a thumbnail."""
    marked = image.copy()
    thickness = max(1, round(max(image.shape[:2]) / 120))
    for face in faces:
        x0, y0, x1, y1 = (round(side) for side in face.box)
        cv2.rectangle(marked, (x0, y0), (x1, y1), MARK, thickness)
        for x, y in face.landmarks:
            cv2.circle(marked, (round(x), round(y)), max(thickness, round(face.size / 30)), MARK, -1)
    return marked


def before_and_after(before: Image, after: Image, faces: Sequence[Face]) -> Image:
    """Return the first face of two pictures, aligned, side by side; without a face the picture after."""
    if not faces:
        return after
    matrix = face_affine(faces[0].points, SIDE)
    left, right = (align(image, matrix, SIDE)[:, FACE_COLUMNS] for image in (before, after))
    between = np.full((SIDE, 4, 3), 255, np.uint8)
    return np.concatenate([left, between, right], axis=1)


def surroundings(image: Image, faces: Sequence[Face]) -> tuple[slice, slice]:
    """Return the place in the picture, rows and columns, of all faces' heads; without a face that of the picture."""
    if not faces:
        return slice(None), slice(None)
    x0, y0, x1, y1 = clip_box(_around(faces), image.shape)
    return slice(y0, y1), slice(x0, x1)


def _around(faces: Sequence[Face]) -> Box:
    boxes = np.array([crop_bounds(face_affine(face.points, SIDE), SIDE) for face in faces])
    (x0, y0), (x1, y1) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)
