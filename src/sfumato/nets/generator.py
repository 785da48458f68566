"""Generators that paint a photo; they hold no loss and no picture size."""

from typing import Literal

import torch
from torch import nn
from torch.nn import functional

Padding = Literal["zeros", "reflect"]


class GeneratorLight(nn.Module):
    """Paint with a known reach and without statistics of the picture, so that tiles equal the whole.

    Half-size cells of 2x2 pixels, a strided convolution, residual blocks at a quarter of the size, and back by
    nearest enlargement and convolution, which leaves no checkerboard (Odena et al., "Deconvolution and checkerboard
    artifacts", 2016). The output is painted directly: no skip carries fine detail of the photo past the paint.
    BatchNorm becomes part of its convolution at export.

    Args:
        width: channels at half the size; a quarter of the size has twice as many.
        blocks: residual blocks; each widens the receptive radius by 8 pixels.
        padding: "reflect" to train on crops, "zeros" to export: both agree further than `radius` from the
            border, and zeros are faster. The weights are the same.
    """

    def __init__(self, *, width: int = 24, blocks: int = 5, padding: Padding = "reflect") -> None:
        super().__init__()
        self.width, self.blocks = width, blocks
        self.down = nn.Sequential(
            nn.PixelUnshuffle(2),
            _layer(12, width, 3, padding=padding),
            _layer(width, 2 * width, 3, padding=padding, stride=2),
        )
        self.body = nn.Sequential(*[ResidualBlock(2 * width, padding) for _ in range(blocks)])
        self.up = nn.Sequential(nn.Upsample(scale_factor=2), _layer(2 * width, width, 3, padding=padding))
        self.paint = EnlargingConvolution(width, 3, padding)

    @property
    def radius(self) -> int:
        """Return how far away an input pixel can act on an output pixel."""
        return reach(self.blocks)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Map an RGB batch in 0..1, sides multiples of 4, to a painted one of the same size in 0..1."""
        return torch.sigmoid(self.paint(self.up(self.body(self.down(rgb)))))


def reach(blocks: int) -> int:
    """Return how far away an input pixel can act on an output pixel of a light generator of so many blocks.

    Output pixel 4k + 2 is painted from half-size cells 2k and 2k + 1, these from cells 2k - 1 and up, which are
    quarter-size pixels k - 1 and up; the blocks read 2 further each, from k - 1 - 2b; the strided layer and the first
    one read from there to half-size cell 2 (k - 1 - 2b) - 2, whose first pixel is 4k - 8 - 8b. Other pixels and the
    other side reach less far.
    """
    return 10 + 8 * blocks


class EnlargingConvolution(nn.Module):
    """Enlarge twice by nearest neighbours and convolve by 3x3, computed at the smaller size.

    The four pixels made of one each see their neighbours through sums of the same nine weights, so one convolution with
    four times the outputs gives the same numbers at a fraction of the memory, and fast: three outputs at full size
    would leave most of a processor's lanes idle. Unlike a free convolution of four times the outputs (Shi et al.,
    "Real-time single image and video super-resolution", 2016), it cannot paint a checkerboard on a flat surface.
    """

    sums: torch.Tensor

    def __init__(self, inputs: int, outputs: int, padding: Padding) -> None:
        super().__init__()
        fresh = nn.Conv2d(inputs, outputs, 3)
        assert fresh.bias is not None  # as by default
        self.weight, self.bias = fresh.weight, fresh.bias
        self.padding = padding
        self.register_buffer("sums", _sums(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map NxCxhxw to NxKx2hx2w."""
        outputs, inputs = self.weight.shape[:2]
        summed = self.weight.reshape(outputs * inputs, 9) @ self.sums
        kernels = summed.reshape(outputs, inputs, 4, 3, 3).transpose(1, 2).reshape(4 * outputs, inputs, 3, 3)
        padded = functional.pad(x, (1, 1, 1, 1), "reflect" if self.padding == "reflect" else "constant")
        four = functional.conv2d(padded, kernels, self.bias.repeat_interleave(4))
        return functional.pixel_shuffle(four, 2)


def _sums() -> torch.Tensor:
    """Return 9x36: which weights, row by row, add up to those of each of the four pixels.

    Of the rows above, at and below a pixel, the upper pixel of a pair sees the last two in its own pair, the lower one
    the first two; likewise columns.
    """
    first = torch.tensor(
        [[1.0, 0, 0], [0, 1, 0], [0, 1, 0]]
    )  # of each weight: the row of the smaller size it falls on
    second = torch.tensor([[0, 1.0, 0], [0, 1, 0], [0, 0, 1]])
    return torch.cat(
        [torch.kron(rows, columns) for rows in (first, second) for columns in (first, second)], dim=1
    )


class ResidualBlock(nn.Module):
    """Add two convolutions to the input."""

    def __init__(self, channels: int, padding: Padding) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _layer(channels, channels, 3, padding=padding),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode=padding, bias=False),
            nn.BatchNorm2d(channels, momentum=0.03),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input plus what the two convolutions make of it."""
        change: torch.Tensor = self.layers(x)
        return x + change


def _layer(inputs: int, outputs: int, kernel: int, *, padding: Padding, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(
        inputs, outputs, kernel, stride=stride, padding=kernel // 2, padding_mode=padding, bias=False
    )
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs, momentum=0.03), nn.ReLU())


def export_copy(net: GeneratorLight) -> GeneratorLight:
    """Return the same network with zero padding, in evaluation mode, ready to be exported."""
    copy = GeneratorLight(width=net.width, blocks=net.blocks, padding="zeros")
    copy.load_state_dict(net.state_dict())
    return copy.eval()
