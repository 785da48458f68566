"""Find the face region by Segment Anything, asked by the detector's boxes and landmarks; it loads no weights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.backends import Backend
from sfumato.geometry import compose, face_affine, invert_affine, transform_points
from sfumato.stages.planes import to_batch
from sfumato.stages.sam_facts import SamFacts
from sfumato.stages.segment import LightSegmenter, Parsing, View
from sfumato.types import Affine, Box, Face, Image, Points, Probabilities

OVAL_CENTRE = (256.0, 280.0)
OVAL_AXES = (140.0, 195.0)
"""Face oval in the 512x512 aligned crop: the upright ellipse that overlaps best with 300 marked faces (IoU 0.77)."""

BESIDE = 1.45
"""How far from the centre of the oval, in its axes, a point is surely beside the face."""

BESIDE_ANGLES = (0.0, 45.0, 90.0, 135.0, 180.0, 270.0)
"""Directions of these points, clockwise from the right: beside the ears, at the collar, below the chin, above."""

LABELS: NDArray[np.float32] = np.array([1.0] * 5 + [0.0] * len(BESIDE_ANGLES), dtype=np.float32)
"""What each prompt point says: 1 on the face, 0 beside it."""

MEAN_COLOUR = (124, 116, 104)
"""ImageNet's mean, with which SAM fills the square: zero once it is normalised."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """Ask for one face.

    Attributes:
        points: Px2, (x, y) in pixels of the picture or of the square, in the order of `LABELS`.
        box: of the face, in the same pixels.
    """

    points: Points
    box: Box

    def within(self, matrix: Affine) -> "Prompts":
        """Return the prompts in the pixels that an upright `matrix` leads to."""
        corners = transform_points(matrix, np.array(self.box, dtype=np.float32).reshape(2, 2))
        (x0, y0), (x1, y1) = corners.tolist()
        return Prompts(transform_points(matrix, self.points), (x0, y0, x1, y1))


def make_prompts(face: Face) -> Prompts:
    """Return the box, the landmarks as points on the face, and points around it."""
    angles = np.radians(BESIDE_ANGLES)
    beside = np.column_stack([np.cos(angles), np.sin(angles)]) * OVAL_AXES * BESIDE + OVAL_CENTRE
    there = transform_points(invert_affine(face_affine(face.points)), beside.astype(np.float32))
    return Prompts(np.concatenate([face.points, there]), face.box)


def draw_oval(face: Face, matrix: Affine, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixels of (h, w) lie in the face's oval.

    Args:
        matrix: maps picture pixels to these.
    """
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    rim = np.column_stack([np.cos(angles), np.sin(angles)]) * OVAL_AXES + OVAL_CENTRE
    from_crop = compose(matrix, invert_affine(face_affine(face.points)))
    corners = np.rint(transform_points(from_crop, rim.astype(np.float32))).astype(np.int32)
    oval = np.zeros(shape, np.uint8)
    cv2.fillPoly(oval, [corners], 1)
    return oval.astype(np.bool_)


