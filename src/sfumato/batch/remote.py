"""Find the pictures below an address of a storage; nothing is read but names."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from sfumato.batch.item import AS_IT_IS, Item, Writing
from sfumato.batch.plan import ALL, Patterns, name_results
from sfumato.batch.storage import Storage
from sfumato.errors import MissingInputError
from sfumato.io import PICTURE_SUFFIXES
from sfumato.settings import Settings


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """A folder of pictures and the one that mirrors it, either of which may be an address such as s3://bucket/photos.

    Attributes:
        settings, writing: of every picture.
    """

    source: str
    target: str
    settings: Settings
    writing: Writing = AS_IT_IS
    patterns: Patterns = ALL

    def items(self) -> Iterator[Item]:
        """Yield every picture below the folder, in order; hidden files, and the output itself, are left out.

        Raises:
            MissingInputError: there is nothing at the address.
            BackendMissingError: pyarrow is not installed.
        """
        storage, target = Storage.open(self.source), Storage.open(self.target)
        own = target.root + "/" if target.system.equals(storage.system) else None
        names = [name for name in storage.walk() if self._is_meant(name)]
        meant = [name for name in names if own is None or not storage.path(name).startswith(own)]
        if not meant:
            raise MissingInputError(f"no pictures below {self.source}; check the address")
        for folder, group in groupby(meant, key=lambda name: name.rpartition("/")[0]):
            yield from self._items_of(f"{folder}/" if folder else "", list(group))

    def _items_of(self, folder: str, names: list[str]) -> Iterator[Item]:
        plain = [name.removeprefix(folder) for name in names]
        for name, result in zip(plain, name_results(plain, self.writing.format), strict=True):
            yield Item(
                source=f"{self.source.rstrip('/')}/{folder}{name}",
                target=f"{self.target.rstrip('/')}/{folder}{result}",
                name=folder + name,
                settings=self.settings,
                writing=self.writing,
            )

    def _is_meant(self, name: str) -> bool:
        parts = name.split("/")
        suffix = parts[-1].rpartition(".")[2].lower()
        shown = not any(part.startswith(".") for part in parts)
        return shown and f".{suffix}" in PICTURE_SUFFIXES and self.patterns.fit(name)
