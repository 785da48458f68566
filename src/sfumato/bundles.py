"""Carry models to a machine without a network: one zip with their files, verified on both sides."""

import json
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from sfumato.download import CHUNK, Progress, check_room
from sfumato.errors import InputError, MissingInputError, OutputError, OutputExistsError, SettingsError
from sfumato.registry import ModelFile, ModelSpec, is_sha256, load_registry, make_spec
from sfumato.store import expected_sha256, put, verify
from sfumato.store_added import check_free
from sfumato.store_licences import check_licences
from sfumato.store_records import describe_added, models_folder
from sfumato.store_tables import discard, temporary_in

MANIFEST = "sfumato-bundle.json"
FORM = 1
"""Number of the form of bundles."""

LARGEST_MANIFEST = 1 << 20
"""Bytes of a manifest that are read."""

_DAMAGE = (BadZipFile, NotImplementedError, EOFError, RuntimeError, ValueError, zlib.error, struct.error)
"""What Python's reader raises on damaged zips."""

_SENSELESS = (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, SettingsError)
"""What a manifest that means nothing raises."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A model in a bundle.

    Attributes:
        added: it is none of the registry.
    """

    spec: ModelSpec
    bytes: int
    sha256: str
    added: bool

    @property
    def member(self) -> str:
        """Return the name of its file in the zip."""
        return f"models/{self.spec.name}/{self.spec.file}"


def export_bundle(
    specs: Sequence[ModelSpec], target: Path, *, overwrite: bool = False, progress: Progress | None = None
) -> list[Entry]:
    """Write a zip of models on this machine, each read once more and verified, and return what is in it.

    Raises:
        SettingsError: a model is embedded, and so on every machine.
        ModelError: one is not on this machine, or damaged.
        OutputExistsError: the zip exists and `overwrite` is false.
        OutputError: it cannot be written.
    """
    if target.is_dir() or not target.name:
        raise OutputError(f"{target} is a folder; name the zip to write")
    if target.exists() and not overwrite:
        raise OutputExistsError(f"{target} exists; use --overwrite, or another name")
    embedded = [spec.name for spec in specs if spec.embedded]
    if embedded:
        raise SettingsError(f"model {embedded[0]} is part of sfumato; leave it out of the bundle")
    entries = [(_entry(spec, file), file.path) for spec, file in ((spec, verify(spec)) for spec in specs)]
    temporary = temporary_in(target.parent)
    total, done = sum(entry.bytes for entry, _ in entries), 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with ZipFile(temporary, "w", ZIP_STORED) as bundle:
            bundle.writestr(MANIFEST, _manifest([entry for entry, _ in entries]))
            for entry, path in entries:
                with (
                    path.open("rb") as source,
                    bundle.open(ZipInfo(entry.member), "w", force_zip64=True) as member,
                ):
                    done = _copy(source, [member.write], done, total, progress)
        temporary.replace(target)
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        discard(temporary)
    return [entry for entry, _ in entries]


def import_bundle(source: Path, *, accept: bool = False, progress: Progress | None = None) -> list[Entry]:
    """Bring the models of a zip of `export_bundle` to this machine and return them; nothing is fetched.

    A file must have the sha256 that the registry knows; of a model that it knows none of, that of the bundle is pinned.

    Args:
        accept: accept licences that must be.

    Raises:
        MissingInputError: there is no such file.
        InputError: it is no bundle, or a file in it is damaged or another than it should be; nothing of it is kept.
        LicenceError: a licence must be accepted first.
        OutputError: it cannot be written.
    """
    if not source.is_file():
        raise MissingInputError(f"{source} does not exist; name a bundle of sfumato models export-bundle")
    fresh: list[tuple[Entry, Path]] = []
    try:
        with ZipFile(source) as bundle:
            entries = _read_manifest(bundle, source)
            if not accept:
                check_licences(_registered(entries), accept=False)
            total = sum(entry.bytes for entry in entries)
            for entry in entries:
                done = sum(before.bytes for before, _ in fresh)
                fresh.append((entry, temporary_in(models_folder())))
                _take(bundle, *fresh[-1], (done, total, progress))
        check_licences(_registered(entries), accept=accept)
        for entry, temporary in fresh:
            put(entry.spec, temporary, entry.sha256, added=entry.added)
    except _DAMAGE as error:
        raise InputError(f"{source} is no whole bundle; export it again") from error
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror or error}; export it again") from error
    finally:
        for _, temporary in fresh:
            discard(temporary)
    return entries


