"""Draw photos and paintings that are no pairs; it knows no network."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from sfumato.training.crops import hold_out, list_pictures, read_picture
from sfumato.training.lightning_run import Drawn
from sfumato.types import Image

Halves: TypeAlias = tuple[tuple[Path, ...], tuple[Path, ...]]

PAPER_ZOOM = (286 / 256, 286 / 256)
"""CycleGAN's authors enlarge every picture to 286 pixels and cut 256 out of it; they squash it to a square first."""


@dataclass(frozen=True, slots=True)
class UnpairedFolders:
    """Say where the pictures lie.

    Attributes:
        photos: folder of photos.
        paintings: folder of paintings of one manner; None for photos alone.
        portraits: folders of portraits, drawn from equally: a painter of landscapes alone fails on people.
        portrait_share: part of the photos that are portraits, on average; without portraits it is nought.
        held_out: the last photos and paintings by name that are never trained on, as many of each.
    """

    photos: Path
    paintings: Path | None
    portraits: tuple[Path, ...] = ()
    portrait_share: float = 0.4
    held_out: int = 8

    @property
    def name(self) -> str:
        """Return the name of the folder of paintings."""
        return self.paintings.name if self.paintings else ""

    def split(self) -> tuple[Halves, Halves]:
        """Return photos and paintings, each as those that are trained on and those held out.

        Raises:
            InputError: a folder has too few.
        """
        photos = hold_out(list_pictures(self.photos), self.held_out)
        paintings = hold_out(list_pictures(self.paintings), self.held_out) if self.paintings else ((), ())
        return photos, paintings


class UnpairedDraw:
    """Draw a photo and a painting, cut at random."""

    def __init__(self, folders: UnpairedFolders, size: int, zoom: tuple[float, float] = PAPER_ZOOM) -> None:
        (self._photos, _), (self._paintings, _) = folders.split()
        self._portraits = tuple(list_pictures(folder) for folder in folders.portraits)
        self._share, self._size, self._zoom = folders.portrait_share, size, zoom

    @property
    def epoch(self) -> int:
        """Return the pictures of an epoch: as many as the larger domain has."""
        return max(len(self._photos) + sum(map(len, self._portraits)), len(self._paintings))

    def __call__(self, rng: np.random.Generator) -> Drawn:
        """Return `photo` and, where there are paintings, `painting`: 3xSxS bytes each."""
        photos: Sequence[Path] = self._photos
        if self._portraits and rng.random() < self._share:
            photos = self._portraits[int(rng.integers(len(self._portraits)))]
        drawn = {"photo": self._cut(photos, rng)}
        return {**drawn, "painting": self._cut(self._paintings, rng)} if self._paintings else drawn

    def _cut(self, paths: Sequence[Path], rng: np.random.Generator) -> torch.Tensor:
        return to_bytes(
            cut_square(read_picture(paths[int(rng.integers(len(paths)))]), self._size, self._zoom, rng)
        )


class HeldOut(Dataset[Drawn]):
    """Show the middle of each photo and painting that is held out."""

    def __init__(self, folders: UnpairedFolders, size: int) -> None:
        (_, self._photos), (_, self._paintings) = folders.split()
        self._size = size

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, index: int) -> Drawn:
        """Return one of them, as `UnpairedDraw` does."""
        drawn = {"photo": self._middle(self._photos[index])}
        return {**drawn, "painting": self._middle(self._paintings[index])} if self._paintings else drawn

    def _middle(self, path: Path) -> torch.Tensor:
        return to_bytes(middle_square(read_picture(path), self._size))


def cut_square(image: Image, size: int, zoom: tuple[float, float], rng: np.random.Generator) -> Image:
    """Cut a square at random, of the shorter side over a random `zoom`, and return it at `size`, maybe mirrored."""
    shorter = min(image.shape[:2])
    side = max(1, round(shorter / exp(rng.uniform(log(zoom[0]), log(zoom[1])))))
    y, x = (int(rng.integers(length - side + 1)) for length in image.shape[:2])
    part = image[y : y + side, x : x + side]
    return _resized(part[:, ::-1] if rng.random() < 0.5 else part, size)


def middle_square(image: Image, size: int) -> Image:
    """Return the square in the middle of the picture, as large as fits, at `size`."""
    side = min(image.shape[:2])
    y, x = ((length - side) // 2 for length in image.shape[:2])
    return _resized(image[y : y + side, x : x + side], size)


def _resized(part: Image, size: int) -> Image:
    method = cv2.INTER_AREA if part.shape[0] > size else cv2.INTER_CUBIC
    return np.asarray(
        cv2.resize(np.ascontiguousarray(part), (size, size), interpolation=method), dtype=np.uint8
    )


def to_bytes(image: Image) -> torch.Tensor:
    """Return the picture as 3xHxW bytes."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
