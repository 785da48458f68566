"""Read the tensors of a file of weights, and nothing else of it; it builds no network."""

import pickle
import struct
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file

from sfumato.errors import MissingInputError, ModelError

State: TypeAlias = Mapping[str, Any]
"""Tensors by name, in some files behind a further name."""

DAMAGE = (
    SafetensorError,
    pickle.UnpicklingError,
    RuntimeError,
    OSError,  # of a truncated archive in memory, not of the disk
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    struct.error,
    zlib.error,
)
"""What PyTorch raises on damaged files."""


def read_weights(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        MissingInputError: there is none.
    """
    if not path.is_file():
        raise MissingInputError(f"{path} does not exist; name a .safetensors or .pth file of weights")
    return path.read_bytes()


def load_weights(path: Path) -> State:
    """Return the tensors of a `.safetensors`, `.pth` or `.pt` file, the latter as weights only and from the disk.

    Large files are not read as a whole: what is not used stays on the disk.

    Raises:
        MissingInputError: there is none.
        ModelError: it is damaged, or holds more than weights: code in it is not run.
    """
    if not path.is_file():
        raise MissingInputError(f"{path} does not exist; name a .safetensors or .pth file of weights")
    try:
        if path.suffix.lower() == ".safetensors":
            return load_file(path)
        state = _load_mapped(path)
    except DAMAGE as error:
        raise ModelError(f"{path} is damaged or holds more than weights; get a whole copy") from error
    return _named(state, path)


def _load_mapped(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError:  # files of before PyTorch 1.6 are no archives and cannot be mapped
        return torch.load(path, map_location="cpu", weights_only=True)


def _named(state: object, path: Path) -> State:
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise ModelError(f"{path} holds no weights by name; get a whole copy")
    return state


def parse_weights(content: bytes, path: Path) -> State:
    """Return the tensors of the content of a `.safetensors` or `.pth` file, the latter as weights only.

    Args:
        path: the file's, for its suffix and the error.

    Raises:
        ModelError: it is damaged, or holds more than weights: code in it is not run.
    """
    try:
        if path.suffix.lower() == ".safetensors":
            return load(content)
        state = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    except DAMAGE as error:
        raise ModelError(f"{path} is damaged or holds more than weights; get a whole copy") from error
    return _named(state, path)
