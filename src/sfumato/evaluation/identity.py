"""Recognise faces by MobileFaceNet in PyTorch: to measure likeness, and to train by it."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from sfumato.nets.recogniser import MobileFaceNet
from sfumato.stages.likeness import cosine, recognition_affine, recognition_crop
from sfumato.types import Image


def load_mobile_face_net(path: Path) -> MobileFaceNet:
    """Return the network with the weights of a checkpoint, frozen and in evaluation mode."""
    net = MobileFaceNet()
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["net_state_dict"])
    return net.requires_grad_(False).eval()


def identity_cosine(net: nn.Module, first: Image, second: Image) -> float:
    """Return the cosine of the embeddings of two FFHQ-aligned crops; 1 for the same picture."""
    faces = torch.from_numpy(np.stack([recognition_crop(first), recognition_crop(second)]))
    with torch.no_grad():
        embeddings = net(faces).numpy()
    return cosine(*embeddings)


def recognition_batch(faces: torch.Tensor) -> torch.Tensor:
    """Return Nx3x112x96 faces in -1..1 of Nx3x512x512 crops in 0..1, as `identity_cosine` cuts them.

    Gradients pass: this is what a restorer is trained by.
    """
    quarter = torch.nn.functional.avg_pool2d(faces, 4)
    x, y = np.meshgrid(np.arange(96), np.arange(112))
    back = np.linalg.inv(np.vstack([recognition_affine(), [0, 0, 1]]))
    places = np.stack([x, y, np.ones_like(x)], axis=-1) @ back[:2].T
    normal = torch.from_numpy((2 * places + 1) / 128 - 1).to(faces)
    grid = normal[None].expand(len(faces), -1, -1, -1)
    cut = torch.nn.functional.grid_sample(quarter, grid, padding_mode="border", align_corners=False)
    return (255 * cut - 127.5) / 128
