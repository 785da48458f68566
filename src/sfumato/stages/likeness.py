"""Tell by how much two pictures of an aligned face look like one person; it changes neither."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.backends import Backend
from sfumato.geometry import FFHQ_TEMPLATE, fit_similarity
from sfumato.types import Affine, Image, Points

SIZE = (112, 96)
"""Height and width of the face that is recognised."""

TEMPLATE: Points = np.array(
    [[30.2946, 51.6963], [65.5318, 51.5014], [48.0252, 71.7366], [33.5493, 92.3655], [62.7299, 92.2041]],
    dtype=np.float32,
)
"""Landmarks in the 96x112 crop of SphereFace (Liu et al., 2017), on which MobileFaceNet was trained."""

CROP = 128
"""Side in pixels to which an aligned crop is brought first."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """Compare faces by a network that maps "input", Nx3x112x96 RGB in -1..1, to embeddings."""

    backend: Backend

    def __call__(self, first: Image, second: Image) -> float:
        """Return the cosine of the embeddings of two FFHQ-aligned crops of any size; 1 for the same picture."""
        faces = np.stack([recognition_crop(first), recognition_crop(second)])
        return cosine(*self.backend.run({"input": faces})[0])


def cosine(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Return the cosine of the angle between two vectors."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def recognition_crop(crop: Image) -> NDArray[np.float32]:
    """Return the 3x112x96 face of an FFHQ-aligned crop of any size, in -1..1."""
    size = crop.shape[0]
    reduced = cv2.resize(crop, (CROP, CROP), interpolation=cv2.INTER_AREA if size > CROP else cv2.INTER_CUBIC)
    face = cv2.warpAffine(
        reduced, recognition_affine(), SIZE[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray((face.transpose(2, 0, 1).astype(np.float32) - 127.5) / 128, dtype=np.float32)


def recognition_affine() -> Affine:
    """Return the similarity from an aligned crop of `CROP` pixels to the face that is recognised."""
    return fit_similarity((FFHQ_TEMPLATE + 0.5) * (CROP / 512) - 0.5, TEMPLATE)
