"""Networks that tell persons apart: MobileFaceNet and a lighter one taught by it; they hold no weights."""

import torch
from torch import nn

_STAGES = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
"""Expansion, width, repeats and stride of the bottlenecks; Chen et al., "MobileFaceNets", 2018, table 1."""


class MobileFaceNet(nn.Module):
    """Map faces to 128 numbers whose cosine tells persons apart (Chen et al., 2018).

    Attribute names follow the checkpoint of the `MobileFaceNet_Pytorch` repository, so that it loads as it is.

    Args:
        width: factor of all channels but those of the embedding; 1 is the paper's.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        first, wide = round(64 * width), round(512 * width)
        self.conv1 = _Unit(nn.Conv2d(3, first, 3, 2, 1, bias=False), nn.PReLU(first))
        self.dw_conv1 = _Unit(nn.Conv2d(first, first, 3, 1, 1, groups=first, bias=False), nn.PReLU(first))
        self.blocks = nn.Sequential(*_bottlenecks(width))
        self.conv2 = _Unit(nn.Conv2d(round(128 * width), wide, 1, bias=False), nn.PReLU(wide))
        self.linear7 = _Unit(nn.Conv2d(wide, wide, (7, 6), groups=wide, bias=False), nn.Identity())
        self.linear1 = _Unit(nn.Conv2d(wide, 128, 1, bias=False), nn.Identity())

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """Return Nx128 embeddings of Nx3x112x96 RGB faces in -1..1."""
        features = self.conv2(self.blocks(self.dw_conv1(self.conv1(faces))))
        embedding: torch.Tensor = self.linear1(self.linear7(features)).flatten(1)
        return embedding


class LightFaceNet(nn.Module):
    """Map faces to embeddings as MobileFaceNet does, by 3x3 convolutions and residual blocks (He et al., 2016).

    No convolution is depthwise but the last, which sees the whole face (Chen et al., 2018, section 3.1): on two cores
    a step of 48 faces took 0.25 s, and 0.44 s with MobileFaceNet at half its width.

    Args:
        channels: of the first stage of blocks; each later one has twice as many.
    """

    def __init__(self, channels: int = 40) -> None:
        super().__init__()
        half, twice, last = channels // 2, 2 * channels, 4 * channels
        self.layers = nn.Sequential(
            _halving(3, half),
            _halving(half, channels),
            _Residual(channels),
            _halving(channels, twice),
            _Residual(twice),
            _Residual(twice),
            _halving(twice, last),
            _Residual(last),
            _Unit(nn.Conv2d(last, last, (7, 6), groups=last, bias=False), nn.Identity()),
            nn.Conv2d(last, 128, 1),
        )

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """Return Nx128 embeddings of Nx3x112x96 RGB faces in -1..1."""
        embedding: torch.Tensor = self.layers(faces).flatten(1)
        return embedding


class _Residual(nn.Module):
    """Add what two convolutions find."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _Unit(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.PReLU(channels))
        self.second = _Unit(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.Identity())
        self.activation = nn.PReLU(channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        activated: torch.Tensor = self.activation(features + self.second(self.first(features)))
        return activated


class _Unit(nn.Module):
    """Convolve, normalise and activate."""

    def __init__(self, convolution: nn.Conv2d, activation: nn.Module) -> None:
        super().__init__()
        self.conv = convolution
        self.bn = nn.BatchNorm2d(convolution.out_channels)
        self.prelu = activation

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        activated: torch.Tensor = self.prelu(self.bn(self.conv(features)))
        return activated


def _halving(inputs: int, outputs: int) -> _Unit:
    return _Unit(nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), nn.PReLU(outputs))


class _Bottleneck(nn.Module):
    """Widen, convolve each channel and narrow again; added to the input where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.connect = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.PReLU(wide),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.PReLU(wide),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        inner: torch.Tensor = self.conv(features)
        return features + inner if self.connect else inner


def _bottlenecks(width: float) -> list[_Bottleneck]:
    blocks, inputs = [], round(64 * width)
    for expansion, channels, repeats, stride in _STAGES:
        for index in range(repeats):
            outputs = round(channels * width)
            blocks.append(_Bottleneck(inputs, outputs, stride if index == 0 else 1, expansion))
            inputs = outputs
    return blocks
