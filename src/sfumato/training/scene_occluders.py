"""Draw things that cover a part of a face: glasses, brims, hands, blobs; it never covers all of it."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.types import Image

Row = NDArray[np.float32]
Colour = tuple[float, float, float]


def occlude_face(image: Image, row: Row, rng: np.random.Generator) -> Image:
    """Return a copy with one random thing over the face of `row` (box, five points, score)."""
    draw = _KINDS[int(rng.integers(len(_KINDS)))]
    top = image.copy()
    draw(top, row[:4], row[4:14].reshape(5, 2), rng)
    size = float(np.sqrt((row[2] - row[0]) * (row[3] - row[1])))
    alpha = (np.abs(top.astype(np.int16) - image).max(axis=2) > 0).astype(np.float32)
    alpha = cv2.GaussianBlur(alpha, (0, 0), max(0.4, size * 0.012))[:, :, None]
    mixed = image + (top.astype(np.float32) - image) * alpha
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def _dark(rng: np.random.Generator) -> Colour:
    return tuple(float(v) for v in rng.uniform(0, 70, 3))  # type: ignore[return-value]  # three by construction


def _skin(rng: np.random.Generator) -> Colour:
    light = rng.uniform(0.25, 1)
    return 235 * light, float(rng.uniform(165, 195)) * light, float(rng.uniform(125, 165)) * light


def _any(rng: np.random.Generator) -> Colour:
    return tuple(float(v) for v in rng.uniform(0, 255, 3))  # type: ignore[return-value]  # three by construction


def _whole(point: Row) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _glasses(image: Image, box: Row, points: Row, rng: np.random.Generator) -> None:
    """Draw two dark lenses and their bridge."""
    eyes = float(np.linalg.norm(points[1] - points[0]))
    width = max(eyes, 0.3 * float(box[2] - box[0]))
    angle = float(np.degrees(np.arctan2(*(points[1] - points[0])[::-1])))
    colour = _dark(rng)
    for eye in points[:2]:
        axes = (max(1, int(width * rng.uniform(0.36, 0.48))), max(1, int(width * rng.uniform(0.26, 0.4))))
        cv2.ellipse(image, _whole(eye), axes, angle, 0, 360, colour, -1, cv2.LINE_AA)
    cv2.line(image, _whole(points[0]), _whole(points[1]), colour, max(1, int(width * 0.08)), cv2.LINE_AA)


def _brim(image: Image, _box: Row, points: Row, rng: np.random.Generator) -> None:
    """Draw a band over the forehead and all above it."""
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    up = eyes - mouth
    across = np.array([-up[1], up[0]]) * rng.uniform(0.9, 1.5)
    edge = eyes + up * rng.uniform(0.2, 0.5)
    top = edge + up * rng.uniform(0.8, 1.6)
    corners = np.stack([edge - across, edge + across, top + across * 0.8, top - across * 0.8])
    cv2.fillConvexPoly(image, np.round(corners).astype(np.int32), _any(rng), cv2.LINE_AA)


def _hand(image: Image, box: Row, _points: Row, rng: np.random.Generator) -> None:
    """Draw three or four fingers that reach in from one side."""
    size = box[2:] - box[:2]
    angle = rng.uniform(0, 2 * np.pi)
    towards = np.array([np.cos(angle), np.sin(angle)])
    aside = np.array([-towards[1], towards[0]])
    middle = (box[:2] + box[2:]) / 2
    colour, thick = _skin(rng), max(1, int(size.min() * rng.uniform(0.09, 0.14)))
    for k in range(int(rng.integers(3, 5))):
        start = middle + towards * size * rng.uniform(0.12, 0.3) + aside * thick * (k - 1.5) * 1.1
        end = middle + towards * size * 0.9 + aside * thick * (k - 1.5)
        shade = rng.uniform(0.85, 1)
        cv2.line(image, _whole(start), _whole(end), tuple(c * shade for c in colour), thick, cv2.LINE_AA)


def _blob(image: Image, box: Row, _points: Row, rng: np.random.Generator) -> None:
    """Draw an ellipse of any colour over a part of the box."""
    size = box[2:] - box[:2]
    centre = (box[:2] + size * rng.uniform(0, 1, 2)).astype(np.float32)
    axes = tuple(max(1, int(v)) for v in size * rng.uniform(0.1, 0.3, 2))
    cv2.ellipse(image, _whole(centre), axes, rng.uniform(0, 180), 0, 360, _any(rng), -1, cv2.LINE_AA)


_KINDS: tuple[Callable[[Image, Row, Row, np.random.Generator], None], ...] = (_glasses, _brim, _hand, _blob)
