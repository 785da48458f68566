"""Say what the detector should answer at each cell of a scene, and how wrong an answer is."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sfumato.stages.detect import STRIDES
from sfumato.training.scenes import Scene

Array = NDArray[np.float32]

FULL_RANGE: Mapping[int, tuple[float, float]] = {8: (0.0, 68.0), 16: (48.0, 1e9)}
"""Face sizes in pixels that the map of a stride must find."""

SOFT_RANGE: Mapping[int, tuple[float, float]] = {8: (0.0, 92.0), 16: (34.0, 1e9)}
"""Face sizes that it may find: between the two ranges the cells do not count."""


def encode_scene(scene: Scene, stride: int) -> Array:
    """Return 15 x H x W targets of one map: the state (1 face, 0 ground, -1 not counted), box, points.

    A face owns the cells near the centre of its box; where two faces own a cell, the smaller one has it.
    """
    height, width = (n // stride for n in scene.image.shape[:2])
    target = np.zeros((15, height, width), dtype=np.float32)
    y, x = np.mgrid[:height, :width].astype(np.float32) * stride + (stride - 1) / 2
    for box in scene.ignored:
        target[0][_near(box, x, y, 0.4, stride)] = -1
    order = np.argsort(-(scene.rows[:, 2:4] - scene.rows[:, :2]).prod(axis=1))
    for row in scene.rows[order]:
        size = float(np.sqrt((row[2:4] - row[:2]).prod()))
        if not SOFT_RANGE[stride][0] <= size <= SOFT_RANGE[stride][1]:
            continue
        near = _near(row[:4], x, y, 0.17, stride)
        target[0][near] = 1 if FULL_RANGE[stride][0] <= size <= FULL_RANGE[stride][1] else -1
        target[1:, near] = row[:14, None]
    return target


def _near(box: Array, x: Array, y: Array, reach: float, stride: int) -> NDArray[np.bool_]:
    """Return the cells within `reach` of the box side, and at least 0.6 strides, around the box centre."""
    centre, side = (box[:2] + box[2:4]) / 2, box[2:4] - box[:2]
    radius = np.maximum(reach * side, 0.6 * stride)
    return np.asarray((np.abs(x - centre[0]) <= radius[0]) & (np.abs(y - centre[1]) <= radius[1]))


def decode_maps(output: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Return boxes (N x 4 x H x W) and points (N x 10 x H x W) in pixels from a network's map."""
    height, width = output.shape[2:]
    middle = (stride - 1) / 2
    x = torch.arange(width, dtype=torch.float32)[None, None, None, :] * stride + middle
    y = torch.arange(height, dtype=torch.float32)[None, None, :, None] * stride + middle
    grid = torch.cat([x.expand(1, 1, height, width), y.expand(1, 1, height, width)], dim=1)
    centre = output[:, 1:3] * stride + grid
    half = output[:, 3:5].clamp(-4, 5).exp() * (stride / 2)
    points = output[:, 5:] * stride + grid.repeat(1, 5, 1, 1)
    return torch.cat([centre - half, centre + half], dim=1), points


def detector_losses(outputs: tuple[Tensor, Tensor], targets: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """Return the losses of score, box and points, each per face cell of the batch."""
    parts = [
        _map_losses(output.float(), target, stride)
        for output, target, stride in zip(outputs, targets, STRIDES, strict=True)
    ]
    count = torch.stack([part["count"] for part in parts]).sum().clamp(min=1)
    names = ("score", "box", "points")
    return {name: torch.stack([part[name] for part in parts]).sum() / count for name in names}


def _map_losses(output: Tensor, target: Tensor, stride: int) -> dict[str, Tensor]:
    boxes, points = decode_maps(output, stride)
    face = target[:, 0] == 1
    box, truth = boxes.movedim(1, -1)[face], target[:, 1:5].movedim(1, -1)[face]
    overlap, generalized = box_overlaps(box, truth)
    quality = torch.zeros_like(target[:, 0])
    quality[face] = overlap.detach().clamp(0, 1)
    size = (truth[:, 2:] - truth[:, :2]).prod(dim=1).clamp(min=1).sqrt()[:, None]
    error = (points.movedim(1, -1)[face] - target[:, 5:].movedim(1, -1)[face]) / size
    counted = target[:, 0] >= 0
    return {
        "score": quality_focal_loss(output[:, 0][counted], quality[counted]),
        "box": (1 - generalized).sum(),
        "points": functional.smooth_l1_loss(error, torch.zeros_like(error), beta=0.02, reduction="sum") / 10,
        "count": face.sum(),
    }


def quality_focal_loss(logits: Tensor, quality: Tensor) -> Tensor:
    """Return the quality focal loss, summed (Li et al., "Generalized Focal Loss", 2020, equation 4)."""
    distance = (quality - logits.sigmoid()).abs().square()
    return (distance * functional.binary_cross_entropy_with_logits(logits, quality, reduction="none")).sum()


def box_overlaps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return intersection over union and its generalized form (Rezatofighi et al., 2019) of paired boxes."""
    common = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(dim=1)
    union = (a[:, 2:] - a[:, :2]).prod(dim=1) + (b[:, 2:] - b[:, :2]).prod(dim=1) - common
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(dim=1)
    overlap = common / union.clamp(min=1e-6)
    return overlap, overlap - (hull - union) / hull.clamp(min=1e-6)
