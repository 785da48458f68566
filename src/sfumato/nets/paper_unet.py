"""Define the paper's segmenter (section 2.4): a U-Net with an EfficientNet-B2 encoder; it loads no data."""

from typing import cast

import torch
from torch import nn

from sfumato.errors import BackendMissingError
from sfumato.nets.torchvision_schema import declare_torchvision_operators
from sfumato.types import CLASSES

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)

UNUSED_WEIGHTS = ("unet.encoder._conv_head.", "unet.encoder._bn1.")
"""Beginnings of the names of weights that the encoder keeps for its classifier, and a U-Net never uses."""


class PaperUNet(nn.Module):
    """Parse a picture into class logits: segmentation-models-pytorch's U-Net, 10,047,451 parameters.

    Height and width must be multiples of 32. Input is RGB in 0..1, NCHW, normalised within.

    Args:
        pretrained: fetch the encoder's ImageNet weights from the Hugging Face hub, where it can be reached.

    Raises:
        BackendMissingError: the weights were asked for and cannot be had.
    """

    def __init__(self, *, pretrained: bool = False) -> None:
        super().__init__()
        declare_torchvision_operators()
        from segmentation_models_pytorch import Unet

        weights = "imagenet" if pretrained else None
        try:
            self.unet = Unet("efficientnet-b2", encoder_weights=weights, classes=len(CLASSES))
        except OSError as error:  # what the hub's client raises offline
            raise BackendMissingError(
                "ImageNet weights of EfficientNet-B2 cannot be had; try again online, or --encoder-weights lite"
            ) from error
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(IMAGENET_DEVIATION).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map Nx3xHxW to Nx9xHxW logits."""
        return cast(torch.Tensor, self.unet((x - self.mean) / self.deviation))  # type: ignore[operator]  # buffers

    @property
    def encoder(self) -> nn.Module:
        """Return the EfficientNet-B2 encoder."""
        return cast(nn.Module, self.unet.encoder)
