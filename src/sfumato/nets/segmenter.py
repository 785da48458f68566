"""Define the light U-Net that parses portraits into the nine EasyPortrait classes; it loads no data."""

from typing import cast

import torch
from torch import nn
from torch.nn import functional

from sfumato.types import CLASSES


class ConvBlock(nn.Sequential):
    """Convolve, normalise, rectify."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class ResidualBlock(nn.Module):
    """Add two convolutions to their input (He et al., 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvBlock(channels, channels)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map NxCxHxW to the same shape."""
        return functional.relu(x + self.second(self.first(x)))


class Encoder(nn.Module):
    """Reduce a picture to features at 1/2, 1/4, 1/8, 1/16 and 1/32 of its size."""

    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...]) -> None:
        super().__init__()
        inputs = (3, *widths[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(ConvBlock(i, o, stride=2), *[ResidualBlock(o) for _ in range(d)])
            for i, o, d in zip(inputs, widths, depths, strict=True)
        )

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the features, finest first."""
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class UpBlock(nn.Module):
    """Enlarge coarse features, join them with finer ones and mix."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.reduce = ConvBlock(coarse, fine, kernel=1)
        self.mix = nn.Sequential(ConvBlock(2 * fine, fine), ConvBlock(fine, fine))

    def forward(self, coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        """Return features of the shape of `fine`."""
        enlarged = functional.interpolate(self.reduce(coarse), scale_factor=2.0, mode="nearest")
        return cast(torch.Tensor, self.mix(torch.cat([enlarged, fine], dim=1)))


class LightUNet(nn.Module):
    """Parse a picture into class logits (Ronneberger et al., U-Net, 2015, with a residual encoder).

    Height and width must be multiples of 32. Input is RGB in 0..1, NCHW.
    """

    def __init__(
        self, widths: tuple[int, ...] = (24, 40, 64, 96, 128), depths: tuple[int, ...] = (0, 1, 2, 2, 2)
    ) -> None:
        super().__init__()
        self.encoder = Encoder(widths, depths)
        self.ups = nn.ModuleList(UpBlock(c, f) for c, f in zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.head = nn.Conv2d(widths[0], len(CLASSES), 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map Nx3xHxW to Nx9xHxW logits; computed at half size and enlarged linearly."""
        *finer, y = self.encoder((x - 0.5) * 4)
        for up, fine in zip(self.ups, reversed(finer), strict=True):
            y = up(y, fine)
        return functional.interpolate(self.head(y), scale_factor=2.0, mode="bilinear", align_corners=False)


class WithSoftmax(nn.Module):
    """Give probabilities instead of logits, for export."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map Nx3xHxW to Nx9xHxW probabilities that sum to 1."""
        return torch.softmax(self.net(x), dim=1)
