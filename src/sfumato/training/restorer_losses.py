"""Losses that bring a damaged face nearer to the good one; they hold no weights that learn and no data."""

from collections.abc import Mapping

import torch
from torch.nn import functional

from sfumato.evaluation.identity import recognition_batch
from sfumato.nets.recogniser import MobileFaceNet
from sfumato.nets.vgg import Features


def local_deviation(features: torch.Tensor, size: int = 8) -> torch.Tensor:
    """Return the standard deviation of each channel in windows of `size`, half overlapping."""
    mean = functional.avg_pool2d(features, size, size // 2)
    square = functional.avg_pool2d(features.square(), size, size // 2)
    return (square - mean.square()).clamp_min(1e-4).sqrt()


def relative_distance(restored: torch.Tensor, damaged: torch.Tensor, good: torch.Tensor) -> torch.Tensor:
    """Return the Charbonnier distance to the truth in units of the damage, averaged over the batch.

    The distance is sqrt(d^2 + 0.001^2), an L1 distance that is smooth at 0. In units of the damage (plus eight levels
    of 255) each face counts alike; otherwise the faces that are damaged beyond repair would drown the others.
    """
    distance = ((restored - good).square() + 1e-6).sqrt().mean((1, 2, 3))
    damage = (damaged - good).abs().mean((1, 2, 3)) + 8 / 255
    return (distance / damage).mean()


def feature_terms(features: Features, wanted: Features) -> Mapping[str, torch.Tensor]:
    """Return the distance of three VGG19 activations and of their local deviations, each in units of its own layer."""
    content, texture = [], []
    for name in ("relu1_2", "relu2_2", "relu3_1"):
        mine, truth = getattr(features, name), getattr(wanted, name)
        scale = truth.float().abs().mean() + 1e-3
        content.append((mine.float() - truth.float()).abs().mean() / scale)
        spread = local_deviation(truth.float())
        texture.append((local_deviation(mine.float()) - spread).abs().mean() / (spread.mean() + 1e-3))
    return {"feature": torch.stack(content).mean(), "texture": torch.stack(texture).mean()}


def identity_loss(net: MobileFaceNet, restored: torch.Tensor, good: torch.Tensor) -> torch.Tensor:
    """Return 1 minus the cosine of the embeddings of aligned faces, averaged over the batch.

    The identity-preserving loss of Wang et al., "GFPGAN", 2021, equation 7, on the angle, which is what tells persons
    apart, instead of the distance.

    Args:
        restored, good: Nx3x512x512 in 0..1.
    """
    with torch.no_grad():
        wanted = net(recognition_batch(good))
    cosine = functional.cosine_similarity(net(recognition_batch(restored)), wanted)
    return (1 - cosine).mean()
