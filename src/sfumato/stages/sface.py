"""Tell by SFace, of OpenCV's model zoo, how much two aligned faces look like one person; it loads no file."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.backends import Backend
from sfumato.geometry import FFHQ_TEMPLATE, fit_similarity
from sfumato.stages.likeness import CROP, TEMPLATE, cosine
from sfumato.types import Affine, Image

SFACE_SIDE = 112
"""Side of the face that SFace compares: 8 pixels wider to each side than MobileFaceNet's, whose template it shares."""


@dataclass(frozen=True, slots=True)
class SFaceLikeness:
    """Compare faces by SFace (Zhong et al., "SFace: sigmoid-constrained hypersphere loss", 2021).

    Attributes:
        backend: maps "data", 1x3x112x112 RGB in 0..255, to an embedding.
    """

    backend: Backend

    def __call__(self, first: Image, second: Image) -> float:
        """Return the cosine of the embeddings of two FFHQ-aligned crops of any size; 1 for the same picture."""
        return cosine(*(self._embedded(crop) for crop in (first, second)))

    def _embedded(self, crop: Image) -> NDArray[np.float32]:
        reduced = cv2.resize(crop, (CROP, CROP), interpolation=cv2.INTER_AREA)
        side = (SFACE_SIDE, SFACE_SIDE)
        face = cv2.warpAffine(
            reduced, sface_affine(), side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        planes = np.ascontiguousarray(face.transpose(2, 0, 1)[None], dtype=np.float32)
        return np.asarray(self.backend.run({"data": planes})[0].ravel(), dtype=np.float32)


def sface_affine() -> Affine:
    """Return the similarity from an aligned crop of `CROP` pixels to the face that SFace compares."""
    return fit_similarity((FFHQ_TEMPLATE + 0.5) * (CROP / 512) - 0.5, TEMPLATE + np.array([8, 0], np.float32))
