"""Keep the texture statistics of many painting crops and match photos to them; it trains nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sfumato.nets.vgg import VggFeatures
from sfumato.training.crops import random_crop, read_picture, to_batch
from sfumato.training.loop import mixed_precision
from sfumato.training.stylizer_losses import Style, style_of
from sfumato.types import Image

Keys = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PaintingLibrary:
    """Crops of paintings, their colour-and-texture keys and their style statistics, row by row."""

    crops: tuple[Image, ...]
    keys: Keys
    style: Style

    def match(self, photos: Sequence[Image], candidates: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return for each photo the row of a crop like it, none twice.

        Only `candidates` random crops are looked at, so that every crop is a model now and then.
        """
        rows = rng.choice(len(self.crops), candidates, replace=False)
        wanted = np.stack([key_of(photo) for photo in photos])
        costs = np.square(wanted[:, None] - self.keys[rows][None]).sum(2)
        return np.asarray(rows[linear_sum_assignment(costs)[1]])


def key_of(image: Image) -> Keys:
    """Return what a fitting painting shares: mean light, contrast, roughness and colour."""
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    light, colour = lab[:, :, 0], lab[:, :, 1:].mean(axis=(0, 1))
    rough = np.log1p(np.abs(cv2.Laplacian(cv2.GaussianBlur(light, (0, 0), 1.5), cv2.CV_32F)).mean())
    return np.array(
        [light.mean() / 20, light.std() / 15, 0.7 * rough, *(0.8 * colour / 12)], dtype=np.float32
    )


@torch.no_grad()
def build_library(
    paths: Sequence[Path],
    vgg: VggFeatures,
    *,
    count: int,
    size: int,
    scales: tuple[float, float],
    rng: np.random.Generator,
) -> PaintingLibrary:
    """Cut `count` random crops from the paintings in turn and measure each."""
    crops = tuple(random_crop(read_picture(paths[k % len(paths)]), size, scales, rng) for k in range(count))
    parts: list[Style] = []
    for start in range(0, count, 4):
        with mixed_precision():
            features = vgg(to_batch(crops[start : start + 4]))
        parts.append(style_of(features))
    style = Style(
        tuple(torch.cat(layer).half() for layer in zip(*(p.grams for p in parts), strict=True)),
        torch.cat([p.moments for p in parts]),
    )
    return PaintingLibrary(crops, np.stack([key_of(crop) for crop in crops]), style)
