"""Measure how much of a painting knows where the network's cells begin; it knows no network."""

from collections.abc import Callable

import torch

CELL = 4
"""Side of the light generators' cells in pixels."""

RIM = 4 * CELL
"""What is not compared of a window: there its padding shows most."""


def grid_loss(
    paint: Callable[[torch.Tensor], torch.Tensor], over: torch.Tensor, painted: torch.Tensor, step: int
) -> torch.Tensor:
    """Return the squared distance of two paintings of the same place that lie differently on the grid of cells.

    What knows where the cells begin is a checkerboard, dots along a hard edge, or noise that takes the place of brush
    strokes. A loss that looks for dots in one painting misses most of it, as detail may repeat every four pixels by
    chance; equivariance does not (Zhang, "Making convolutional networks shift-invariant again", 2019, equation 3).

    Args:
        paint: the network.
        over: NCHW, what was painted over; two thirds of each side are painted once more.
        painted: Nx3xHxW, how it was painted, in 0..1.
        step: the second painting is moved by 1 to 3 pixels each way, in turn.
    """
    offsets = (1 + step % 3, 1 + step // 3 % 3)
    height, width = (CELL * max(2 * side // (3 * CELL), 1) for side in over.shape[2:])
    top, left = (
        (side - part) // (2 * CELL) * CELL + offset
        for side, part, offset in zip(over.shape[2:], (height, width), offsets, strict=True)
    )
    rows, columns = slice(top, top + height), slice(left, left + width)
    again = paint(over[:, :, rows, columns].contiguous(memory_format=torch.channels_last))
    inner = tuple(slice(RIM, side - RIM) if side > 3 * RIM else slice(None) for side in (height, width))
    apart = again.float() - painted[:, :, rows, columns].float()
    return apart[:, :, inner[0], inner[1]].square().mean()
