"""Measure how near painted photos come to paintings and how much of the photo is kept; it paints nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from sfumato.nets.segmenter import Encoder
from sfumato.nets.vgg import VggFeatures, load_vgg
from sfumato.training.imagenet import load_lite0
from sfumato.types import Image

Rows = NDArray[np.float64]

SIDE = 256
"""Pictures are measured at 256x256, whatever their shape."""


@dataclass(frozen=True, slots=True)
class StyleScores:
    """Say how a stylizer does on photos.

    Attributes:
        fraction: Frechet distance of the painted photos to all paintings, divided by that of the photos.
        unseen_fraction: likewise, to the held-out paintings alone.
        second_fraction: as `fraction`, on features of EfficientNet-Lite0 at an eighth of the size: a network that no
            stylizer here learns by, so that a style cannot have learnt to please it.
        ssim: mean structural similarity of luminance between photo and painted photo at 256x256.
    """

    fraction: float
    unseen_fraction: float
    second_fraction: float
    ssim: float


def score_painted(
    photos: Sequence[Image],
    painted: Sequence[Image],
    paintings: Sequence[Image],
    judges: "Judges",
    *,
    held_out: int,
) -> StyleScores:
    """Measure photos at 256x256 against what was painted of them; the last `held_out` paintings are unseen ones."""
    before, after, every = (picture_statistics(p, judges.vgg) for p in (photos, painted, paintings))
    unseen = every[-held_out:]
    second = [lite_statistics(pictures, judges.lite) for pictures in (photos, painted, paintings)]
    return StyleScores(
        fraction=frechet_distance(after, every) / frechet_distance(before, every),
        unseen_fraction=frechet_distance(after, unseen) / frechet_distance(before, unseen),
        second_fraction=frechet_distance(second[1], second[2]) / frechet_distance(second[0], second[2]),
        ssim=float(np.mean([luminance_ssim(a, b) for a, b in zip(photos, painted, strict=True)])),
    )


@dataclass(frozen=True, slots=True)
class Judges:
    """The networks whose features are compared: VGG19, and EfficientNet-Lite0 as trained on ImageNet."""

    vgg: VggFeatures
    lite: Encoder


def load_judges(vgg: Path) -> Judges:
    """Return both, VGG19 from its file and EfficientNet-Lite0 from its package.

    Raises:
        BackendMissingError: the package is not installed.
    """
    lite = Encoder()
    load_lite0(lite)
    return Judges(load_vgg(vgg), lite.eval())


def to_side(image: Image) -> Image:
    """Return the picture at 256x256."""
    if image.shape[:2] == (SIDE, SIDE):
        return image
    return np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), dtype=np.uint8)


@torch.no_grad()
def picture_statistics(images: Sequence[Image], vgg: VggFeatures) -> Rows:
    """Return for each picture at 256x256 the mean and deviation of the 256 channels of relu3_1: Nx512."""
    rows = []
    for image in images:
        batch = torch.from_numpy(to_side(image)).permute(2, 0, 1)[None].float() / 255
        layer = vgg(batch).relu3_1[0]
        rows.append(torch.cat([layer.mean((1, 2)), layer.std((1, 2))]).numpy())
    return np.array(rows, dtype=np.float64)


@torch.no_grad()
def lite_statistics(images: Sequence[Image], lite: Encoder) -> Rows:
    """Return for each picture at 256x256 the mean and deviation of the 40 channels at an eighth of its size: Nx80."""
    rows = []
    for image in images:
        batch = torch.from_numpy(to_side(image)).permute(2, 0, 1)[None].float() / 255
        layer = lite(2 * batch - 1)[2][0]
        rows.append(torch.cat([layer.mean((1, 2)), layer.std((1, 2))]).numpy())
    return np.array(rows, dtype=np.float64)


def frechet_distance(a: Rows, b: Rows, *, ridge: float = 1e-3) -> float:
    """Return the Frechet distance of two Gaussians fitted to the rows.

    |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) (Dowson and Landau, 1982; Heusel et al., 2017,
    equation 6), the last by the symmetric (C_a^(1/2) C_b C_a^(1/2))^(1/2), which has the same eigenvalues.

    Args:
        a: one row of statistics per picture.
        b: likewise, as many columns.
        ridge: added to the diagonal of both covariances, as there may be fewer pictures than columns.
    """
    offset = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    extra = ridge * np.eye(a.shape[1])
    cov_a, cov_b = np.cov(a.T) + extra, np.cov(b.T) + extra
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(values)) @ vectors.T
    shared = np.sqrt(np.clip(np.linalg.eigvalsh(root @ cov_b @ root), 0, None)).sum()
    return float(offset + np.trace(cov_a) + np.trace(cov_b) - 2 * shared)


def luminance_ssim(a: Image, b: Image) -> float:
    """Return the mean structural similarity of two pictures' luma.

    Wang et al., "Image quality assessment", 2004, equation 13: Gaussian window of deviation 1.5 and 11
    pixels, K1 = 0.01, K2 = 0.03; windows that leave the picture do not count.
    """
    x, y = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64) for image in (a, b))
    mean_x, mean_y = _window(x), _window(y)
    var_x, var_y = _window(x * x) - mean_x**2, _window(y * y) - mean_y**2
    cov = _window(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    score = (
        (2 * mean_x * mean_y + c1) * (2 * cov + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    )
    return float(score.mean())


def _window(x: Rows) -> Rows:
    blurred = cv2.GaussianBlur(x, (11, 11), 1.5)
    return np.asarray(blurred[5:-5, 5:-5], dtype=np.float64)
