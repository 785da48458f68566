"""Describe the manner of a picture by the numbers that a painter of any manner takes; it paints nothing."""

import cv2
import numpy as np

from sfumato.backends import Backend, Tensor
from sfumato.stages.planes import to_batch
from sfumato.types import Image

STYLE_SIDE = 256
"""Side in pixels at which a picture's manner is looked at."""


def describe_manner(encoder: Backend, image: Image) -> Tensor:
    """Return the code of the picture's middle square.

    Args:
        encoder: maps "input", 1x3x256x256 in 0..1, to 1xCx1x1.
    """
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    square = np.ascontiguousarray(image[top : top + side, left : left + side])
    method = cv2.INTER_AREA if side > STYLE_SIDE else cv2.INTER_CUBIC
    seen = np.asarray(cv2.resize(square, (STYLE_SIDE, STYLE_SIDE), interpolation=method), dtype=np.uint8)
    (code,) = encoder.run({"input": to_batch([seen])})
    return code
