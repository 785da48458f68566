"""Keep the files of models in the user's cache: fetched, added, verified, removed; what is in them others know.

SFUMATO_HOME/models/NAME/FILE        the file, as its authors made it
SFUMATO_HOME/models/NAME/model.json  its sha256 and, for a model that the user added, what it is
SFUMATO_HOME/pins.json               the sha256 of each model that nobody publishes one for
SFUMATO_HOME/licences.json           the licences that the user has accepted
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from sfumato.download import Progress, Remote, digest_of, fetch
from sfumato.errors import (
    DownloadError,
    LicenceError,
    MissingInputError,
    ModelError,
    OutputError,
    SettingsError,
)
from sfumato.registry import SETS, ModelFile, ModelSpec, Task, is_plain, load_registry, make_spec, model_path
from sfumato.settings import cache_folder, did_you_mean, is_offline, mirror

RECORD = "model.json"


def models_folder() -> Path:
    """Return where the files of models lie."""
    return cache_folder() / "models"


def folder_of(spec: ModelSpec) -> Path:
    """Return the folder of one model."""
    return models_folder() / spec.name


def known_models() -> Mapping[str, ModelSpec]:
    """Return every model by name: those of the registry and those that the user added.

    An added one may have a name of its own, or one that the registry has no address for.

    Raises:
        ModelError: what is said of an added one is damaged.
    """
    added = (_read_added(record) for record in sorted(models_folder().glob(f"*/{RECORD}")))
    registry = load_registry()
    own = {spec.name: spec for spec in added if spec is not None}
    kept = {name: spec for name, spec in own.items() if name not in registry or not registry[name].urls}
    return {**registry, **kept}


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
    record = _read_record(spec)
    if record is None or not path.is_file():
        return None
    return ModelFile(path, str(record["sha256"]))


def open_stored(spec: ModelSpec) -> ModelFile:
    """Return the file of a model, verified: read again if its size or time is another than when it was verified last.

    Raises:
        ModelError: it is not on this machine, or damaged; the remedy is named.
    """
    stored = find_stored(spec)
    if stored is None:
        remedy = f"get it with: sfumato models pull {spec.name}" if spec.urls else spec.note
        raise ModelError(f"model {spec.name} is not on this machine; {remedy}")
    record = _read_record(spec) or {}
    if not spec.embedded and _signature(stored.path) != record.get("seen"):
        verify(spec)
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
    if digest != stored.sha256 or expected_sha256(spec) not in (None, digest):
        raise ModelError(
            f"model {spec.name} is damaged: {stored.path} has another sha256 than it should; remove it with sfumato "
            f"models remove {spec.name} and get it again"
        )
    _write_record(spec, digest, (_read_record(spec) or {}).get("spec"))
    return stored


def expected_sha256(spec: ModelSpec) -> str | None:
    """Return what a model's file must have: the registry's, else what was pinned when it came first, or None."""
    return spec.sha256 or _read_table("pins.json").get(spec.name)


def pin(spec: ModelSpec, sha256: str) -> None:
    """Say what a model's file must have from now on.

    Raises:
        SettingsError: that is no sha256, or another is known or pinned already.
    """
    digest = sha256.strip().lower()
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise SettingsError(f"sha256 '{sha256}' is none; give its 64 hexadecimal digits")
    there = expected_sha256(spec)
    if there not in (None, digest):
        known = "the registry says" if spec.sha256 else "pinned is"
        remedy = "" if spec.sha256 else f", or forget it: sfumato models remove {spec.name} --forget"
        raise SettingsError(f"sha256 of {spec.name}: {known} {there}, not {digest}; look again{remedy}")
    if spec.sha256 is None:
        _write_table("pins.json", {**_read_table("pins.json"), spec.name: digest})


def must_accept(spec: ModelSpec) -> bool:
    """Tell whether a model's licence forbids commercial use or is unclear, and the user has not accepted it yet."""
    if not spec.urls or spec.commercial_use == "yes":  # what is embedded or the user's own is not fetched
        return False
    return _read_table("licences.json").get(spec.name) != spec.weights_licence


def accept_licence(spec: ModelSpec) -> None:
    """Note that the user knows the licence of a model; another text must be accepted anew."""
    _write_table("licences.json", {**_read_table("licences.json"), spec.name: spec.weights_licence})


def check_licences(specs: Iterable[ModelSpec], *, accept: bool) -> None:
    """Make sure that the licences of these models are accepted; `accept` accepts them now.

    Raises:
        LicenceError: one is not.
    """
    open_ones = [spec for spec in specs if must_accept(spec)]
    if accept:
        for spec in open_ones:
            accept_licence(spec)
    elif open_ones:
        spec = open_ones[0]
        more = f" (and {len(open_ones) - 1} more)" if len(open_ones) > 1 else ""
        raise LicenceError(
            f"licence of {spec.name}{more}: {spec.weights_licence}; commercial use: {spec.commercial_use}. Read "
            f"sfumato models info {spec.name}, and add --accept-license if that suits you"
        )


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
    if sha256 is not None:
        pin(spec, sha256)
    if spec.embedded:
        return ModelFile(model_path(spec), str(spec.sha256))
    check_licences([spec], accept=False)
    if find_stored(spec) is not None and not spec.urls:
        return verify(spec)
    if not spec.urls:
        raise DownloadError(f"{spec.name} has no address; {spec.note}")
    nearby = mirror()
    urls = (f"{nearby}/{spec.file}", *spec.urls) if nearby else spec.urls
    remote = Remote(spec.name, urls, spec.bytes, expected_sha256(spec))
    path = folder_of(spec) / spec.file
    digest = fetch(remote, path, offline=offline or is_offline(), timeout=timeout, progress=progress)
    _settle(spec, digest)
    return ModelFile(path, digest)


