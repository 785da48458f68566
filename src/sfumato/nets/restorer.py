"""The light face restorer: a small residual U-shape that works at a quarter of the crop's size; it trains nothing."""

import torch
from torch import nn
from torch.nn import functional

FACTOR = 16
"""Sides of the input must be multiples of this: pixels are folded by 4 and halved twice."""


class LightRestorer(nn.Module):
    """Sharpen and clean a face crop by adding a learned correction to it.

    Pixels are folded by 4 into channels (Shi et al., "Real-time single image and video super-resolution", 2016),
    so the network computes at 128x128 for a crop of 512x512. Folded pixels are nearly equal to each other, and what
    tells them apart is faint; so they enter as frequencies of about equal strength (`frequencies`), and the
    correction leaves as frequencies. There is no normalisation, hence no statistics that could differ between
    training crops and whole crops. The deepest level sees the mean of its own features, which tells it how blurred
    and noisy the whole crop is. An untrained network returns its input.

    Args:
        widths: channels at 1/4, 1/8 and 1/16 of the crop.
        blocks: residual blocks at 1/4, 1/8 (each on the way down and again up) and 1/16.
    """

    analysis: torch.Tensor
    synthesis: torch.Tensor

    def __init__(
        self, widths: tuple[int, int, int] = (64, 96, 128), blocks: tuple[int, int, int] = (2, 2, 4)
    ) -> None:
        super().__init__()
        top, middle, deep = widths
        basis = frequencies()
        typical = frequency_strength(mean=1.7, first=0.09, decay=1.7, colour=(0.25, 0.1))
        change = frequency_strength(mean=0.15, first=0.08, decay=1.4, colour=(0.2, 0.15))
        self.register_buffer("analysis", (basis / typical[:, None])[..., None, None], persistent=False)
        self.register_buffer("synthesis", (basis.T * change)[..., None, None].contiguous(), persistent=False)
        self.enter = nn.Conv2d(48, top, 3, padding=1)
        self.top_down = _blocks(top, blocks[0])
        self.to_middle = nn.Conv2d(top, middle, 2, stride=2)
        self.middle_down = _blocks(middle, blocks[1])
        self.to_deep = nn.Conv2d(middle, deep, 2, stride=2)
        self.gauge = DamageGauge((top, middle, deep, middle, top))
        self.deep = _blocks(deep, blocks[2])
        self.from_deep = nn.Conv2d(deep, middle, 1)
        self.middle_up = _blocks(middle, blocks[1])
        self.from_middle = nn.Conv2d(middle, top, 1)
        self.top_up = _blocks(top, blocks[0])
        self.leave = nn.Conv2d(top, 48, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]  # a convolution with a bias has one

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Return the restored NCHW RGB batch in about 0..1 (not clipped); sides are multiples of `FACTOR`."""
        bands = functional.conv2d(functional.pixel_unshuffle(rgb - 0.5, 4), self.analysis)
        gauge = self.gauge(bands)
        top = self.top_down(_modulate(self.enter(bands), gauge[0]))
        middle = self.middle_down(_modulate(self.to_middle(top), gauge[1]))
        deep = self.deep(_modulate(self.to_deep(middle), gauge[2]))
        middle = self.middle_up(_modulate(middle + _double(self.from_deep(deep)), gauge[3]))
        top = self.top_up(_modulate(top + _double(self.from_middle(middle)), gauge[4]))
        change = functional.conv2d(self.leave(top), self.synthesis)
        restored: torch.Tensor = rgb + functional.pixel_shuffle(change, 4)
        return restored


def frequencies() -> torch.Tensor:
    """Return the orthonormal 48x48 matrix from folded RGB pixels to the Walsh functions of 4x4 blocks.

    Rows: 16 frequencies (by row and column, each in the order of its sign changes) of light, red-blue and
    green-magenta. Columns: the channels of `pixel_unshuffle(rgb, 4)`. All weights of a row are equal but for sign
    and whole factors, so that even bfloat16 leaves no trace of an even colour in the other rows.
    """
    walsh = torch.tensor([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, -1, 1], [1, -1, 1, -1]]) / 2.0
    colour = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
    return torch.kron(colour / colour.norm(dim=1, keepdim=True), torch.kron(walsh, walsh))


def frequency_strength(
    *, mean: float, first: float, decay: float, colour: tuple[float, float]
) -> torch.Tensor:
    """Return the standard deviation to expect in each of the 48 rows of `frequencies`.

    Pictures follow a power law: `mean` at frequency 0, else `first` / radius^`decay`; `colour` scales the two
    differences of colour. The values that the network uses were fitted to damaged faces and to what they lack.
    """
    steps = torch.arange(4, dtype=torch.float32)
    radius = (steps[:, None] ** 2 + steps[None] ** 2).sqrt().flatten()
    light = torch.where(radius > 0, first / radius.clamp_min(1) ** decay, mean)
    return torch.cat([light, light * colour[0], light * colour[1]])


class DamageGauge(nn.Module):
    """Read from the energy of each frequency how blurred and noisy a crop is, and tell every level of the network.

    The answer is a scale and a shift for each channel: Perez et al., "FiLM: visual reasoning with a general
    conditioning layer", 2018, equation 2.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.widths = widths
        self.read = nn.Sequential(nn.Conv2d(48, 96, 1), nn.ReLU(), nn.Conv2d(96, 96, 1), nn.ReLU())
        self.tell = nn.Conv2d(96, 2 * sum(widths), 1)

    def forward(self, bands: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return for each level Nx2Cx1x1: scales about 0, then shifts."""
        energy = bands.square().mean((2, 3), keepdim=True)
        told = self.tell(self.read(torch.log(energy + 1e-3)))
        return tuple(told.split([2 * width for width in self.widths], dim=1))


class ResidualBlock(nn.Module):
    """Add two convolutions to the features; the last starts small, so that a deep stack trains without norms."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        with torch.no_grad():
            self.second.weight.mul_(0.2)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features of the same shape."""
        inner = functional.leaky_relu(self.first(features), 0.1)
        result: torch.Tensor = features + self.second(inner)
        return result


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*[ResidualBlock(width) for _ in range(count)])


def _double(features: torch.Tensor) -> torch.Tensor:
    """Repeat each value 2x2; the 3x3 convolutions that follow smooth it, so no checkerboard arises."""
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")


def _modulate(features: torch.Tensor, gauge: torch.Tensor) -> torch.Tensor:
    scale, shift = gauge.chunk(2, dim=1)
    return features * (1 + scale) + shift
