"""Gather what the detector mistakes for faces while it trains, to show it more of that; it labels nothing."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from sfumato.training.scene_layers import NO_BOXES, NO_ROWS, Array, Layer
from sfumato.types import Image

Busy = NDArray[np.bool_]
"""One cell of 8 pixels each: True near a face or a place that does not count."""

CELL = 8
LEAST_SCORE = 0.3


def mark_busy(shape: Sequence[int], boxes: Iterable[Array]) -> Busy:
    """Return the cells of a scene of (h, w) that the boxes, a third wider on each side, touch."""
    busy = np.zeros((shape[0] // CELL, shape[1] // CELL), dtype=np.bool_)
    for box in boxes:
        reach = (box[2:4] - box[:2]) / 3
        x0, y0 = np.maximum((box[:2] - reach) // CELL, 0).astype(int)
        x1, y1 = np.maximum((box[2:4] + reach) // CELL + 1, 0).astype(int)
        busy[y0:y1, x0:x1] = True
    return busy


def find_decoy(image: Image, output: Array, stride: int, busy: Busy) -> Layer | None:
    """Return the part of a scene around the surest face that is none, or None if nothing looks like one.

    Args:
        output: 15xHxW map of one scene, the score as a logit.
        busy: cells that are left out.
    """
    step = stride // CELL
    free = ~busy.reshape(busy.shape[0] // step, step, busy.shape[1] // step, step).any(axis=(1, 3))
    logits = np.where(free, output[0], -np.inf)
    y, x = np.unravel_index(int(logits.argmax()), logits.shape)
    if logits[y, x] < np.log(LEAST_SCORE / (1 - LEAST_SCORE)):
        return None
    half = int(np.clip(0.8 * stride * np.exp(np.clip(output[3:5, y, x].max(), -4, 5)), 12, 80))
    row, column = int(y * stride + stride // 2), int(x * stride + stride // 2)
    part = image[max(row - half, 0) : row + half, max(column - half, 0) : column + half]
    return Layer(part.copy(), None, NO_ROWS, NO_BOXES)