def put(spec: ModelSpec, source: Path, digest: str, *, added: bool = False) -> ModelFile:
    """Move a whole file of known sha256 into the place of a model.

    Args:
        added: it is no model of the registry; what it is goes with it.

    Raises:
        OutputError: it cannot be written.
    """
    path = folder_of(spec) / spec.file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        source.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    _settle(spec, digest, describe_added(spec) if added else None)
    return ModelFile(path, digest)


def add(file: Path, task: Task, name: str, *, about: Mapping[str, Any] | None = None) -> ModelSpec:
    """Copy a model's file of the user's own into the cache, under a name that the options take.

    A name of the registry that has no address, or that nobody publishes a sha256 for, may be filled this way.

    Args:
        about: further fields of `ModelSpec`.

    Raises:
        SettingsError: the name is another model's, or no plain one.
        MissingInputError: there is no such file.
        OutputError: it cannot be written.
    """
    if not file.is_file():
        raise MissingInputError(
            f"{file} {'is a folder' if file.is_dir() else 'does not exist'}; name the file of a model"
        )
    if not is_plain(name):
        raise SettingsError(f"model name '{name}' is no plain one; use letters, digits and .+_-")
    registered = load_registry().get(name)
    if _is_taken(name, task, registered):
        raise SettingsError(f"model name '{name}' is taken; choose another with --name")
    digest = digest_of(file)
    there = _read_record_of(name)
    if there is not None and there["sha256"] != digest:
        raise SettingsError(
            f"model {name} is here already, from another file; remove it first, or choose another --name"
        )
    if registered is not None and expected_sha256(registered) not in (None, digest):
        raise SettingsError(f"{file} is not {name}: its sha256 is {digest}; choose another name with --name")
    spec = registered or make_spec(
        name,
        {
            "task": task,
            "file": f"weights{file.suffix.lower()}",
            "code_licence": "not stated",
            "weights_licence": "not stated",
            "data": "not stated",
            "commercial_use": "unclear",
            "in_plain_words": "what its author allows, which sfumato does not know",
            "paper": "",
            "note": f"added from {file.name}",
            **(about or {}),
        },
    )
    if registered is not None and Path(registered.file).suffix != file.suffix.lower():
        spec = replace(spec, file=f"{name}{file.suffix.lower()}")
    temporary = _temporary(models_folder())
    try:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, temporary)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{temporary} cannot be written: {error.strerror or error}") from error
    put(spec, temporary, digest, added=registered is None or spec.file != registered.file)
    return spec


def remove(spec: ModelSpec, *, forget: bool = False) -> int:
    """Delete a model's files and return how many bytes that freed.

    Args:
        forget: its pinned sha256 and its accepted licence as well.

    Raises:
        SettingsError: it is embedded.
    """
    if spec.embedded:
        raise SettingsError(f"model {spec.name} is part of sfumato; it cannot be removed")
    stored = find_stored(spec)
    freed = _size_of(folder_of(spec))
    shutil.rmtree(folder_of(spec), ignore_errors=True)
    if stored is not None:
        for converted in (cache_folder() / "converted").glob(f"*/{stored.sha256}"):
            freed += _size_of(converted)
            shutil.rmtree(converted, ignore_errors=True)
    if forget:
        for table in ("pins.json", "licences.json"):
            kept = {name: value for name, value in _read_table(table).items() if name != spec.name}
            _write_table(table, kept)
    return freed


def _settle(spec: ModelSpec, digest: str, described: Mapping[str, Any] | None = None) -> None:
    """Note a file that has come; where nobody publishes a sha256, this one holds from now on."""
    if described is None:
        pin(spec, digest)
    _write_record(spec, digest, described)


def describe_added(spec: ModelSpec) -> Mapping[str, Any]:
    """Return what is said of a model that is none of the registry, as `make_spec` reads it."""
    table = asdict(spec)
    del table["name"], table["embedded"]
    return {key: value for key, value in table.items() if value is not None}


def _signature(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _write_record(spec: ModelSpec, digest: str, described: Mapping[str, Any] | None) -> None:
    record: dict[str, Any] = {"sha256": digest, "seen": _signature(folder_of(spec) / spec.file)}
    if described is not None:
        record["spec"] = dict(described)
    _write_json(folder_of(spec) / RECORD, record)


def _is_taken(name: str, task: Task, registered: ModelSpec | None) -> bool:
    """Tell whether a name means something else already: a set, an embedded model or its style, another task's model."""
    if (
        name in SETS
        or name == "light"
        or (registered is not None and (registered.task != task or registered.embedded))
    ):
        return True
    specs = load_registry().values()
    return any(spec.embedded and (spec.style == name or spec.name == f"{task}-{name}") for spec in specs)


def _read_record(spec: ModelSpec) -> Mapping[str, Any] | None:
    return _read_record_of(spec.name)


def _read_record_of(name: str) -> Mapping[str, Any] | None:
    try:
        record = json.loads((models_folder() / name / RECORD).read_bytes())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("sha256"), str) else None


def _read_added(record: Path) -> ModelSpec | None:
    try:
        table = json.loads(record.read_bytes()).get("spec")
        return None if table is None else make_spec(record.parent.name, table)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{record} is damaged; delete the folder {record.parent} and add the model again"
        ) from error


def _read_table(name: str) -> dict[str, str]:
    path = cache_folder() / name
    try:
        table = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read; correct or delete it") from error
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise ModelError(f"{path} is no table of words; correct or delete it")
    return table


def _write_table(name: str, table: Mapping[str, str]) -> None:
    _write_json(cache_folder() / name, dict(sorted(table.items())))


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    temporary = _temporary(path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def _temporary(folder: Path) -> Path:
    return folder / f".{uuid4().hex}.part"


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
