"""Name the values that cross borders between modules; nothing here computes more than a shape."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
"""HxWx3 sRGB picture, 0..255, upright."""

FloatImage: TypeAlias = NDArray[np.float32]
"""HxWx3 picture in 0..255, inside a function only; rounded once at its end."""

Mask: TypeAlias = NDArray[np.float32]
"""HxW weights in [0, 1]."""

Labels: TypeAlias = NDArray[np.uint8]
"""HxW EasyPortrait ids 0..8; left is image-left."""

Probabilities: TypeAlias = NDArray[np.float32]
"""9xHxW class probabilities that sum to 1 at each pixel."""

Points: TypeAlias = NDArray[np.float32]
"""Nx2 points (x, y) in pixels; integer coordinates are pixel centres."""

Affine: TypeAlias = NDArray[np.float64]
"""2x3 matrix that maps (x, y, 1) of the picture to (x, y) of the aligned crop."""

Point: TypeAlias = tuple[float, float]
Box: TypeAlias = tuple[float, float, float, float]

CLASSES: tuple[str, ...] = (
    "background",
    "person",
    "skin",
    "left_brow",
    "right_brow",
    "left_eye",
    "right_eye",
    "lips",
    "teeth",
)
"""EasyPortrait class names, in the order of their ids."""

MIRRORED_CLASSES: tuple[int, ...] = (0, 1, 2, 4, 3, 6, 5, 7, 8)
"""Id of each class in the mirrored picture: left and right brows and eyes change places."""

FACE_CLASSES: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
"""Ids that make up the face region: skin, brows, eyes, lips and teeth."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face found in a picture.

    Attributes:
        box: (x0, y0, x1, y1) in pixels of the upright picture.
        landmarks: centres of the image-left eye, image-right eye, nose tip, image-left and
            image-right mouth corner, each (x, y) in pixels.
        score: confidence in [0, 1].
    """

    box: Box
    landmarks: tuple[Point, Point, Point, Point, Point]
    score: float

    @property
    def size(self) -> float:
        """Return the shorter side of the box in pixels."""
        return min(self.box[2] - self.box[0], self.box[3] - self.box[1])

    @property
    def points(self) -> Points:
        """Return the landmarks as a 5x2 array."""
        return np.asarray(self.landmarks, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Touches:
    """What a hand adds to the mask of what is kept, and takes from it; at any size, enlarged to that of the picture.

    Attributes:
        keep: hxw, 1 where the photo is to be kept and 0 where it is to be painted.
        weight: hxw, how far `keep` counts: 0 leaves what was found.
    """

    keep: Mask
    weight: Mask


Detect: TypeAlias = Callable[[Image], Sequence[Face]]
"""Find faces, best score first."""

Compare: TypeAlias = Callable[[Image, Image], float]
"""Compare two pictures of one size."""

Transform: TypeAlias = Callable[[Image], Image]
"""Map a picture to one of the same size (a stylizer, or a restorer of a 512x512 aligned crop)."""

Layers: TypeAlias = Mapping[str, Image]
