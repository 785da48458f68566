"""Follow pixels from one frame to the next by optical flow, and say where it may be believed; pure."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.fields import crop_rows, shrink
from sfumato.types import Image, Mask, Points

FLOW_SIDE = 512
"""Longer side in pixels at which flow is computed."""

SMOOTH = 2.0
"""Deviation in pixels of the reduced frame by which the border of what is believed is softened."""

Field = NDArray[np.float32]
"""HxWx2 or HxWx3 of floats."""


@dataclass(frozen=True, slots=True)
class Motion:
    """How two frames relate, at a reduced size of hxw.

    Attributes:
        back: hxwx2, the shift (x, y) from each pixel of the new frame to where it was in the former one.
        ahead: the same from the former frame to the new one.
        sure: hxw, 1 where both agree and the pixel was in the picture.
        residual: hxw, mean difference of the levels of the new frame from the former one moved to it.
    """

    back: Field
    ahead: Field
    sure: Mask
    residual: Mask

    @property
    def share(self) -> float:
        """Return which part of the frame was followed."""
        return float(self.sure.mean())


def reduce_frame(image: Image) -> Image:
    """Return the frame at the size at which flow is computed."""
    return np.rint(shrink(image, min(1.0, FLOW_SIDE / max(image.shape[:2])))).astype(np.uint8)


def find_motion(former: Image, new: Image) -> Motion:
    """Return how a reduced frame follows from the former one, both HxWx3.

    Dense inverse search (Kroeger et al., "Fast optical flow using dense inverse search", 2016), in both directions.
    """
    greys = [np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8) for image in (former, new)]
    back, ahead = _flow(greys[1], greys[0]), _flow(greys[0], greys[1])
    moved = warp(former, back)
    residual = np.abs(new.astype(np.float32) - moved).mean(axis=2, dtype=np.float32)
    return Motion(back, ahead, consistent(back, ahead), residual)


def consistent(back: Field, ahead: Field) -> Mask:
    """Return 1 where the way back is the way ahead reversed, and 0 where something was hidden or came in.

    Sundaram, Brox and Keutzer, "Dense point trajectories by GPU-accelerated large displacement optical flow", 2010,
    equation 5: the two may differ by a half pixel and a hundredth of their squares.
    """
    there = warp(ahead, back)
    apart = ((back + there) ** 2).sum(axis=2)
    allowed = 0.01 * ((back**2).sum(axis=2) + (there**2).sum(axis=2)) + 0.5
    height, width = apart.shape
    x, y = _places(back)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return np.asarray((apart <= allowed) & inside, dtype=np.float32)


def warp(image: Image | Field | Mask, back: Field, method: int = cv2.INTER_LINEAR) -> Field:
    """Return the former frame, or a field of it, as the new one shows it."""
    x, y = _places(back)
    moved = cv2.remap(image.astype(np.float32, copy=False), x, y, method, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.float32)


def grow_flow(flow: Field, shape: tuple[int, ...]) -> Field:
    """Return the flow of reduced frames for frames of (h, w)."""
    if flow.shape[:2] == shape[:2]:
        return flow
    whole = (slice(0, shape[0]), slice(0, shape[1]))
    grown = crop_rows(flow, whole, shape)
    scale = np.array([shape[1] / flow.shape[1], shape[0] / flow.shape[0]], np.float32)
    return np.asarray(grown * scale, dtype=np.float32)


def grow_mask(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """Return a reduced mask for frames of (h, w)."""
    if mask.shape == shape[:2]:
        return mask
    return crop_rows(mask, (slice(0, shape[0]), slice(0, shape[1])), shape)


def carry_points(
    points: Points, motion: Motion, shape: tuple[int, ...]
) -> tuple[Points, NDArray[np.float32]]:
    """Return where points of the former frame of (h, w) are in the new one, and how sure that is, 0..1."""
    height, width = motion.sure.shape
    scale = np.array([width / shape[1], height / shape[0]], np.float32)
    small = (points.astype(np.float32) + 0.5) * scale - 0.5
    shift = _sample(motion.ahead, small)
    sure = _sample(motion.sure, small + shift)
    return (points + shift / scale).astype(np.float32), sure


def _sample(field: Field | Mask, points: Points) -> NDArray[np.float32]:
    """Return the values of a field at points; outside it is 0."""
    x, y = (np.ascontiguousarray(points[:, k : k + 1], dtype=np.float32) for k in (0, 1))
    values = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(values, dtype=np.float32)[:, 0]


def _flow(start: NDArray[np.uint8], end: NDArray[np.uint8]) -> Field:
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    finder.setFinestScale(0 if max(start.shape) <= 256 else 1)
    return np.asarray(finder.calc(start, end, None), dtype=np.float32)  # type: ignore[call-overload]  # None is a flow to be made


def _places(flow: Field) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    height, width = flow.shape[:2]
    x = np.arange(width, dtype=np.float32)[None, :] + flow[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + flow[..., 1]
    return x, y
