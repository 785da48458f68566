"""Keep the files of models in the user's cache: fetched, verified, removed; what is in them others know.

SFUMATO_HOME/models/NAME/FILE        the file, as its authors made it
SFUMATO_HOME/models/NAME/model.json  its sha256 and, for a model that the user added, what it is
SFUMATO_HOME/pins.json               the sha256 of each model that nobody publishes one for
SFUMATO_HOME/licences.json           the licences that the user has accepted
"""

import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from sfumato.download import Progress, Remote, digest_of, fetch
from sfumato.errors import DownloadError, ModelError, OutputError, SettingsError
from sfumato.registry import SETS, ModelFile, ModelSpec, Task, is_sha256, load_registry, model_path
from sfumato.settings import cache_folder, is_offline, mirror
from sfumato.settings_parsing import did_you_mean
from sfumato.store_licences import check_licences
from sfumato.store_records import (
    RECORD,
    describe_added,
    folder_of,
    models_folder,
    read_added,
    read_record,
    signature,
    write_record,
)
from sfumato.store_tables import LICENCES, PINS, change_table, read_table


def known_models() -> Mapping[str, ModelSpec]:
    """Return every model by name: those of the registry and those that the user added.

    An added one may have a name of its own, or one that the registry has no address for. What is said of one in a
    damaged file is left out, and logged.
    """
    registry = load_registry()
    added = (read_added(record) for record in sorted(models_folder().glob(f"*/{RECORD}")))
    own = {spec.name: spec for spec in added if spec is not None}
    kept = {name: spec for name, spec in own.items() if name not in registry or is_open(registry[name])}
    return {**registry, **kept}


def is_open(spec: ModelSpec) -> bool:
    """Tell whether a model of the registry is one that the user has to bring: it is nowhere to be fetched."""
    return not spec.embedded and not spec.urls


def find_models(names: Iterable[str]) -> list[ModelSpec]:
    """Return the models of these names, in order and each once; the name of a set stands for all of it.

    Raises:
        SettingsError: there is no such model; the nearest is suggested.
    """
    known = known_models()
    single = [_first_had(part, known) for name in names for part in SETS.get(name, (name,))]
    for name in single:
        if name not in known:
            near = did_you_mean(name, {**known, **dict.fromkeys(SETS)})
            raise SettingsError(f"unknown model '{name}'{near}; see: sfumato models list")
    return [known[name] for name in dict.fromkeys(single)]


def _first_had(names: str, known: Mapping[str, ModelSpec]) -> str:
    """Return the first of names divided by commas that is on this machine, or else that has an address."""
    several = names.split(",")
    if len(several) == 1:
        return names
    here = [name for name in several if name in known and find_stored(known[name]) is not None]
    had = [name for name in several if name in known and known[name].urls]
    return next(iter([*here, *had]), several[0])


def find_model(name: str, task: Task) -> ModelSpec | None:
    """Return the model of this name and task, a stylizer by its style as well, or None.

    Raises:
        SettingsError: the model is there for another task.
    """
    known = known_models()
    styles = {spec.style: spec for spec in known.values() if spec.style and spec.task == task}
    spec = styles.get(name) or known.get(name)
    if spec is not None and spec.task != task:
        raise SettingsError(f"model '{name}' is a {spec.task}, not a {task}; see: sfumato models list")
    return spec


def find_stored(spec: ModelSpec) -> ModelFile | None:
    """Return the file of a model if it is on this machine, and its sha256 without reading it, or None."""
    if spec.embedded:
        return ModelFile(model_path(spec), str(spec.sha256))
    path = folder_of(spec) / spec.file
    record = read_record(spec.name)
    return ModelFile(path, record["sha256"]) if record is not None and path.is_file() else None


def open_stored(spec: ModelSpec) -> ModelFile:
    """Return the file of a model, verified: read again if its size or time is another than when it was verified last.

    Raises:
        ModelError: it is not on this machine, or damaged; the remedy is named.
    """
    stored = find_stored(spec)
    if stored is None:
        remedy = f"get it with: sfumato models pull {spec.name}" if spec.urls else spec.note
        raise ModelError(f"model {spec.name} is not on this machine; {remedy}")
    if not spec.embedded and signature(stored.path) != (read_record(spec.name) or {}).get("seen"):
        return verify(spec)
    return stored


