"""Read labelled pictures for the segmenter: portraits and photos of people; it composes nothing."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.errors import InputError
from sfumato.types import MIRRORED_CLASSES, Detect, Image, Labels

SOMEBODY = 9
"""Label of a pixel that belongs to a person, with no word on which of the classes 1..8."""

NO_FACE = 10
"""Label of a pixel that is background or person, but no part of a face."""

UNKNOWN = 11
"""Label of a pixel that nothing is known about."""

FACE_MARGIN = 0.35
"""Part of a found face's box by which it is widened on every side: all of the face lies within."""

FLIPPED_CLASS: NDArray[np.uint8] = np.array([*MIRRORED_CLASSES, SOMEBODY, NO_FACE, UNKNOWN], dtype=np.uint8)
"""Label of each label after a horizontal flip."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture and its labels, of one size."""

    image: Image
    labels: Labels


def flip_sample(sample: Sample) -> Sample:
    """Mirror picture and labels, swapping the classes of the two sides."""
    return Sample(
        np.ascontiguousarray(sample.image[:, ::-1]),
        FLIPPED_CLASS[np.ascontiguousarray(sample.labels[:, ::-1])],
    )


def read_rgb(path: Path, longest: int | None = None) -> Image:
    """Read a training picture as RGB, reduced so that its longer side is at most `longest`."""
    loaded = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if loaded is None:
        raise InputError(f"{path} cannot be decoded; remove it from the training data")
    scale = min(1.0, (longest or max(loaded.shape)) / max(loaded.shape[:2]))
    if scale < 1:
        loaded = cv2.resize(loaded, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(loaded[..., ::-1])


def read_people(root: Path, detect: Detect, longest: int = 640) -> list[Sample]:
    """Read photos with binary person masks (`images`, `masks`, matched by stem).

    Near a found face, a person's pixels are SOMEBODY; elsewhere they are person (1), so that hands, arms and
    clothes are learnt to be no face. The rest is background.
    """
    masks = {p.stem: p for p in (root / "masks").iterdir()}
    samples = []
    for picture in sorted((root / "images").iterdir()):
        image = read_rgb(picture, longest)
        stored = read_rgb(masks[picture.stem])[..., 0]
        mask = cv2.resize(stored, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        person = np.where(near_faces(image, detect), SOMEBODY, 1)
        samples.append(Sample(image, np.where(mask > 127, person, 0).astype(np.uint8)))
    return samples


def read_unmasked(folder: Path, detect: Detect, longest: int = 640) -> list[Sample]:
    """Read photos of people of whom nothing is marked: UNKNOWN near a found face, NO_FACE elsewhere.

    A photo in which no face is found is left out, for it may hold one that was missed.
    """
    samples = []
    for picture in sorted(folder.iterdir()):
        image = read_rgb(picture, longest)
        near = near_faces(image, detect)
        if near.any():
            samples.append(Sample(image, np.where(near, UNKNOWN, NO_FACE).astype(np.uint8)))
    return samples


def near_faces(image: Image, detect: Detect) -> NDArray[np.bool_]:
    """Return HxW: whether a pixel lies in the widened box of a found face."""
    near = np.zeros(image.shape[:2], dtype=np.bool_)
    for face in detect(image):
        x0, y0, x1, y1 = face.box
        dx, dy = FACE_MARGIN * (x1 - x0), FACE_MARGIN * (y1 - y0)
        rows = slice(max(0, round(y0 - dy)), max(0, round(y1 + dy)))
        near[rows, max(0, round(x0 - dx)) : max(0, round(x1 + dx))] = True
    return near
