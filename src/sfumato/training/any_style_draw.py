"""Draw photos and the pictures in whose manner they are to be painted; it knows no network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from sfumato.stages.grain import PERIOD, grain
from sfumato.training.crops import hold_out, list_pictures, random_crop, read_picture
from sfumato.training.lightning_run import Drawn
from sfumato.training.unpaired import middle_square, to_bytes
from sfumato.types import Image


@dataclass(frozen=True, slots=True)
class AnyStyleFolders:
    """Say where the pictures lie, and how they are drawn.

    Attributes:
        photos: folder of photos.
        portraits: folders of portraits, drawn from equally.
        portrait_share: part of the photos that are portraits, on average.
        styles: folders of paintings, drawn from equally.
        photo_styles: part of the styles that are photos: textures that no painting has.
        recoloured: part of the styles whose hue is turned: palettes that no painting has.
        grain: deviation of the canvas, of levels in 0..1 (see `stages.grain`).
        held_out: the last photos and paintings of each folder by name that are never trained on, as many of each.
    """

    photos: Path
    styles: tuple[Path, ...]
    portraits: tuple[Path, ...] = ()
    portrait_share: float = 0.4
    photo_styles: float = 0.25
    recoloured: float = 0.5
    grain: float = 0.03
    held_out: int = 8


class AnyStyleDraw:
    """Draw a photo, a style and a piece of canvas, SxS each."""

    def __init__(self, folders: AnyStyleFolders, size: int) -> None:
        self._folders, self._size = folders, size
        self._photos, _ = hold_out(list_pictures(folders.photos), folders.held_out)
        self._styles = [hold_out(list_pictures(folder), folders.held_out)[0] for folder in folders.styles]
        self._portraits = [list_pictures(folder) for folder in folders.portraits]

    def __call__(self, rng: np.random.Generator) -> Drawn:
        """Return `photo` and `style`, 3xSxS bytes, and `canvas`, 1xSxS."""
        folders = self._folders
        if self._portraits and rng.random() < folders.portrait_share:
            photo = self._crop(self._portraits[int(rng.integers(len(self._portraits)))], (0.3, 1.2), rng)
        else:
            photo = self._crop(self._photos, (0.7, 1.3), rng)
        if rng.random() < folders.photo_styles:
            style = self._crop(self._photos, (0.7, 1.5), rng)
        else:
            style = self._crop(self._styles[int(rng.integers(len(self._styles)))], (0.8, 1.8), rng)
        if rng.random() < folders.recoloured:
            style = recolour(style, rng)
        y, x = (int(place) for place in rng.integers(PERIOD, size=2))
        return {
            "photo": to_bytes(photo),
            "style": to_bytes(style),
            "canvas": canvas(folders.grain, (y, y + self._size), (x, x + self._size)),
        }

    def _crop(self, paths: Sequence[Path], scales: tuple[float, float], rng: np.random.Generator) -> Image:
        return random_crop(read_picture(paths[int(rng.integers(len(paths)))]), self._size, scales, rng)


class AnyStyleHeldOut(Dataset[Drawn]):
    """Show the middle of each photo that is held out, beside that of a held-out painting."""

    def __init__(self, folders: AnyStyleFolders, size: int) -> None:
        _, self._photos = hold_out(list_pictures(folders.photos), folders.held_out)
        held = [hold_out(list_pictures(folder), folders.held_out)[1] for folder in folders.styles]
        self._styles = [path for paths in zip(*held, strict=True) for path in paths]  # each folder in turn
        self._size, self._canvas = size, canvas(folders.grain, (0, size), (0, size))

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, index: int) -> Drawn:
        """Return one of them, as `AnyStyleDraw` does."""
        photo, style = (
            to_bytes(middle_square(read_picture(path), self._size))
            for path in (self._photos[index], self._styles[index])
        )
        return {"photo": photo, "style": style, "canvas": self._canvas}


def canvas(strength: float, rows: tuple[int, int], columns: tuple[int, int]) -> torch.Tensor:
    """Return a piece of the canvas as it is added to a photo, 1xHxW."""
    return strength * torch.from_numpy(grain(rows, columns))[None]


def recolour(image: Image, rng: np.random.Generator) -> Image:
    """Return the picture with its hue turned by any angle and its saturation changed by up to a half."""
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    angle, factor = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.5)
    turn = factor * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    lab[..., 1:] = lab[..., 1:] @ turn.T
    turned = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)
    return np.asarray(np.rint(255 * turned), dtype=np.uint8)
