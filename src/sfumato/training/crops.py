"""Draw random crops of pictures at random scales; it knows no network."""

from collections.abc import Sequence
from math import exp, log
from pathlib import Path

import cv2
import numpy as np
import torch

from sfumato.errors import InputError, MissingInputError
from sfumato.types import Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


def list_pictures(folder: Path) -> tuple[Path, ...]:
    """Return the pictures in `folder` by name.

    Raises:
        MissingInputError: there is none.
    """
    paths = tuple(sorted(p for p in folder.glob("*") if p.suffix.lower() in SUFFIXES))
    if not paths:
        raise MissingInputError(f"no .jpg or .png picture in {folder}; name a folder of pictures")
    return paths


def hold_out(paths: Sequence[Path], count: int) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Split off the last `count` pictures, which are measured on and never trained on.

    Raises:
        InputError: none would be left to train on.
    """
    kept = len(paths) - count
    if kept < 1:
        raise InputError(
            f"{len(paths)} pictures are too few where {count} are held out; add {1 - kept} or more"
        )
    return tuple(paths[:kept]), tuple(paths[kept:])


def read_picture(path: Path) -> Image:
    """Return a picture of the training data as RGB.

    Raises:
        MissingInputError: the file is no picture that OpenCV reads.
    """
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise MissingInputError(f"{path} is no picture; remove it from the training data")
    return np.ascontiguousarray(bgr[:, :, ::-1])


def random_crop(image: Image, size: int, scales: tuple[float, float], rng: np.random.Generator) -> Image:
    """Cut a random square, enlarged by a random factor within `scales` to `size` pixels, maybe mirrored.

    A picture too small for the factor is enlarged until its shorter side is `size`.
    """
    height, width = image.shape[:2]
    scale = exp(rng.uniform(log(scales[0]), log(scales[1])))
    side = max(1, min(round(size / scale), height, width))
    y, x = rng.integers(height - side + 1), rng.integers(width - side + 1)
    part = image[y : y + side, x : x + side]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    method = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
    return np.asarray(
        cv2.resize(np.ascontiguousarray(part), (size, size), interpolation=method), dtype=np.uint8
    )


def to_batch(images: Sequence[Image]) -> torch.Tensor:
    """Stack pictures of one size to an NCHW batch in 0..1."""
    stacked = np.stack(images).astype(np.float32) / 255
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
