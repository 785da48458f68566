"""How much of a painting knows where the network's cells begin."""

import pytest

pytest.importorskip("torch")
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from sfumato.training.grid import CELL, grid_loss

SIDES = st.integers(2, 48).map(lambda cells: CELL * cells)


@given(height=SIDES, width=SIDES, step=st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_what_does_not_know_the_grid_costs_nothing(height: int, width: int, step: int) -> None:
    """So a piece of any picture must be compared with what was painted at the same place."""
    over = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(step))
    assert float(grid_loss(torch.sigmoid, over, torch.sigmoid(over), step)) == 0


@pytest.mark.parametrize("period", [2, 4])
def test_dots_on_the_grid_cost_what_they_measure(period: int) -> None:
    """They are compared with themselves moved, on average over the nine moves."""
    over = torch.full((1, 3, 192, 192), 0.5)

    def dotted(x: Tensor) -> Tensor:
        out = x.clone()
        out[..., ::period, ::period] += 0.2
        return out

    losses = [float(grid_loss(dotted, over, dotted(over), step)) for step in range(9)]
    moved = sum(period == 4 or (1 + k % 3) % 2 + (1 + k // 3) % 2 > 0 for k in range(9))
    assert sum(losses) == pytest.approx(moved * 2 * 0.2**2 / period**2, rel=1e-3)


def test_dots_along_one_edge_cost_more_than_the_edge() -> None:
    """In the mean over a picture the dots beside dark collars were lost."""
    over = torch.full((1, 3, 160, 160), 0.1)
    over[..., 70:] = 0.9

    def paint(x: Tensor) -> Tensor:
        edge = functional.avg_pool2d(x, 3, stride=1, padding=1) - x
        out = x.clone()
        out[..., ::CELL, :] += edge[..., ::CELL, :]
        return out

    assert float(grid_loss(paint, over, paint(over), 0)) > 1e-4


def test_the_loss_is_where_the_picture_is() -> None:
    over = torch.rand(1, 3, 32, 32, device="meta")
    assert grid_loss(torch.sigmoid, over, over, 0).device.type == "meta"


def test_its_gradient_reaches_the_network() -> None:
    torch.manual_seed(0)
    net = torch.nn.Conv2d(3, 3, 3, padding=1)
    strided = torch.nn.Sequential(torch.nn.AvgPool2d(4), net, torch.nn.Upsample(scale_factor=4))
    over = torch.rand(1, 3, 128, 128)
    grid_loss(strided, over, strided(over), 1).backward()  # type: ignore[no-untyped-call]  # untyped in PyTorch
    assert net.weight.grad is not None
    assert float(net.weight.grad.abs().max()) > 0
