"""Read and write files on a disk or in a cloud's storage, by pyarrow's file systems; nothing is painted here."""

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sfumato.errors import BackendMissingError, InputError, OutputError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

SCHEMES = ("s3", "gs", "gcs", "abfs", "hdfs", "file")
"""Of addresses; anything else is a path on this machine."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A folder on a disk or in a cloud's storage.

    Attributes:
        system: reads and writes there.
        root: of the folder, as the system calls it.
    """

    system: "FileSystem"
    root: str

    @classmethod
    def open(cls, address: str) -> Self:
        """Return the storage of an address such as s3://bucket/paintings, or of a path.

        Raises:
            BackendMissingError: pyarrow is not installed.
            InputError: there is no such storage.
        """
        try:
            from pyarrow import ArrowException
            from pyarrow.fs import FileSystem, LocalFileSystem
        except ImportError as error:
            raise BackendMissingError("clusters need pyarrow; try: pip install 'sfumato[ray]'") from error
        if not is_address(address):
            return cls(LocalFileSystem(), str(Path(address).resolve()))
        try:
            system, root = FileSystem.from_uri(_in_one_request(address))
        except (ArrowException, OSError, ValueError) as error:
            raise InputError(f"cannot open {address}: {_reason(error)}; check the address") from error
        return cls(system, root)

    @property
    def is_local(self) -> bool:
        """Return whether the files lie on a disk of this machine, or on one that all nodes share."""
        return str(self.system.type_name) == "local"

    def path(self, name: str) -> str:
        """Return what the system calls a file below the folder."""
        return f"{self.root}/{name}" if name else self.root

    def stamp(self, name: str) -> tuple[int, int] | None:
        """Return size in bytes and time of change in nanoseconds of a file, or None where there is none."""
        held = self.system.get_file_info(self.path(name))
        return (int(held.size), int(held.mtime_ns or 0)) if held.is_file else None

    def read(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            OSError: there is none, or it cannot be read.
        """
        with self.system.open_input_stream(self.path(name)) as stream:
            return bytes(stream.read())

    def write(self, name: str, data: bytes) -> None:
        """Write a file that appears under its name only once it is whole.

        Storage of clouds shows objects only when they are whole; on a disk a temporary file is renamed.

        Raises:
            OutputError: it cannot be written.
        """
        target = self.path(name)
        try:
            if not self.is_local:  # folders come with their files
                self._put(target, data)
                return
            self.system.create_dir(target.rpartition("/")[0], recursive=True)
            temporary = f"{target.rpartition('/')[0]}/.sfumato-{secrets.token_hex(8)}.tmp"
            try:
                self._put(temporary, data)
                self.system.move(temporary, target)
            except OSError:
                self.delete(os.path.relpath(temporary, self.root))
                raise
        except OSError as error:
            raise OutputError(
                f"cannot write {target}: {_reason(error)}; check space and permissions"
            ) from error

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            self.system.delete_file(self.path(name))
        except FileNotFoundError:
            return

    def names(self, folder: str) -> Iterator[str]:
        """Yield the names of the files right below a folder, in order; none where there is no such folder."""
        from pyarrow.fs import FileSelector

        found = self.system.get_file_info(FileSelector(self.path(folder), allow_not_found=True))
        yield from sorted(held.base_name for held in found if held.is_file)

    def walk(self) -> Iterator[str]:
        """Yield the names of all files below the folder, those of one folder together and in order."""
        from pyarrow.fs import FileSelector

        found = self.system.get_file_info(FileSelector(self.root, allow_not_found=True, recursive=True))
        names = [held.path[len(self.root) :].lstrip("/") for held in found if held.is_file]
        yield from sorted(names, key=lambda name: name.split("/"))

    def _put(self, path: str, data: bytes) -> None:
        with self.system.open_output_stream(path) as stream:
            stream.write(data)


def is_address(text: str) -> bool:
    """Tell whether a text is an address of a storage rather than a path."""
    return text.partition("://")[0] in SCHEMES and "://" in text


def _in_one_request(address: str) -> str:
    """Return an address of S3 so that small files are written by one request instead of three."""
    if not address.startswith("s3://"):
        return address
    return f"{address}{'&' if '?' in address else '?'}allow_delayed_open=true"


def _reason(error: BaseException) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split()).lower()
