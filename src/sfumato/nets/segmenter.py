"""Define the light U-Net that parses portraits into the nine EasyPortrait classes; it loads no data."""

from typing import cast

import torch
from torch import nn
from torch.nn import functional

from sfumato.types import CLASSES

ENCODER_STAGES: tuple[tuple[int, int, int, int, int], ...] = (
    (16, 3, 1, 1, 1),
    (24, 3, 2, 6, 2),
    (40, 5, 2, 6, 2),
    (80, 3, 2, 6, 3),
    (112, 5, 1, 6, 3),
    (192, 5, 2, 6, 1),
)
"""Channels, kernel, stride, expansion and blocks of each stage: EfficientNet-Lite0 up to its first 1/32 block."""

TAPPED_STAGES: tuple[int, ...] = (0, 1, 2, 4, 5)
"""Stages whose features the decoder sees: the last ones at 1/2, 1/4, 1/8, 1/16 and 1/32 of the picture's size."""


class ConvBlock(nn.Sequential):
    """Convolve, normalise, rectify."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int = 3) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class SeparableBlock(nn.Sequential):
    """Convolve each channel alone, then mix the channels: a ninth of the work of a full 3x3 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
            nn.BatchNorm2d(inputs),
            *ConvBlock(inputs, outputs, kernel=1),
        )


def _normalised(conv: nn.Conv2d, *, rectify: bool) -> list[nn.Module]:
    """Return a convolution of the encoder with what follows it; epsilon as the ImageNet weights were trained with."""
    norm = nn.BatchNorm2d(conv.out_channels, eps=1e-3)
    return [conv, norm, nn.ReLU6(inplace=True)] if rectify else [conv, norm]


class InvertedResidual(nn.Module):
    """Widen, convolve each channel alone, narrow (Sandler et al., MobileNetV2, 2018)."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += _normalised(nn.Conv2d(inputs, wide, 1, bias=False), rectify=True)
        depthwise = nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False)
        layers += _normalised(depthwise, rectify=True)
        layers += _normalised(nn.Conv2d(wide, outputs, 1, bias=False), rectify=False)
        self.layers = nn.Sequential(*layers)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map NxCxHxW to features of `outputs` channels, smaller by the stride."""
        y = cast(torch.Tensor, self.layers(x))
        return x + y if self.adds else y


def _stage(inputs: int, stage: tuple[int, int, int, int, int]) -> nn.Sequential:
    outputs, kernel, stride, expansion, blocks = stage
    first = InvertedResidual(inputs, outputs, kernel=kernel, stride=stride, expansion=expansion)
    others = [
        InvertedResidual(outputs, outputs, kernel=kernel, stride=1, expansion=expansion)
        for _ in range(blocks - 1)
    ]
    return nn.Sequential(first, *others)


class Encoder(nn.Module):
    """Reduce a picture to features at 1/2, 1/4, 1/8, 1/16 and 1/32 of its size.

    EfficientNet-Lite0 (Tan and Le, 2019; without squeeze-and-excitation, which would average over the picture).
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_normalised(nn.Conv2d(3, 32, 3, 2, 1, bias=False), rectify=True))
        inputs = (32, *(stage[0] for stage in ENCODER_STAGES[:-1]))
        self.stages = nn.ModuleList(_stage(i, s) for i, s in zip(inputs, ENCODER_STAGES, strict=True))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the features, finest first."""
        x = self.stem(x)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return [features[k] for k in TAPPED_STAGES]


class UpBlock(nn.Module):
    """Enlarge coarse features, join them with finer ones and mix."""

    def __init__(self, coarse: int, fine: int, outputs: int, *, separable: bool) -> None:
        super().__init__()
        block = SeparableBlock if separable else ConvBlock
        self.reduce = ConvBlock(coarse, outputs, kernel=1)
        self.mix = nn.Sequential(block(outputs + fine, outputs), block(outputs, outputs))

    def forward(self, coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        """Return features of the size of `fine`."""
        enlarged = functional.interpolate(self.reduce(coarse), scale_factor=2.0, mode="nearest")
        return cast(torch.Tensor, self.mix(torch.cat([enlarged, fine], dim=1)))


class LightUNet(nn.Module):
    """Parse a picture into class logits (Ronneberger et al., U-Net, 2015, with an EfficientNet-Lite0 encoder).

    Height and width must be multiples of 32. Input is RGB in 0..1, NCHW.
    """

    def __init__(self, widths: tuple[int, int, int, int] = (96, 64, 32, 24)) -> None:
        super().__init__()
        self.encoder = Encoder()
        channels = [ENCODER_STAGES[k][0] for k in TAPPED_STAGES]
        coarse = (channels[-1], *widths[:-1])
        self.ups = nn.ModuleList(
            UpBlock(c, f, w, separable=k == 0)
            for k, (c, f, w) in enumerate(zip(coarse, channels[-2::-1], widths, strict=True))
        )
        self.head = nn.Conv2d(widths[-1], len(CLASSES), 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map Nx3xHxW to Nx9xHxW logits; computed at half size and enlarged linearly."""
        *finer, y = self.encoder((x - 0.5) * 2)
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
