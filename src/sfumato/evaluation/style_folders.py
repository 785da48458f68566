"""Measure a style, or what another program painted, on folders of photos and paintings; it draws no conclusion."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sfumato.errors import InputError, MissingInputError
from sfumato.evaluation.style import StyleScores, load_judges, score_painted, to_side
from sfumato.styles import open_style
from sfumato.training.crops import SUFFIXES, hold_out, list_pictures, read_picture
from sfumato.types import Image

Paint: TypeAlias = Callable[[Path, Image], Image]
"""Return what became of a photo of this name."""


@dataclass(frozen=True, slots=True)
class StyleFolders:
    """Say what is measured.

    Attributes:
        photos: folder of photos, of which the last `photos_held_out` by name are painted.
        paintings: folder of paintings, of which the last `paintings_held_out` by name count as unseen.
        vgg: weights of VGG19 to relu3_1.
    """

    photos: Path
    paintings: Path
    vgg: Path
    photos_held_out: int = 120
    paintings_held_out: int = 60


def measure_style(
    paint: Paint, folders: StyleFolders, show: Callable[[Path, Image], None] | None = None
) -> StyleScores:
    """Return how painted photos compare with paintings, each brought to 256x256 before it is painted.

    Args:
        show: called with each photo's path and its painting.

    Raises:
        InputError: a folder has too few pictures.
    """
    _, kept = hold_out(list_pictures(folders.photos), folders.photos_held_out)
    every = list_pictures(folders.paintings)
    hold_out(every, folders.paintings_held_out)
    before, after = [], []
    for path in kept:
        before.append(to_side(read_picture(path)))
        after.append(to_side(paint(path, before[-1])))
        if show is not None:
            show(path, after[-1])
    pictures = [read_picture(path) for path in every]
    return score_painted(
        before, after, pictures, load_judges(folders.vgg), held_out=folders.paintings_held_out
    )


def paint_in(style: str, *, exact: bool = False) -> Paint:
    """Return what paints in a style, by name or file (see `open_style`)."""
    stage = open_style(style, "cpu", exact=exact).stage
    return lambda _, image: stage(image)


def painted_in(folder: Path) -> Paint:
    """Return what reads the painting that another program made of a photo, under its name and whatever suffix.

    Raises:
        InputError: the folder holds two of one name; or when called, none for a photo.
    """
    by_stem: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES and by_stem.setdefault(path.stem, path) != path:
            raise InputError(f"{folder} holds both {by_stem[path.stem].name} and {path.name}; remove one")

    def read(path: Path, _image: Image) -> Image:
        if path.stem not in by_stem:
            raise MissingInputError(f"{folder} holds no painted {path.stem}; paint every held-out photo")
        return read_picture(by_stem[path.stem])

    return read
