"""Read the files of a data set where they lie: in a folder or inside a zip archive that stays packed."""

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile

from sfumato.errors import UNREADABLE, DatasetError, InputError

LARGEST_FILE = 256_000_000
"""Bytes above which a packed file is refused; no photo or table of a data set is that large."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, or a member of a zip archive; nothing is ever unpacked to the disk.

    Attributes:
        path: the file, or the archive.
        member: name inside the archive; None for a plain file.
    """

    path: Path
    member: str | None = None

    @property
    def stem(self) -> str:
        """Return the last name without its suffix."""
        return PurePosixPath(self.member or self.path.name).stem

    def __str__(self) -> str:
        return f"{self.path}:{self.member}" if self.member else str(self.path)

    def read(self) -> bytes:
        """Return the bytes.

        Raises:
            DatasetError: the member is damaged, or larger than any file of a data set.
        """
        if self.member is None:
            return self.path.read_bytes()
        archive = _archive(self.path, os.getpid())
        if archive.getinfo(self.member).file_size > LARGEST_FILE:
            raise DatasetError(
                UNREADABLE, f"{self} is over {LARGEST_FILE // 10**6} MB unpacked; take it out of the archive"
            )
        try:
            return archive.read(self.member)
        except (BadZipFile, EOFError, OSError, RuntimeError, zlib.error) as error:
            raise DatasetError(
                UNREADABLE, f"{self} is damaged or encrypted; get a whole copy of the archive"
            ) from error


@lru_cache(maxsize=16)
def _archive(path: Path, _process: int) -> ZipFile:
    """Return the open archive of this process; a forked process must not share its parent's file position."""
    try:
        return ZipFile(path)
    except BadZipFile as error:
        raise InputError(f"{path} is no whole zip archive; download it again") from error


def list_entries(root: Path, kind: str, split: str) -> list[Entry]:
    """Return the files of `kind/split` by stem: of the folder, or of `kind.zip` with or without `kind/` in front.

    Args:
        kind: images or annotations.
        split: train, val or test.
    """
    folder = root / kind / split
    if folder.is_dir():
        return sorted((Entry(path) for path in folder.iterdir() if path.is_file()), key=_by_stem)
    archive = root / f"{kind}.zip"
    if not archive.is_file():
        return []
    inside = {(split,), (kind, split)}
    members = [name for name in _member_names(archive) if PurePosixPath(name).parent.parts in inside]
    return sorted((Entry(archive, name) for name in members), key=_by_stem)


def find_table(root: Path, name: str = "meta.csv") -> bytes | None:
    """Return the table of a data set, plain or packed: in the root, in annotations, or in a zip of either."""
    for folder in (root, root / "annotations"):
        if (folder / name).is_file():
            return (folder / name).read_bytes()
        if (packed := folder / f"{Path(name).stem}.zip").is_file():
            return _table_of(packed.read_bytes(), name)
    archive = root / "annotations.zip"
    return _table_of(archive, name) if archive.is_file() else None


def _table_of(archive: Path | bytes, name: str) -> bytes | None:
    """Return the table of an archive, or of the `meta.zip` within it."""
    with ZipFile(archive if isinstance(archive, Path) else BytesIO(archive)) as opened:
        for member in opened.namelist():
            last = PurePosixPath(member).name
            if last == name:
                return opened.read(member)
            if last == f"{Path(name).stem}.zip":
                return _table_of(opened.read(member), name)
    return None


def _member_names(archive: Path) -> Iterator[str]:
    return (info.filename for info in _archive(archive, os.getpid()).infolist() if not info.is_dir())


def _by_stem(entry: Entry) -> tuple[str, str]:
    return entry.stem, str(entry)