def overlap(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return the intersection over union of two masks; 0 where both are empty."""
    either = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / either if either else 0.0


def choose_mask(logits: NDArray[np.float32], expected: NDArray[np.float32], oval: NDArray[np.bool_]) -> int:
    """Return which of three masks (3xhxw) is the face: the best sum of its expected IoU and its overlap with the oval.

    A SAM asked for a face may as well mean the head, the person or an eye; its own word alone does not tell.
    """
    return int(
        np.argmax([word + overlap(mask > 0, oval) for mask, word in zip(logits, expected, strict=True)])
    )


def square_affine(shape: tuple[int, ...], facts: SamFacts) -> Affine:
    """Return the matrix from a picture of (h, w) to the network's square."""
    height, width = shape[:2]
    scale = facts.side / max(height, width)
    sx, sy = (scale, scale) if facts.fit == "pad" else (facts.side / width, facts.side / height)
    return np.array([[sx, 0.0, 0.5 * sx - 0.5], [0.0, sy, 0.5 * sy - 0.5]])


def to_square(image: Image, facts: SamFacts) -> Image:
    """Return the picture as the network sees it, a square."""
    height, width = image.shape[:2]
    side = facts.side
    size = (side, side)
    if facts.fit == "pad":
        scale = side / max(height, width)
        size = max(1, round(scale * width)), max(1, round(scale * height))
    method = cv2.INTER_AREA if max(size) < max(height, width) else cv2.INTER_LINEAR
    resized = cv2.resize(image, size, interpolation=method)
    square = np.empty((side, side, 3), np.uint8)
    square[:] = MEAN_COLOUR
    square[: size[1], : size[0]] = resized
    return square


@dataclass(frozen=True, slots=True)
class SamSegmenter:
    """Parse pictures by Segment Anything, which says where the face is, and a U-Net, which says what is what in it.

    SAM knows no classes. Where it sees the face, the parts share the probability as the U-Net deals it; elsewhere
    nothing is face. So `--preserve eyes` and persons work as ever, and the face region is SAM's alone.

    Attributes:
        encoder: maps "rgb", 1x3xSxS in 0..1, to embeddings; run once for all faces of a picture.
        decoder: maps "points", "labels", "boxes" and "embedding0", "embedding1" and so on to masks and their expected
            IoU.
        parts: names the parts of the faces.
    """

    encoder: Backend
    decoder: Backend
    facts: SamFacts
    parts: LightSegmenter

    def __call__(self, image: Image, faces: Sequence[Face]) -> Parsing:
        """Return the class probabilities of the picture, looked at whole and at each face."""
        parsing = self.parts(image, faces)
        if not faces:
            return parsing
        embeddings = self.embed(image)
        looks = zip(faces, parsing.faces, strict=True)
        views = tuple(self._seen(image, face, view, embeddings) for face, view in looks)
        return replace(parsing, faces=views)

    def embed(self, image: Image) -> Sequence[NDArray[np.float32]]:
        """Return the embeddings of a picture, which serve for all of its faces."""
        return self.encoder.run({"rgb": to_batch([to_square(image, self.facts)])})

    def _seen(self, image: Image, face: Face, view: View, embeddings: Sequence[NDArray[np.float32]]) -> View:
        """Return the U-Net's view of a face with SAM's word on where the face is."""
        logits, matrix = self.region(image, face, embeddings)
        from_view = compose(matrix, invert_affine(view.matrix))
        size = view.probabilities.shape[2], view.probabilities.shape[1]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        there = cv2.warpAffine(logits, from_view, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        region = 1 / (1 + np.exp(-np.clip(there, -30, 30)))
        return replace(view, probabilities=with_region(view.probabilities, region.astype(np.float32)))

    def region(
        self, image: Image, face: Face, embeddings: Sequence[NDArray[np.float32]]
    ) -> tuple[NDArray[np.float32], Affine]:
        """Return the logits of a face's mask, and the matrix from the picture to them."""
        to_network = square_affine(image.shape, self.facts)
        prompts = make_prompts(face).within(to_network)
        named = {f"embedding{k}": value for k, value in enumerate(embeddings)}
        masks, expected = self.decoder.run(
            {
                "points": prompts.points[None, None],
                "labels": LABELS[None, None],
                "boxes": np.array([[prompts.box]], dtype=np.float32),
                **named,
            }
        )
        cells = masks.shape[-1] / self.facts.side
        matrix = compose(
            np.array([[cells, 0.0, 0.5 * cells - 0.5], [0.0, cells, 0.5 * cells - 0.5]]), to_network
        )
        oval = draw_oval(face, matrix, (masks.shape[-2], masks.shape[-1]))
        return masks[0, choose_mask(masks[0], expected[0], oval)], matrix


def with_region(probabilities: Probabilities, region: NDArray[np.float32]) -> Probabilities:
    """Return class probabilities (9xhxw) whose face classes sum to `region` (hxw) and keep their shares.

    Where the U-Net sees no part of a face, what SAM calls face is skin; what it does not is background or person, as
    the U-Net says, or person where that says neither.
    """
    dealt = np.array(probabilities, dtype=np.float32)
    face, rest = dealt[2:].sum(axis=0), dealt[:2].sum(axis=0)
    certain = np.float32(1e-3)
    dealt[2] = np.where(face < certain, 1.0, dealt[2])
    dealt[3:] = np.where(face < certain, 0.0, dealt[3:])
    dealt[2:] *= region / np.where(face < certain, np.float32(1), face)
    dealt[0] = np.where(rest < certain, 0.0, dealt[0])
    dealt[1] = np.where(rest < certain, 1.0, dealt[1])
    dealt[:2] *= (1 - region) / np.where(rest < certain, np.float32(1), rest)
    return dealt
