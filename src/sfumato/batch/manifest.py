"""Read a list of pictures with options of their own from CSV or Parquet; nothing is painted here."""

import csv
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

from sfumato.batch.item import AS_IT_IS, Item, Writing
from sfumato.batch.plan import name_results
from sfumato.batch.storage import is_address
from sfumato.errors import BackendMissingError, InputError, MissingInputError, SettingsError
from sfumato.settings import Options, Settings
from sfumato.settings_parsing import did_you_mean

MANIFESTS = frozenset({".csv", ".parquet"})
"""Suffixes of manifests."""

PLACES = ("input", "output")
KINDS: Mapping[str, type] = {field.name: type(field.default) for field in fields(Settings)}


@dataclass(frozen=True, slots=True)
class Manifest:
    """A table of pictures: `input`, `output` where it is not to be named after the input, and options of `Settings`.

    Attributes:
        path: of the table; relative inputs are below its folder.
        target: folder or address that outputs are below.
        settings: hold where a row says nothing.
    """

    path: Path
    target: str
    settings: Settings
    writing: Writing = AS_IT_IS

    def items(self) -> Iterator[Item]:
        """Yield every picture of the table, in order.

        Raises:
            MissingInputError: there is no such table.
            InputError: it cannot be read, or has no column `input`.
            SettingsError: a row has an unknown option, a value that means nothing, or another's output.
        """
        taken: dict[str, int] = {}
        for number, row in enumerate(_rows(self.path), start=1):
            item = self._item(number, row)
            first = taken.setdefault(item.target.casefold(), number)
            if first != number:
                raise SettingsError(
                    f"{self.path}: rows {first} and {number} would both be written to {item.target}; name two outputs"
                )
            yield item

    def _item(self, number: int, row: Mapping[str, Any]) -> Item:
        given = {name: value for name, value in row.items() if value not in (None, "")}
        name = str(given.pop("input", ""))
        if not name:
            raise InputError(f"{self.path}: row {number} has no input; name a picture in its column 'input'")
        written = str(given.pop("output", "")) or name_results([Path(name).name], self.writing.format)[0]
        if posixpath.isabs(written) or ".." in written.split("/"):
            raise SettingsError(
                f"{self.path}: row {number}: output '{written}' leaves the folder; name one below"
            )
        try:
            settings = replace(self.settings, **_options(given))
        except SettingsError as error:
            raise SettingsError(f"{self.path}: row {number}: {error}") from error
        source = name if is_address(name) else str(self.path.parent / name)
        return Item(source, f"{self.target.rstrip('/')}/{written}", name, settings, self.writing)


def _options(given: Mapping[str, object]) -> Options:
    """Return the options of a row, each of its type."""
    return cast(Options, {name: _typed(name, value) for name, value in given.items()})


def _typed(name: str, value: object) -> object:
    """Return the value of an option in its type."""
    if name not in KINDS:
        raise SettingsError(
            f"unknown column '{name}'{did_you_mean(name, KINDS)}; use {', '.join((*PLACES, *KINDS))}"
        )
    kind = KINDS[name]
    text = str(value).strip()
    if kind is bool:
        known = {"true": True, "1": True, "false": False, "0": False}
        if text.lower() not in known:
            raise SettingsError(f"{name} '{text}' is neither true nor false")
        return known[text.lower()]
    try:
        return kind(text)
    except ValueError as error:
        raise SettingsError(f"{name} '{text}' is not a number") from error


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    if not path.is_file():
        raise MissingInputError(f"no such manifest: {path}; name a CSV or Parquet file")
    rows = _parquet_rows(path) if path.suffix.lower() == ".parquet" else _csv_rows(path)
    first = next(rows, None)
    if first is None:
        raise InputError(f"{path} names no pictures; give it rows")
    if "input" not in first:
        raise InputError(f"{path} has no column 'input'; its first line must name the columns")
    yield first
    yield from rows


def _csv_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file, strict=True):
                if None in row:
                    raise InputError(f"{path} has a row with more values than columns; correct it")
                yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no CSV in UTF-8 ({error}); save it again") from error


def _parquet_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise BackendMissingError(
            "Parquet needs pyarrow; try: pip install 'sfumato[ray]', or write CSV"
        ) from error
    try:
        with ParquetFile(path) as table:
            for batch in table.iter_batches():
                yield from batch.to_pylist()
    except (ArrowException, OSError) as error:
        raise InputError(f"{path} is no Parquet ({error}); write it again") from error
