"""Carry the mask of what is kept along, with each face as a whole and elsewhere with the motion; pure."""

from collections.abc import Sequence

import cv2
import numpy as np

from sfumato.geometry import clip_box, compose, crop_bounds, face_affine, invert_affine, unalign
from sfumato.stages.restore import fade_window
from sfumato.types import Face, Mask
from sfumato.video.flow import Motion, grow_flow, grow_mask, warp
from sfumato.video.steadying import Steadiness, trust

WINDOW = 64
"""Side in pixels of the window by which a face's own motion gives way to that of the pixels."""


def steady_mask(
    fresh: Mask, former: Mask, motion: Motion, faces: Sequence[tuple[Face, Face]], steadiness: Steadiness
) -> Mask:
    """Return the fresh mask, mixed with the former one moved to it where that may be believed.

    Args:
        faces: where each face was and where it is.
    """
    if not steadiness.mask:
        return fresh
    moved = carry_mask(former, motion, faces)
    share = steadiness.mask * grow_mask(trust(motion, steadiness), fresh.shape)
    return np.clip(fresh + share * (moved - fresh), 0, 1).astype(np.float32)


def carry_mask(former: Mask, motion: Motion, faces: Sequence[tuple[Face, Face]]) -> Mask:
    """Return the mask of the former frame as it lies in the new one.

    Its soft border lies on what is behind the face, and would stay there if each pixel moved for itself.
    """
    moved = warp(former, grow_flow(motion.back, former.shape))
    for before, now in faces:
        matrix = face_affine(now.points, WINDOW)
        bounds = clip_box(crop_bounds(matrix, WINDOW), former.shape)
        window = np.clip(unalign(fade_window(WINDOW), matrix, bounds), 0, 1)
        x0, y0, x1, y1 = bounds
        there = compose(invert_affine(face_affine(before.points, WINDOW)), matrix)
        local = compose(there, np.array([[1.0, 0.0, x0], [0.0, 1.0, y0]]))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        carried = cv2.warpAffine(
            former, local, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        moved[y0:y1, x0:x1] += window * (carried - moved[y0:y1, x0:x1])
    return moved
