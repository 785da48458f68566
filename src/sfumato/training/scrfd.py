"""Settle the landmarks of labelled faces with SCRFD, which looks at each face upright; it finds no faces."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfumato.backends import OpenVinoBackend
from sfumato.errors import ModelError
from sfumato.geometry import align
from sfumato.stages.detect import VIEW_SIDE, take_centred, view_affine, work_in
from sfumato.stages.face_rows import Rows, face_to_row, mirror_rows, row_to_face
from sfumato.training.face_labels import LabelledFace
from sfumato.types import Image

STRIDES = (8, 16, 32)
ANCHORS = 2
"""Predictions a cell."""

SEEN = 0.5


class Scrfd:
    """Look at faces with SCRFD (Guo et al., "Sample and Computation Redistribution for Face Detection", 2021).

    Args:
        path: ONNX file with landmarks. It maps "images", Nx3xHxW RGB as (level - 127.5) / 128, to nine outputs: scores
            (N x anchors x 1), boxes (x 4) and points (x 10), each of the strides 8, 16 and 32, two anchors a cell.
    """

    def __init__(self, path: Path) -> None:
        self._backend = OpenVinoBackend(path, exact=True, shape=(2, 3, VIEW_SIDE, VIEW_SIDE))

    def settle_points(self, image: Image, labels: Sequence[LabelledFace]) -> list[LabelledFace]:
        """Return the labels with SCRFD's points, the mean of a plain and a mirrored look; unseen faces keep theirs.

        Raises:
            ModelError: the file is damaged or no SCRFD of this form.
        """
        return [self._settle(image, label) for label in labels]

    def _settle(self, image: Image, label: LabelledFace) -> LabelledFace:
        row = face_to_row(label.face)
        matrix = view_affine(row)
        view = align(image, matrix, VIEW_SIDE)
        pair = np.stack([view, view[:, ::-1]]).transpose(0, 3, 1, 2).astype(np.float32)
        outputs = self._backend.run({"images": (pair - np.float32(127.5)) / np.float32(128)})
        _check_form([output.shape for output in outputs])
        plain, mirrored = (decode_scrfd([output[k] for output in outputs], VIEW_SIDE) for k in (0, 1))
        seen = take_centred(plain), take_centred(mirror_rows(mirrored, VIEW_SIDE))
        settled = row_to_face(work_in(row, matrix, *seen))
        return replace(label, face=replace(settled, score=label.face.score))


def _check_form(shapes: Sequence[tuple[int, ...]]) -> None:
    """Make sure that the outputs are those of SCRFD with landmarks."""
    cells = [ANCHORS * (VIEW_SIDE // stride) ** 2 for stride in STRIDES]
    if list(shapes) != [(2, count, width) for width in (1, 4, 10) for count in cells]:
        raise ModelError(
            "--scrfd names no SCRFD with landmarks and nine outputs; use scrfd_2.5g_kps.onnx or its like"
        )


def decode_scrfd(outputs: Sequence[NDArray[np.float32]], side: int) -> Rows:
    """Return the rows that score at least `SEEN`, in pixels of the square input.

    Box and points are told as distances from the cell's first pixel, in strides.
    """
    parts = []
    for k, stride in enumerate(STRIDES):
        score, box, points = (outputs[k + j * len(STRIDES)] for j in range(3))
        kept = np.nonzero(score[:, 0] >= SEEN)[0]
        y, x = np.divmod(kept // ANCHORS, side // stride)
        corner = np.stack([x, y], axis=1).astype(np.float32) * stride
        reach = box[kept] * stride
        marks = (points[kept].reshape(-1, 5, 2) * stride + corner[:, None]).reshape(-1, 10)
        parts.append(
            np.concatenate([corner - reach[:, :2], corner + reach[:, 2:], marks, score[kept]], axis=1)
        )
    return np.asarray(np.concatenate(parts), dtype=np.float32)
