"""Convert weights to ONNX once and keep the result in the user's cache; what is in them others know."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

from sfumato.backends import inspect_model
from sfumato.errors import BackendMissingError, MissingInputError, ModelError
from sfumato.settings import cache_folder

Write: TypeAlias = Callable[[Path, bytes, Path], None]
"""Turn a file of weights, given by path and content, into an ONNX file at the last path."""


def read_content(path: Path, what: str) -> tuple[bytes, str]:
    """Return the content of a file and its sha256.

    Args:
        what: the file is, for the error.

    Raises:
        MissingInputError: there is no such file.
    """
    if not path.is_file():
        raise MissingInputError(f"{what} {path} does not exist; name a {what} or a file")
    content = path.read_bytes()
    return content, sha256(content).hexdigest()


def convert_once(weights: Path, content: bytes, kind: str, write: Write) -> Path:
    """Return the ONNX file of weights, from the user's cache or converted now.

    Args:
        kind: folder of the cache; another one for another form of the result.

    Raises:
        BackendMissingError: a package that the conversion needs is not installed.
        ModelError: the weights are damaged or cannot be converted.
    """
    target = cache_folder() / kind / f"{sha256(content).hexdigest()}.onnx"
    if _whole(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        write(weights, content, target)
    except ModuleNotFoundError as error:
        raise BackendMissingError(
            f"{weights} has to be converted once, which needs {error.name}; try: pip install 'sfumato[torch]'"
        ) from error
    return target


def _whole(model: Path) -> bool:
    try:
        return model.is_file() and bool(inspect_model(model, "").inputs)
    except ModelError:
        return False
