"""Tell by how much two aligned faces look like one person; an optional measure, never shipped with weights."""

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sfumato.geometry import FFHQ_TEMPLATE, fit_similarity
from sfumato.types import Affine, Image, Points

_TEMPLATE: Points = np.array(
    [[30.2946, 51.6963], [65.5318, 51.5014], [48.0252, 71.7366], [33.5493, 92.3655], [62.7299, 92.2041]],
    dtype=np.float32,
)
"""Landmarks in the 96x112 crop of SphereFace (Liu et al., 2017), on which the network was trained."""

_STAGES = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
"""Expansion, width, repeats and stride of the bottlenecks; Chen et al., "MobileFaceNets", 2018, table 1."""


class MobileFaceNet(nn.Module):
    """Map faces to 128 numbers whose cosine tells persons apart (Chen et al., 2018).

    Attribute names follow the checkpoint of the `MobileFaceNet_Pytorch` repository, so that it loads as it is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _Unit(nn.Conv2d(3, 64, 3, 2, 1, bias=False), nn.PReLU(64))
        self.dw_conv1 = _Unit(nn.Conv2d(64, 64, 3, 1, 1, groups=64, bias=False), nn.PReLU(64))
        self.blocks = nn.Sequential(*_bottlenecks())
        self.conv2 = _Unit(nn.Conv2d(128, 512, 1, bias=False), nn.PReLU(512))
        self.linear7 = _Unit(nn.Conv2d(512, 512, (7, 6), groups=512, bias=False), nn.Identity())
        self.linear1 = _Unit(nn.Conv2d(512, 128, 1, bias=False), nn.Identity())

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """Return Nx128 embeddings of Nx3x112x96 RGB faces in -1..1."""
        features = self.conv2(self.blocks(self.dw_conv1(self.conv1(faces))))
        embedding: torch.Tensor = self.linear1(self.linear7(features)).flatten(1)
        return embedding


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


def _bottlenecks() -> list[_Bottleneck]:
    blocks, inputs = [], 64
    for expansion, width, repeats, stride in _STAGES:
        for index in range(repeats):
            blocks.append(_Bottleneck(inputs, width, stride if index == 0 else 1, expansion))
            inputs = width
    return blocks


def load_mobile_face_net(path: Path) -> MobileFaceNet:
    """Return the network with the weights of a checkpoint, in evaluation mode."""
    net = MobileFaceNet()
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["net_state_dict"])
    return net.eval()


def identity_cosine(net: MobileFaceNet, first: Image, second: Image) -> float:
    """Return the cosine of the embeddings of two FFHQ-aligned crops; 1 for the same picture."""
    with torch.no_grad():
        a, b = net(torch.from_numpy(np.stack([_small(first), _small(second)]))).double()
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0))


def recognition_crop(faces: torch.Tensor) -> torch.Tensor:
    """Return Nx3x112x96 faces in -1..1 of Nx3x512x512 crops in 0..1, as `identity_cosine` cuts them.

    Gradients pass: this is what a restorer is trained by.
    """
    quarter = torch.nn.functional.avg_pool2d(faces, 4)
    x, y = np.meshgrid(np.arange(96), np.arange(112))
    back = np.linalg.inv(np.vstack([_matrix(), [0, 0, 1]]))
    places = np.stack([x, y, np.ones_like(x)], axis=-1) @ back[:2].T
    normal = torch.from_numpy((2 * places + 1) / 128 - 1).to(faces)
    grid = normal[None].expand(len(faces), -1, -1, -1)
    cut = torch.nn.functional.grid_sample(quarter, grid, padding_mode="border", align_corners=False)
    return (255 * cut - 127.5) / 128


def _matrix() -> Affine:
    """Return the similarity from an aligned crop of 128x128 to the network's 96x112."""
    return fit_similarity((FFHQ_TEMPLATE + 0.5) * (128 / 512) - 0.5, _TEMPLATE)


def _small(crop: Image) -> NDArray[np.float32]:
    """Return the 3x112x96 face of a crop of any size, in -1..1."""
    size = crop.shape[0]
    reduced = cv2.resize(crop, (128, 128), interpolation=cv2.INTER_AREA if size > 128 else cv2.INTER_CUBIC)
    face = cv2.warpAffine(
        reduced, _matrix(), (96, 112), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray((face.transpose(2, 0, 1).astype(np.float32) - 127.5) / 128, dtype=np.float32)
