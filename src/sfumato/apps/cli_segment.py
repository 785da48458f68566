"""Write the classes of a picture: ids as a grey PNG, colours as an overlay."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.apps.cli_inputs import STREAM, default_target, refuse_existing, refuse_replaced_input
from sfumato.apps.cli_streams import write_stream
from sfumato.errors import SettingsError
from sfumato.types import Labels

if TYPE_CHECKING:
    from sfumato.io import Picture


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
    from sfumato.labels import colour_classes

    if files.overlay is not None:
        shown = Picture(colour_classes(picture.image, labels))
        write_picture(shown, files.overlay, overwrite=files.overwrite)
    if files.labels == STREAM:
        write_stream(encode_labels(labels))
    else:
        write_labels(labels, files.labels, overwrite=files.overwrite)
