"""Write what a network made of photos, to be looked at; it measures nothing."""

from itertools import count
from pathlib import Path

import numpy as np

from sfumato.io import Picture, write_picture
from sfumato.training.easyportrait import PALETTE
from sfumato.types import Image, Labels


class SideBySide:
    """Write each picture that it is shown as `00000.png`, `00001.png` and so on into a folder."""

    def __init__(self, folder: Path, *, overwrite: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._overwrite, self._numbers = folder, overwrite, count()

    def __call__(self, photo: Image, predicted: Labels, true: Labels) -> None:
        """Write one picture.

        Raises:
            OutputExistsError: the file exists and is not to be overwritten.
        """
        row = Picture(lay_side_by_side(photo, predicted, true))
        write_picture(row, self._folder / f"{next(self._numbers):05d}.png", overwrite=self._overwrite)


def lay_side_by_side(photo: Image, predicted: Labels, true: Labels) -> Image:
    """Return Hx3W: the photo, the prediction and the truth in the data set's colours."""
    return np.concatenate([photo, PALETTE[predicted], PALETTE[true]], axis=1)


class PaintingFiles:
    """Write each painting that it is shown into a folder, under the name of its photo, as PNG."""

    def __init__(self, folder: Path, *, overwrite: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._overwrite = folder, overwrite

    def __call__(self, photo: Path, painted: Image) -> None:
        """Write one painting.

        Raises:
            OutputExistsError: the file exists and is not to be overwritten.
        """
        write_picture(Picture(painted), self._folder / f"{photo.stem}.png", overwrite=self._overwrite)
