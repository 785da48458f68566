"""Label the faces of training pictures with YuNet at several scales; it trains nothing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.backends import Backend
from sfumato.stages.face_rows import (
    SAME_FACE,
    face_to_row,
    group_rows,
    mean_row,
    mirror_rows,
    row_to_face,
)
from sfumato.stages.yunet import decode_yunet
from sfumato.types import Face, Image

Array = NDArray[np.float32]

LONG_SIDES = (160, 320, 640)
"""Long sides in pixels at which a picture is searched; YuNet is surest about faces of 20 to 150 pixels."""


@dataclass(frozen=True, slots=True)
class LabelledFace:
    """A face and how many of the searches found it (each scale is searched plain and mirrored)."""

    face: Face
    votes: int


def label_picture(image: Image, yunet: Backend, long_sides: Sequence[int] = LONG_SIDES) -> list[LabelledFace]:
    """Return the faces of a picture, each the average of all searches that found it, best score first."""
    rows = [search(image, yunet, long_side, mirror) for long_side in long_sides for mirror in (False, True)]
    return [_average(group) for group in group_rows(np.concatenate(rows), SAME_FACE)]


def search(image: Image, yunet: Backend, long_side: int, mirror: bool) -> Array:
    """Return Nx15 rows (box, landmarks, score) in pixels of `image`, found in a copy of `long_side`."""
    height, width = image.shape[:2]
    scale = long_side / max(height, width)
    size = (max(32, round(width * scale)), max(32, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    rows = decode_yunet(yunet, np.asarray(small[:, ::-1] if mirror else small, dtype=np.uint8))
    rows = mirror_rows(rows, size[0]) if mirror else rows
    factor = np.array([width / size[0], height / size[1]], dtype=np.float32)
    points = (rows[:, :14].reshape(-1, 7, 2) + 0.5) * factor - 0.5
    return np.concatenate([points.reshape(-1, 14), rows[:, 14:]], axis=1)


def _average(group: Array) -> LabelledFace:
    return LabelledFace(row_to_face(mean_row(group)), len(group))


def write_labels(labels: Mapping[str, Sequence[LabelledFace]], path: Path) -> None:
    """Store the labels of pictures, by name, as JSON."""
    plain = {
        name: [[*map(float, face_to_row(label.face)), label.votes] for label in found]
        for name, found in labels.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain), encoding="utf-8")


def read_labels(path: Path) -> dict[str, list[LabelledFace]]:
    """Return what `write_labels` stored."""
    plain = json.loads(path.read_text(encoding="utf-8"))
    return {name: [_parse_label(row) for row in rows] for name, rows in plain.items()}


def _parse_label(values: Sequence[float]) -> LabelledFace:
    return LabelledFace(row_to_face(np.asarray(values[:15], dtype=np.float32)), int(values[15]))
