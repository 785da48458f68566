"""The discriminator that tells paintings from painted photos patch by patch; it holds no loss."""

from itertools import pairwise

import torch
from torch import nn


class PatchDiscriminator(nn.Module):
    """Judge overlapping patches of a picture; 70x70 pixels each with three strided layers.

    Isola et al., "Image-to-image translation with conditional adversarial networks", 2017, section 3.2.2, as
    CycleGAN uses it: 4x4 convolutions, InstanceNorm but in the first layer, LeakyReLU 0.2, one map of scores.

    Args:
        width: channels of the first layer; doubled by every further one up to 8 times as many.
        layers: strided layers.
    """

    def __init__(self, *, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        channels = [width * min(2**k, 8) for k in range(layers + 1)]
        model: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for index, (inputs, outputs) in enumerate(pairwise(channels)):
            stride = 2 if index < layers - 1 else 1
            model += [
                nn.Conv2d(inputs, outputs, 4, stride=stride, padding=1),
                nn.InstanceNorm2d(outputs),
                nn.LeakyReLU(0.2),
            ]
        model.append(nn.Conv2d(channels[-1], 1, 4, padding=1))
        self.model = nn.Sequential(*model)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Return the scores Nx1xhxw of an RGB batch in 0..1: 1 for a painting, 0 for a painted photo."""
        scores: torch.Tensor = self.model(2 * rgb - 1)
        return scores
