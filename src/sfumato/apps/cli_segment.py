"""Write the classes of a picture: ids as a grey PNG, colours as an overlay."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sfumato.apps.cli_inputs import STREAM, default_target, refuse_existing, refuse_replaced_input
from sfumato.apps.cli_streams import write_stream
from sfumato.errors import SettingsError
from sfumato.types import CLASSES, Image, Labels

if TYPE_CHECKING:
    from sfumato.io import Picture

COLOURS = np.array(
    [
        (0, 0, 0),
        (64, 120, 200),
        (240, 180, 140),
        (130, 90, 40),
        (190, 140, 60),
        (60, 190, 120),
        (120, 220, 60),
        (220, 50, 90),
        (250, 250, 250),
    ],
    dtype=np.uint8,
)
"""One colour for each class id; background is left as it is."""

OVERLAY_SHARE = 0.55


@dataclass(frozen=True, slots=True)
class LabelFiles:
    """Where the ids and, if wanted, the overlay of one picture go."""

    labels: Path
    overlay: Path | None = None
    overwrite: bool = False


def plan_label_files(
    source: Path, labels: Path | None, overlay: Path | None, *, overwrite: bool
) -> LabelFiles:
    """Return the files of a picture's classes, by default NAME.labels.png beside it.

    Raises:
        SettingsError: both would be one file.
        OutputError: one exists and `overwrite` is false, or one is the input.
    """
    files = LabelFiles(labels or default_target(source, ".labels.png"), overlay, overwrite)
    if files.labels == overlay:
        raise SettingsError(f"labels and overlay would both be written to {overlay}; name two files")
    written = [path for path in (files.labels, files.overlay) if path is not None]
    for path in written:
        refuse_replaced_input(source, path)
    if not overwrite:
        refuse_existing(written)
    return files


def write_label_files(files: LabelFiles, picture: "Picture", labels: Labels) -> None:
    """Write the ids and, if wanted, the overlay."""
    from sfumato.io import Picture, encode_labels, write_labels, write_picture

    if files.overlay is not None:
        shown = Picture(colour_classes(picture.image, labels))
        write_picture(shown, files.overlay, overwrite=files.overwrite)
    if files.labels == STREAM:
        write_stream(encode_labels(labels))
    else:
        write_labels(labels, files.labels, overwrite=files.overwrite)


def colour_classes(image: Image, labels: Labels) -> Image:
    """Lay a colour for each class over the picture; background stays as it is.

    >>> colour_classes(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.uint8)).max()
    np.uint8(0)
    """
    mixed = OVERLAY_SHARE * COLOURS[labels] + (1 - OVERLAY_SHARE) * image.astype(np.float32)
    return np.where(labels[..., None] > 0, np.rint(mixed), image).astype(np.uint8)


def measure_classes(labels: Labels) -> Mapping[str, float]:
    """Return the share of the picture that each class covers."""
    counts = np.bincount(labels.ravel(), minlength=len(CLASSES))
    return {name: round(float(count) / labels.size, 6) for name, count in zip(CLASSES, counts, strict=True)}
