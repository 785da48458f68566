"""Write files whole or not at all, and over nothing unasked; no picture is encoded here."""

import errno
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from sfumato.errors import OutputError, OutputExistsError
from sfumato.io.encoding import KeepMetadata, encode_labels, encode_picture
from sfumato.io.formats import format_of
from sfumato.io.picture import Picture, shown
from sfumato.types import Labels

_REMEDIES: Mapping[int, str] = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EFBIG: "free some space",
    errno.ENOENT: "create the folder first",
    errno.ENOTDIR: "check the folder's name",
    errno.ENAMETOOLONG: "choose a shorter name",
}
_REMEDY = "choose a place that you may write to"


def write_picture(
    picture: Picture,
    target: Path,
    *,
    quality: int = 92,
    metadata: KeepMetadata = "keep",
    overwrite: bool = False,
) -> None:
    """Write `picture` in the format that the suffix of `target` names, as `write_bytes` does."""
    refuse_existing(target, overwrite=overwrite)
    format = format_of(target)
    data = encode_picture(picture, format=format, quality=quality, metadata=metadata)
    write_bytes(data, target, overwrite=overwrite)


def write_labels(labels: Labels, target: Path, *, overwrite: bool = False) -> None:
    """Write class ids as an 8-bit grey PNG, whatever the suffix of `target`."""
    refuse_existing(target, overwrite=overwrite)
    write_bytes(encode_labels(labels), target, overwrite=overwrite)


def refuse_existing(target: Path, *, overwrite: bool) -> None:
    """Fail early, before work is done for a target that will not be written.

    Raises:
        OutputExistsError: the target exists and `overwrite` is false.
        OutputError: the target is a folder.
    """
    with _refusing(target):
        if target.is_dir():
            raise OutputError(f"{shown(target)} is a folder; name a file in it")
        if not overwrite and os.path.lexists(target):
            raise FileExistsError


def write_bytes(data: bytes, target: Path, *, overwrite: bool = False) -> None:
    """Write a file that appears under its name only once it is whole and on the disk.

    Without `overwrite` a file that appears meanwhile is not touched either.

    Raises:
        OutputExistsError: the target exists and `overwrite` is false.
        OutputError: no space, no permission, no such folder.
    """
    refuse_existing(target, overwrite=overwrite)
    with _refusing(target):
        # The name is short because a folder may allow no more than the target's own 255 bytes.
        temporary = target.with_name(f".sfumato-{secrets.token_hex(8)}.tmp")
        try:
            write_new(data, temporary)
            publish(temporary, target, overwrite=overwrite)
        finally:
            with suppress(OSError):
                temporary.unlink()


@contextmanager
def _refusing(target: Path) -> Iterator[None]:
    """Turn what the system refuses into one line about `target`."""
    try:
        yield
    except FileExistsError as error:
        raise OutputExistsError(
            f"{shown(target)} exists; allow overwriting or choose another name"
        ) from error
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        remedy = _REMEDIES.get(getattr(error, "errno", 0), _REMEDY)
        raise OutputError(f"cannot write {shown(target)}: {reason}; {remedy}") from error


def write_new(data: bytes, path: Path) -> None:
    """Write a file that is not there yet, onto the disk.

    Raises:
        OSError: it is there, or there is no space or permission.
    """
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def publish(temporary: Path, target: Path, *, overwrite: bool) -> None:
    """Give a whole file its name, in one step.

    Args:
        temporary: lies on the same file system.

    Raises:
        OSError: the name is taken and `overwrite` is false, or it may not be given.
    """
    if overwrite:
        temporary.replace(target)
        return
    try:
        target.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:
        # FAT and some network disks know no hard links: take the name first, then replace what was taken.
        target.open("xb").close()
        temporary.replace(target)
