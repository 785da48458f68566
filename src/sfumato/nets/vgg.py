"""VGG19 up to relu3_1 as a fixed measure of texture and content; it is never trained and never shipped."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn


class Features(NamedTuple):
    """Activations of VGG19 by layer, each NxCxhxw: 64 channels at full size, 128 at 1/2, 256 at 1/4."""

    relu1_1: torch.Tensor
    relu1_2: torch.Tensor
    relu2_1: torch.Tensor
    relu2_2: torch.Tensor
    relu3_1: torch.Tensor


class VggFeatures(nn.Module):
    """Compute five activations of VGG19 with reflection padding.

    Simonyan and Zisserman, "Very deep convolutional networks", 2014, with channels normalised as by Gatys et
    al. The attribute `layers` has the layout of `vgg19_normalised_conv3_1.pth`: a 1x1 convolution that takes
    RGB to BGR in 0..255 minus its mean, then the network itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 3, 1),
            *_convolution(3, 64),
            *_convolution(64, 64),
            nn.MaxPool2d(2),
            *_convolution(64, 128),
            *_convolution(128, 128),
            nn.MaxPool2d(2),
            *_convolution(128, 256),
        )

    def forward(self, rgb: torch.Tensor) -> Features:
        """Return the activations of an RGB batch in 0..1 with sides of 8 and more."""
        kept = [rgb]
        for layer in self.layers:
            kept.append(layer(kept[-1]))
        return Features(kept[4], kept[7], kept[11], kept[14], kept[18])


def _convolution(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    return nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 3), nn.ReLU()


def load_vgg(path: Path) -> VggFeatures:
    """Return VGG19 with the weights of the file, frozen; gradients still reach its input."""
    net = VggFeatures()
    net.layers.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    net.requires_grad_(False)
    return net.eval()
