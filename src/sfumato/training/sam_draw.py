"""Draw pictures of portraits, one of whose faces is asked for as the pipeline asks; it trains nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from sfumato.geometry import transform_points
from sfumato.stages.detect import LightDetector
from sfumato.stages.sam import make_prompts, square_affine
from sfumato.stages.sam_facts import SamFacts
from sfumato.training.lightning_run import Drawn
from sfumato.training.parsing_samples import Sample
from sfumato.training.photometry import vary_photo
from sfumato.training.sam_options import SamOptions
from sfumato.types import FACE_CLASSES, Affine, Face, Image, Mask

VARIED = 0.5
"""Share of the pictures under another light, camera and file, which cost most of the drawing's time."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """A labelled portrait and the face that the detector finds in it."""

    sample: Sample
    face: Face


class SamDraw:
    """Draw a picture of one or two portraits, one of whose faces is asked for."""

    def __init__(
        self, portraits: Sequence[Portrait], backgrounds: Sequence[Image], options: SamOptions
    ) -> None:
        self._portraits, self._backgrounds, self._options = portraits, backgrounds, options

    def __call__(self, rng: np.random.Generator) -> Drawn:
        """Return `image`, 3xSxS bytes, and the prompts and the `mask` of a face."""
        side = self._options.size
        scene = self._background(rng)
        count = min(len(self._portraits), 2 if rng.random() < 0.4 else 1)
        laid = []
        for place, index in enumerate(rng.choice(len(self._portraits), count, replace=False)):
            window = slice(place * side // count, (place + 1) * side // count)
            portrait = self._portraits[int(index)]
            laid.append(lay_portrait(scene, window, portrait, draw_matrix(portrait.face, window, side, rng)))
        face, mask = laid[int(rng.integers(count))]
        image = vary_photo(scene, rng) if rng.random() < VARIED else scene
        return to_tensors(image, _jittered(face, rng), mask, self._options)

    def _background(self, rng: np.random.Generator) -> Image:
        side = self._options.size
        if not self._backgrounds:
            return np.full((side, side, 3), rng.integers(0, 256, 3), np.uint8)
        photo = self._backgrounds[int(rng.integers(len(self._backgrounds)))]
        return np.array(cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def draw_matrix(face: Face, window: slice, side: int, rng: np.random.Generator) -> Affine:
    """Return a matrix that lays a face, turned, scaled and half of the time mirrored, into columns of a square."""
    width = window.stop - window.start
    height = max(face.box[3] - face.box[1], face.box[2] - face.box[0])
    scale = float(np.exp(rng.uniform(np.log(0.3), np.log(0.9)))) * width / height
    turn = np.radians(rng.normal(0, 14))
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    if rng.random() < 0.5:
        linear[:, 0] *= -1
    spread = max(0.0, 0.5 - 0.45 * scale * height / width)
    there = np.array(
        [
            (window.start + window.stop) / 2 + rng.uniform(-spread, spread) * width,
            side / 2 + rng.uniform(-spread, spread) * side,
        ]
    )
    centre = np.array([(face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2])
    return np.column_stack([linear, there - linear @ centre])


def lay_portrait(scene: Image, window: slice, portrait: Portrait, matrix: Affine) -> tuple[Face, Mask]:
    """Lay a portrait into columns of the scene, in place, and return its face and mask there."""
    image, labels = portrait.sample.image, portrait.sample.labels
    size = (scene.shape[1], scene.shape[0])
    marked = np.isin(labels, FACE_CLASSES).astype(np.float32)
    laid = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR)
    inside = cv2.warpAffine(np.ones(labels.shape, np.uint8), matrix, size, flags=cv2.INTER_NEAREST)
    mask = cv2.warpAffine(marked, matrix, size, flags=cv2.INTER_LINEAR)
    beyond = np.ones(scene.shape[1], np.bool_)
    beyond[window] = False
    inside[:, beyond] = 0
    scene[inside > 0] = laid[inside > 0]
    return moved_face(portrait.face, matrix), np.asarray(mask * inside, dtype=np.float32)


def moved_face(face: Face, matrix: Affine) -> Face:
    """Return the face where the matrix leads it; a mirrored one has its eyes and mouth corners in image order."""
    points = transform_points(matrix, face.points)
    if np.linalg.det(matrix[:, :2]) < 0:
        points = points[[1, 0, 2, 4, 3]]
    x0, y0, x1, y1 = face.box
    corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]], dtype=np.float32)
    there = transform_points(matrix, corners)
    centre, reach = there.mean(axis=0), np.abs(there - there.mean(axis=0)).max(axis=0)
    return _face((*(centre - reach), *(centre + reach)), points, face.score)


def _face(box: Sequence[float], points: NDArray[np.float32], score: float) -> Face:
    a, b, c, d, e = ((float(x), float(y)) for x, y in points)
    x0, y0, x1, y1 = (float(value) for value in box)
    return Face((x0, y0, x1, y1), (a, b, c, d, e), score)


def _jittered(face: Face, rng: np.random.Generator) -> Face:
    """Return the face as detectors err: box and landmarks a few per cent aside."""
    box = (np.array(face.box) + rng.normal(0, 0.04 * face.size, 4)).tolist()
    points = face.points + rng.normal(0, 0.02 * face.size, (5, 2)).astype(np.float32)
    return _face(box, points.astype(np.float32), face.score)


def to_tensors(image: Image, face: Face, mask: Mask, options: SamOptions) -> Drawn:
    """Return a square picture as bytes, the prompts of a face, and its mask at the resolution of the answer."""
    prompts = make_prompts(face)
    cells = 4 * options.size // options.patch
    coarse = cv2.resize(mask, (cells, cells), interpolation=cv2.INTER_AREA)
    return {
        "image": torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))),
        "points": torch.from_numpy(prompts.points)[None],
        "boxes": torch.tensor(prompts.box, dtype=torch.float32)[None],
        "mask": torch.from_numpy(coarse),
    }


class SquaredPortraits(Dataset[Drawn]):
    """Show each portrait whole in the network's square."""

    def __init__(self, portraits: Sequence[Portrait], options: SamOptions) -> None:
        self._portraits, self._options = portraits, options

    def __len__(self) -> int:
        return len(self._portraits)

    def __getitem__(self, index: int) -> Drawn:
        """Return one portrait's tensors, as `SamDraw` does."""
        portrait, side = self._portraits[index], self._options.size
        scene = np.full((side, side, 3), 128, np.uint8)
        matrix = square_affine(portrait.sample.labels.shape, SamFacts("pad", side))
        face, mask = lay_portrait(scene, slice(0, side), portrait, matrix)
        return to_tensors(scene, face, mask, self._options)


def with_faces(samples: Sequence[Sample], detector: LightDetector) -> list[Portrait]:
    """Return the portraits in which the detector finds a face, with the largest."""
    found = [(sample, detector(sample.image)) for sample in samples]
    return [Portrait(sample, max(faces, key=lambda face: face.size)) for sample, faces in found if faces]