def verify(spec: ModelSpec) -> ModelFile:
    """Read a model's file and return it if it is whole and the one that it should be.

    Raises:
        ModelError: it is not on this machine, or another.
    """
    if spec.embedded:
        return ModelFile(model_path(spec), str(spec.sha256))
    stored = find_stored(spec)
    if stored is None:
        raise ModelError(f"model {spec.name} is not on this machine; see: sfumato models list")
    digest = digest_of(stored.path)
    if digest != stored.sha256:
        raise ModelError(
            f"model {spec.name} is damaged: {stored.path} has another sha256 than it should; remove it with sfumato "
            f"models remove {spec.name} and get it again"
        )
    expected = expected_sha256(spec)
    if expected not in (None, digest):
        remedy = f"sfumato models remove {spec.name} --forget"
        raise ModelError(
            f"model {spec.name} is whole, but {expected} is asked of it and it has {digest}; begin anew with: {remedy}"
        )
    with suppress(OutputError):  # a cache that cannot be written is read again each time
        write_record(spec, digest, (read_record(spec.name) or {}).get("spec"))
    return stored


def expected_sha256(spec: ModelSpec) -> str | None:
    """Return what a model's file must have: the registry's, else what was pinned when it came first, or None."""
    return spec.sha256 or read_table(PINS).get(spec.name)


def pin(spec: ModelSpec, sha256: str) -> None:
    """Say what a model's file must have from now on.

    Raises:
        SettingsError: that is no sha256, or another is known or pinned already.
    """
    digest = sha256.strip().lower()
    if not is_sha256(digest):
        raise SettingsError(f"sha256 '{sha256}' is none; give its 64 hexadecimal digits")
    there = expected_sha256(spec)
    if there not in (None, digest):
        known = "the registry says" if spec.sha256 else "pinned is"
        remedy = "" if spec.sha256 else f", or forget it: sfumato models remove {spec.name} --forget"
        raise SettingsError(f"sha256 of {spec.name}: {known} {there}, not {digest}; look again{remedy}")
    if spec.sha256 is None:
        change_table(PINS, lambda pins: {spec.name: digest, **pins})


def pull(
    spec: ModelSpec,
    *,
    sha256: str | None = None,
    offline: bool = False,
    timeout: float = 30.0,
    progress: Progress | None = None,
) -> ModelFile:
    """Bring a model to this machine; one that is there already is only verified.

    Where nobody publishes a sha256, that of the first download is pinned: later ones must have it too.

    Args:
        sha256: pin this one beforehand.

    Raises:
        LicenceError: its licence must be accepted first.
        DownloadError: offline, it has no address, or none gave the true file.
        OutputError: there is no room for it, or it cannot be written.
        SettingsError: the sha256 is none, or not the known one.
    """
    check_licences([spec], accept=False)
    if sha256 is not None:
        pin(spec, sha256)
    if not spec.urls:
        if find_stored(spec) is None:
            raise DownloadError(f"{spec.name} has no address; {spec.note}")
        return verify(spec)
    nearby = mirror()
    urls = (f"{nearby}/{spec.file}", *spec.urls) if nearby else spec.urls
    remote = Remote(spec.name, urls, spec.bytes, expected_sha256(spec))
    path = folder_of(spec) / spec.file
    digest = fetch(remote, path, offline=offline or is_offline(), timeout=timeout, progress=progress)
    pin(spec, digest)
    write_record(spec, digest, None)
    return ModelFile(path, digest)


def put(spec: ModelSpec, source: Path, digest: str, *, added: bool = False) -> ModelFile:
    """Move a whole file of known sha256 into the place of a model.

    Args:
        added: it is the user's own; what it is goes with it.

    Raises:
        OutputError: it cannot be written.
        SettingsError: another sha256 is known or pinned.
    """
    path = folder_of(spec) / spec.file
    if not added:
        pin(spec, digest)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        source.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    write_record(spec, digest, describe_added(spec) if added else None)
    return ModelFile(path, digest)


def remove(spec: ModelSpec, *, forget: bool = False) -> int:
    """Delete a model's files and return how many bytes that freed; a download that goes on is waited for.

    Args:
        forget: its pinned sha256 and its accepted licence as well.

    Raises:
        SettingsError: it is embedded.
        OutputError: they cannot be deleted.
    """
    if spec.embedded:
        raise SettingsError(f"model {spec.name} is part of sfumato; it cannot be removed")
    stored, folder = find_stored(spec), folder_of(spec)
    freed = 0
    if folder.is_dir():
        from filelock import FileLock

        try:
            with FileLock(folder / f"{spec.file}.lock"):
                freed += _delete(folder)
        except OSError as error:
            raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from error
    if stored is not None:
        freed += sum(_delete(made) for made in (cache_folder() / "converted").glob(f"*/{stored.sha256}"))
    if forget:
        for table in (PINS, LICENCES):
            change_table(
                table, lambda held: {name: value for name, value in held.items() if name != spec.name}
            )
    return freed


def _delete(folder: Path) -> int:
    """Delete a folder and return how many bytes it held.

    Raises:
        OutputError: it cannot be deleted.
    """
    held = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise OutputError(f"{folder} cannot be deleted; look at its permissions")
    return held
