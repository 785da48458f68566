"""Pack files into a ZIP archive that is sent while it is made; nothing touches the disk."""

import zipfile
from collections.abc import Callable, Iterator, Mapping


class _Chunks:
    """A file that cannot seek, from which what was written is taken."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes, /) -> int:
        self._held += data
        return len(data)

    def flush(self) -> None:
        """Do nothing: there is nothing behind."""

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def take(self) -> bytes:
        data, self._held = bytes(self._held), bytearray()
        return data


def zip_files(files: Mapping[str, Callable[[], bytes]]) -> Iterator[bytes]:
    """Yield a ZIP archive of files, one of which is in memory at a time; pictures are compressed already."""
    chunks = _Chunks()
    with zipfile.ZipFile(chunks, "w", zipfile.ZIP_STORED) as archive:
        for name, read in files.items():
            archive.writestr(name, read())
            yield chunks.take()
    yield chunks.take()
