"""Convert weights to ONNX once, in a process of its own, and keep the result; what is in them others know."""

import json
import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias
from uuid import uuid4

from sfumato.download import digest_of
from sfumato.errors import BackendMissingError, MissingInputError, ModelError, OutputError, SfumatoError
from sfumato.registry import ModelFile
from sfumato.settings import cache_folder

Kind: TypeAlias = Literal["stylizer", "restorer", "segmenter"]

FORMS: dict[Kind, int] = {"stylizer": 3, "restorer": 2, "segmenter": 1}
"""Version of the exporter of each kind; what an older one made is made again."""

MODEL = "model.onnx"
"""The file of a network that needs one."""

ENCODER, DECODER = "encoder.onnx", "decoder.onnx"
"""The files of a Segment Anything network."""

STAMP = "stamp.json"

Tick: TypeAlias = Callable[[float], None]
"""Told, twice a second, for how many seconds the conversion has been running."""

_log = logging.getLogger(__name__)


def read_weights(path: Path, what: str) -> ModelFile:
    """Return a file of weights with its sha256.

    Args:
        what: the file is, for the error.

    Raises:
        MissingInputError: there is no such file.
    """
    if path.is_dir():
        return ModelFile(path, _digest_of_folder(path))
    if not path.is_file():
        raise MissingInputError(f"{what} {path} does not exist; name a {what} or a file")
    return ModelFile(path, digest_of(path))


def _digest_of_folder(path: Path) -> str:
    from hashlib import sha256

    names = ("config.json", "model.safetensors")
    missing = [name for name in names if not (path / name).is_file()]
    if missing:
        raise MissingInputError(f"{path} holds no {missing[0]}; name a whole folder of Hugging Face")
    return sha256("".join(digest_of(path / name) for name in names).encode()).hexdigest()


def converted_folder(weights: ModelFile, kind: Kind) -> Path:
    """Return where the conversion of weights is kept."""
    return cache_folder() / "converted" / f"{kind}-{FORMS[kind]}" / weights.sha256


def is_converted(weights: ModelFile, kind: Kind) -> bool:
    """Tell whether weights have been converted, and all files of that are there."""
    folder = converted_folder(weights, kind)
    try:
        stamp = json.loads((folder / STAMP).read_bytes())
        wanted = (weights.sha256, kind, FORMS[kind])
        return (stamp["source_sha256"], stamp["kind"], stamp["form"]) == wanted and all(
            (folder / name).stat().st_size == size for name, size in stamp["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def convert_once(weights: ModelFile, kind: Kind, tick: Tick | None = None) -> Path:
    """Return the folder of the ONNX files of weights: from the user's cache, or converted now by PyTorch.

    A process of its own does it, so that its memory is given back and a crash is an error like others. Of two
    processes that want the same, one converts and the other waits. Beginning and end are logged.

    Raises:
        BackendMissingError: a package that the conversion needs is not installed.
        ModelError: the weights are damaged or cannot be converted.
        OutputError: there is no room in the cache.
    """
    if is_converted(weights, kind):
        return converted_folder(weights, kind)
    from filelock import FileLock

    target = converted_folder(weights, kind)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f"{target.name}.lock")):
            if not is_converted(weights, kind):
                _convert(weights, kind, target, tick)
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror or error}") from error
    return target


def _convert(weights: ModelFile, kind: Kind, target: Path, tick: Tick | None) -> None:
    fresh = target.with_name(f".{uuid4().hex}.part")
    fresh.mkdir()
    _log.info("converting %s, once; this takes a while", weights.path.name)
    start = time.monotonic()
    try:
        said = _run_converter(weights, kind, fresh, tick)
        seconds = time.monotonic() - start
        stamp = {
            "source": weights.path.name,
            "source_sha256": weights.sha256,
            "kind": kind,
            "form": FORMS[kind],
            "seconds": round(seconds, 1),
            "files": {path.name: path.stat().st_size for path in sorted(fresh.glob("*.onnx"))},
            **said,
        }
        (fresh / STAMP).write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")
        if target.exists():  # of an older form, or with a file missing
            shutil.rmtree(target)
        fresh.replace(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    _log.info("converted %s in %.0f s", weights.path.name, seconds)


def _run_converter(weights: ModelFile, kind: Kind, folder: Path, tick: Tick | None) -> dict[str, Any]:
    """Convert in a process of its own and return what it says of itself.

    Raises:
        SfumatoError: of the kind that it was there.
    """
    # -P: modules are not looked for in the current folder, where anybody's onnx.py may lie
    program = [sys.executable, "-P", "-m", "sfumato.apps.convert"]
    command = [*program, kind, str(weights.path.absolute()), weights.sha256, str(folder.absolute())]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    )
    start = time.monotonic()
    try:
        while True:
            try:
                said, complaints = process.communicate(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                if tick is not None:
                    tick(time.monotonic() - start)
    finally:  # an interrupted wait ends the process with it
        if process.poll() is None:
            process.kill()
            process.communicate()
    return _answer(weights, process.returncode, said, complaints)


def _answer(weights: ModelFile, code: int, said: str, complaints: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(said)
    except ValueError:
        last = (complaints.strip().splitlines() or ["it said nothing"])[-1]
        why = f"its process was killed (signal {-code}), perhaps for want of memory" if code < 0 else last
        raise ModelError(f"{weights.path} cannot be converted: {why}") from None
    if "error" in answer:
        raise _named_error(answer["error"])(answer["message"])
    return answer


def _named_error(name: str) -> type[SfumatoError]:
    known: dict[str, type[SfumatoError]] = {
        kind.__name__: kind for kind in (BackendMissingError, MissingInputError, OutputError)
    }
    return known.get(name, ModelError)
