"""Find the pictures of a folder and say where each result goes; nothing is read but names."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from sfumato.batch.item import AS_IT_IS, Item, Writing
from sfumato.errors import MissingInputError, SettingsError
from sfumato.io import PICTURE_SUFFIXES
from sfumato.settings import Settings

OWN = ".sfumato"
"""Folder below the output in which a batch keeps its ledger."""

SUFFIX_OF = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "TIFF": ".tiff",
    "AVIF": ".avif",
    "HEIF": ".heic",
}

NOT_WRITTEN = frozenset({".heic", ".heif", ".hif"})
"""Suffixes of formats that are read and written as JPEG."""


@dataclass(frozen=True, slots=True)
class Patterns:
    """Which pictures of a folder are meant, by their path below it, whose parts are divided by /.

    Attributes:
        include: one of them must fit; empty means all.
        exclude: none of them may fit.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def fit(self, path: str) -> bool:
        """Tell whether a picture is meant."""
        wanted = not self.include or any(fnmatchcase(path, pattern) for pattern in self.include)
        return wanted and not any(fnmatchcase(path, pattern) for pattern in self.exclude)


ALL = Patterns()
"""Every picture."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several equal parts of a batch, counted from 1.

    >>> Shard(1, 3).takes(0), Shard(1, 3).takes(1)
    (True, False)
    """

    index: int = 1
    count: int = 1

    def takes(self, number: int) -> bool:
        """Tell whether the picture of this number, counted from 0, is of this part."""
        return number % self.count == self.index - 1


WHOLE = Shard()
"""The only part of a batch that is not divided."""


def parse_shard(text: str) -> Shard:
    """Return the part that "2/8" names.

    Raises:
        SettingsError: it names none.
    """
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise SettingsError(f"shard '{text}' means nothing; use i/n, such as 1/8 to 8/8")
    return Shard(int(index), int(count))


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of pictures and the one that mirrors it.

    Attributes:
        settings, writing: of every picture.
    """

    source: Path
    target: Path
    settings: Settings
    writing: Writing = AS_IT_IS
    patterns: Patterns = ALL

    def items(self) -> Iterator[Item]:
        """Yield every picture below the folder, in order; hidden files, and the output itself, are left out.

        Raises:
            MissingInputError: there is no such folder.
        """
        if not self.source.is_dir():
            raise MissingInputError(f"no such folder: {self.source}; name a folder of pictures or a manifest")
        own = self.target.resolve()
        for folder, folders, files in os.walk(self.source, onerror=_refuse):
            here = Path(folder)
            folders[:] = sorted(f for f in folders if not f.startswith(".") and (here / f).resolve() != own)
            yield from self._items_of(here, sorted(files))

    def _items_of(self, folder: Path, files: Sequence[str]) -> Iterator[Item]:
        below = folder.relative_to(self.source)
        pictures = [name for name in files if self._is_meant(below, name)]
        for name, target in zip(pictures, name_results(pictures, self.writing.format), strict=True):
            yield Item(
                source=str(folder / name),
                target=str(self.target / below / target),
                name=(below / name).as_posix(),
                settings=self.settings,
                writing=self.writing,
            )

    def _is_meant(self, below: Path, name: str) -> bool:
        if name.startswith(".") or Path(name).suffix.lower() not in PICTURE_SUFFIXES:
            return False
        return self.patterns.fit((below / name).as_posix())


def name_results(names: Sequence[str], format: str | None) -> list[str]:
    """Return the names of the results of the pictures of one folder; no two are alike, not even but for case.

    >>> name_results(["a.jpg", "b.heic"], None), name_results(["a.jpg", "a.png", "b.jpg"], "PNG")
    (['a.jpg', 'b.jpg'], ['a.jpg.png', 'a.png.png', 'b.png'])
    """
    plain = [_renamed(name, format) for name in names]
    taken = Counter(name.casefold() for name in plain)
    return [
        name if taken[name.casefold()] == 1 else f"{original}{Path(name).suffix}"
        for original, name in zip(names, plain, strict=True)
    ]


def _renamed(name: str, format: str | None) -> str:
    suffix = Path(name).suffix
    if format is not None:
        suffix = SUFFIX_OF[format]
    elif suffix.lower() in NOT_WRITTEN:
        suffix = ".jpg"
    return Path(name).stem + suffix


def _refuse(error: OSError) -> None:
    reason = (error.strerror or str(error)).lower()
    raise MissingInputError(f"cannot list {error.filename}: {reason}; check its permissions")
