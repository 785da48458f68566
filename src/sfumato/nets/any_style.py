"""Define the two networks that paint in the manner of any one picture; they are trained elsewhere."""

import torch
from torch import nn
from torch.nn import functional

from sfumato.nets.generator import EnlargingConvolution, Padding, reach

CODE = 64
"""Numbers that describe a manner."""


class StyleEncoder(nn.Module):
    """Describe the manner of a picture by what its textures measure, wherever they are.

    Each of four strided convolutions gives the mean and deviation of its channels over the picture, the statistics
    that carry the style in Huang and Belongie, "Arbitrary style transfer in real-time with adaptive instance
    normalization", 2017, section 5; a linear layer turns them into a code. It is trained together with the painter, as
    in Ghiasi et al., "Exploring the structure of a real-time, arbitrary neural artistic stylization network", 2017.
    """

    def __init__(self, widths: tuple[int, ...] = (24, 48, 72, 96)) -> None:
        super().__init__()
        inputs = (3, *widths[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in zip(inputs, widths, strict=True)
        )
        measures = 2 * sum(widths)
        self.code = nn.Sequential(nn.LayerNorm(measures), nn.Linear(measures, CODE))

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Map an RGB batch in 0..1, sides multiples of 16, to NxCODEx1x1."""
        measured = []
        x = rgb
        for stage in self.stages:
            x = stage(x)
            mean = x.mean((2, 3))
            variance = (x - mean[:, :, None, None]).square().mean((2, 3))
            measured += [mean, (variance + 1e-5).sqrt()]
        code: torch.Tensor = self.code(torch.cat(measured, dim=1))
        return code[:, :, None, None]


class AnyStyleGenerator(nn.Module):
    """Paint a photo in the manner that a code describes.

    The light generator (see `GeneratorLight`), whose layers are each scaled and shifted, channel by channel, as the
    code says (Ghiasi et al., 2017). They are normalised by fixed statistics and not by the picture's own, so that tiles
    equal the whole.
    """

    def __init__(self, *, width: int = 24, blocks: int = 5, padding: Padding = "reflect") -> None:
        super().__init__()
        self.width, self.blocks = width, blocks
        self.cells = nn.PixelUnshuffle(2)
        inner = [(2 * width, 2 * width, 1)] * (2 * blocks)
        plan = [(12, width, 1), (width, 2 * width, 2), *inner, (2 * width, width, 1)]
        self.layers = nn.ModuleList(Modulated(a, b, stride=s, padding=padding) for a, b, s in plan)
        self.paint = EnlargingConvolution(width, 3, padding)
        self.outputs = [b for _, b, _ in plan]
        self.modulation = nn.Linear(CODE, 2 * sum(self.outputs))
        nn.init.normal_(self.modulation.weight, 0.0, 0.02)
        nn.init.zeros_(self.modulation.bias)

    @property
    def radius(self) -> int:
        """Return how far away an input pixel can act on an output pixel, as `GeneratorLight.radius` derives it."""
        return reach(self.blocks)

    def forward(self, rgb: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        """Map an RGB batch in 0..1, sides multiples of 4, and NxCODEx1x1 to a painted batch of its size in 0..1."""
        changes = self.modulation(code.flatten(1))[:, :, None, None].split(
            [2 * outputs for outputs in self.outputs], dim=1
        )
        first, second, *body, last = zip(self.layers, changes, strict=True)
        x = self.cells(rgb)
        for layer, change in (first, second):
            x = functional.relu(layer(x, change))
        for (inner, inner_change), (outer, outer_change) in zip(body[::2], body[1::2], strict=True):
            x = x + outer(functional.relu(inner(x, inner_change)), outer_change)
        layer, change = last
        x = functional.relu(layer(functional.interpolate(x, scale_factor=2.0), change))
        return torch.sigmoid(self.paint(x))


class Modulated(nn.Module):
    """Convolve by 3x3, normalise by fixed statistics, then scale and shift each channel as told."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, padding: Padding) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(
            inputs, outputs, 3, stride=stride, padding=1, padding_mode=padding, bias=False
        )
        self.norm = nn.BatchNorm2d(outputs, momentum=0.03)

    def forward(self, x: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
        """Map NxCxhxw; `change` is Nx2Cx1x1: what the scale has above one, then the shift."""
        scale, shift = change.chunk(2, dim=1)
        normalised: torch.Tensor = self.norm(self.convolution(x))
        return normalised * (1 + scale) + shift


def export_copy(net: AnyStyleGenerator) -> AnyStyleGenerator:
    """Return the same network with zero padding, in evaluation mode, ready to be exported."""
    copy = AnyStyleGenerator(width=net.width, blocks=net.blocks, padding="zeros")
    copy.load_state_dict(net.state_dict())
    return copy.eval()
