"""Find faces by YuNet, of OpenCV's model zoo; it loads no file."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from sfumato.backends import Backend
from sfumato.stages.face_rows import SAME_FACE, Rows, group_rows, mean_row, rescale_rows, row_to_face
from sfumato.types import Face, Image

LEAST_SCORE = 0.6
"""Score from which what YuNet sees counts as a face."""


@dataclass(frozen=True, slots=True)
class YuNetDetector:
    """Find faces by YuNet (Wu et al., "YuNet: a tiny millisecond-level face detector", 2023).

    Attributes:
        backend: maps "input", 1x3xHxW BGR in 0..255, to class, objectness, box and points at strides of 8, 16 and 32.
        side: of the square that a file of one size takes; None takes any multiples of 32.
        longest: longest side in pixels that is looked at, where any is taken.
    """

    backend: Backend
    side: int | None
    longest: int = 1280

    def __call__(self, image: Image) -> tuple[Face, ...]:
        """Return the faces of a picture, best score first."""
        height, width = image.shape[:2]
        scale = (self.side or min(self.longest, max(height, width))) / max(height, width)
        h, w = (max(1, round(scale * side)) for side in (height, width))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        shown = np.asarray(cv2.resize(image, (w, h), interpolation=method), dtype=np.uint8)
        if self.side:
            square = np.zeros((self.side, self.side, 3), np.uint8)
            square[:h, :w] = shown
            shown = square
        rows = decode_yunet(self.backend, shown)
        rows = rescale_rows(rows[rows[:, 14] >= LEAST_SCORE], (h, w), (height, width))
        return tuple(row_to_face(row) for row in rows[np.argsort(-rows[:, 14], kind="stable")])


def decode_yunet(yunet: Backend, image: Image) -> Rows:
    """Return Nx15 rows of everything above a score of 0.3, thinned by group.

    Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023: score = sqrt(class * objectness).
    """
    height, width = image.shape[:2]
    padded = np.zeros((-(-height // 32) * 32, -(-width // 32) * 32, 3), dtype=np.float32)
    padded[:height, :width] = image[:, :, ::-1]
    outputs = yunet.run({"input": np.ascontiguousarray(padded.transpose(2, 0, 1)[None])})
    rows = [_decode_stride(outputs[k::3], stride, padded.shape[1]) for k, stride in enumerate((8, 16, 32))]
    means = [mean_row(group) for group in group_rows(np.concatenate(rows), SAME_FACE)]
    return np.array(means, dtype=np.float32).reshape(-1, 15)


def _decode_stride(outputs: Sequence[Rows], stride: int, width: int) -> Rows:
    """Return the rows of one stride from its class, objectness, box and point outputs."""
    cls, obj, box, points = (output[0] for output in outputs)
    score = np.sqrt(np.clip(cls, 0, 1) * np.clip(obj, 0, 1))[:, 0]
    kept = score > 0.3
    rows, columns = np.divmod(np.arange(len(score)), width // stride)
    cell = np.stack([columns, rows], axis=1)[kept]
    centre = (cell + box[kept, :2]) * stride
    half = np.exp(box[kept, 2:]) * stride / 2
    marks = ((points[kept].reshape(-1, 5, 2) + cell[:, None]) * stride).reshape(-1, 10)
    parts = [centre - half, centre + half, marks, score[kept, None]]
    return np.asarray(np.concatenate(parts, axis=1), dtype=np.float32)