def _registered(entries: Sequence[Entry]) -> list[ModelSpec]:
    return [entry.spec for entry in entries if not entry.added]


def _entry(spec: ModelSpec, file: ModelFile) -> Entry:
    registered = load_registry().get(spec.name)
    return Entry(
        spec, file.path.stat().st_size, file.sha256, registered is None or registered.file != spec.file
    )


def _manifest(entries: Sequence[Entry]) -> str:
    models = [
        {
            "name": entry.spec.name,
            "file": entry.spec.file,
            "bytes": entry.bytes,
            "sha256": entry.sha256,
            **({"spec": describe_added(entry.spec)} if entry.added else {}),
        }
        for entry in entries
    ]
    return json.dumps({"sfumato_bundle": FORM, "models": models}, indent=2) + "\n"


def _read_manifest(bundle: ZipFile, source: Path) -> list[Entry]:
    try:
        info = bundle.getinfo(MANIFEST)
        if info.file_size > LARGEST_MANIFEST:
            raise ValueError("its manifest is too large")
        _check_stored(info)
        manifest: dict[str, Any] = json.loads(bundle.read(info))
        if manifest["sfumato_bundle"] != FORM:
            raise ValueError("it is of another version")
        return [_described(model, bundle) for model in manifest["models"]]
    except _SENSELESS as error:
        raise InputError(f"{source} is no bundle of sfumato ({error}); export it again") from error


def _check_stored(info: ZipInfo) -> None:
    """Make sure that a file of a zip is neither compressed nor encrypted.

    Raises:
        ValueError: it is.
    """
    if info.compress_type != ZIP_STORED or info.flag_bits & 1:
        raise ValueError(f"{info.filename} is compressed or encrypted")


def _described(model: dict[str, Any], bundle: ZipFile) -> Entry:
    """Return a model of a manifest.

    Raises:
        ValueError: it is unknown, or its file is not stored as it is said to be.
        SettingsError: its name means something else here.
    """
    name = str(model["name"])
    added = "spec" in model
    registered = load_registry().get(name)
    if (registered is None and not added) or (registered is not None and registered.embedded):
        raise ValueError(f"model {name} is unknown here, or embedded")
    spec = make_spec(name, model["spec"]) if added else registered
    assert spec is not None  # one of both
    entry = Entry(spec, int(model["bytes"]), str(model["sha256"]), added)
    info = bundle.getinfo(entry.member)
    _check_stored(info)
    if info.file_size != entry.bytes or spec.file != model["file"] or not is_sha256(entry.sha256):
        raise ValueError(f"{entry.member} is not stored as it is said to be")
    if added:
        if spec.urls or spec.style or (registered is not None and registered.urls):
            raise ValueError(f"model {name} is described as none of a user's own is")
        check_free(name, spec.task, spec.file, entry.sha256)
    elif expected_sha256(spec) not in (None, entry.sha256):
        raise ValueError(f"model {name} is another file than the known one")
    return entry


def _take(bundle: ZipFile, entry: Entry, temporary: Path, state: tuple[int, int, Progress | None]) -> None:
    """Copy the file of a model out of the bundle and verify it.

    Args:
        state: bytes done and in all, and whom to tell.

    Raises:
        InputError: it is another file.
        OutputError: it cannot be written.
    """
    try:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        check_room(entry.spec.name, temporary.parent, entry.bytes)
        digest = sha256()
        with bundle.open(entry.member) as member, temporary.open("wb") as file:
            _copy(member, [file.write, digest.update], *state)
    except OSError as error:
        raise OutputError(f"{temporary} cannot be written: {error.strerror or error}") from error
    if digest.hexdigest() != entry.sha256:
        raise InputError(
            f"{bundle.filename}: the file of {entry.spec.name} has another sha256 than it should; nothing is kept"
        )


def _copy(
    source: IO[bytes],
    takers: Sequence[Callable[[bytes], object]],
    done: int,
    total: int,
    progress: Progress | None,
) -> int:
    """Give each piece of a file to all takers, and return how many bytes of all files are done."""
    while piece := source.read(CHUNK):
        for take in takers:
            take(piece)
        done += len(piece)
        if progress is not None:
            progress(done, total)
    return done
