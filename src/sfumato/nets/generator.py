"""Generators that paint a photo; they hold no loss and no picture size."""

from typing import Literal

import torch
from torch import nn

Padding = Literal["zeros", "reflect"]


class GeneratorLight(nn.Module):
    """Paint with a known reach and without statistics of the picture, so that tiles equal the whole.

    Half-size cells of 2x2 pixels, a strided convolution, residual blocks at a quarter of the size, nearest enlargement
    and convolution, and cells again. Nearest enlargement leaves no checkerboard (Odena et al., "Deconvolution and
    checkerboard artifacts", 2016); the cells' four pixels start out equal (Aitken et al., "Checkerboard artifact free
    sub-pixel convolution", 2017, section 2.3). The output is painted directly: no skip carries fine detail of the
    photo past the paint. BatchNorm becomes part of its convolution at export.

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
        self.paint = nn.Sequential(
            nn.Conv2d(width, 12, 3, padding=1, padding_mode=padding), nn.PixelShuffle(2), nn.Sigmoid()
        )
        _equal_cells(self.paint[0])

    @property
    def radius(self) -> int:
        """Return how far away an input pixel can act on an output pixel.

        Output pixel 4k + 3 lies in half-size cell 2k + 1. The last two layers read cells from 2k - 1, which is
        quarter-size pixel k - 1; the blocks read 2 further each, from k - 1 - 2b; the strided layer and the first one
        read from there to half-size cell 2 (k - 1 - 2b) - 2, whose first pixel is 4k - 8 - 8b. Other pixels and the
        other side reach no further.
        """
        return 11 + 8 * self.blocks

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Map an RGB batch in 0..1, sides multiples of 4, to a painted one of the same size in 0..1."""
        painted: torch.Tensor = self.paint(self.up(self.body(self.down(rgb))))
        return painted


@torch.no_grad()
def _equal_cells(layer: nn.Module) -> None:
    """Give the four pixels of a cell equal weights: a fresh network enlarges by nearest neighbours."""
    for parameter in layer.parameters():
        parameter.copy_(parameter[::4].repeat_interleave(4, dim=0))


class GeneratorFine(nn.Module):
    """Paint as the embedded weights do, until they are trained anew.

    A stem at full size, two strided convolutions, residual blocks at a quarter of the size, and back by
    nearest enlargement and convolution, which leaves no checkerboard (Odena et al., "Deconvolution and
    checkerboard artifacts", 2016). The output is painted directly: no skip carries fine detail of the photo
    past the paint. BatchNorm becomes part of its convolution at export.

    Args:
        width: channels at full size; a half and a quarter of the size have 2 and 4 times as many.
        blocks: residual blocks; each widens the receptive radius by 8 pixels.
        padding: "reflect" to train on crops, "zeros" to export: both agree further than `radius` from the
            border, and zeros are faster. The weights are the same.
    """

    def __init__(self, *, width: int = 16, blocks: int = 4, padding: Padding = "reflect") -> None:
        super().__init__()
        self.width, self.blocks = width, blocks
        self.down = nn.Sequential(
            _layer(3, width, 5, padding=padding),
            _layer(width, 2 * width, 3, padding=padding, stride=2),
            _layer(2 * width, 4 * width, 3, padding=padding, stride=2),
        )
        self.body = nn.Sequential(*[ResidualBlock(4 * width, padding) for _ in range(blocks)])
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2),
            _layer(4 * width, 2 * width, 3, padding=padding),
            nn.Upsample(scale_factor=2),
            _layer(2 * width, width, 3, padding=padding),
        )
        self.paint = nn.Conv2d(width, 3, 5, padding=2, padding_mode=padding)

    @property
    def radius(self) -> int:
        """Return how far away an input pixel can act on an output pixel.

        Output pixel p = 4k reads p - 3 after the last two layers; that is half-size pixel 2k - 2, which reads
        2k - 3, quarter-size pixel k - 2; the strided layers and the stem read from there to 4 (k - 2) - 5.
        Other p reach less far. Each block adds two quarter-size pixels.
        """
        return 13 + 8 * self.blocks

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Map an RGB batch in 0..1, sides multiples of 4, to a painted one of the same size in 0..1."""
        return torch.sigmoid(self.paint(self.up(self.body(self.down(rgb)))))


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
