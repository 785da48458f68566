"""Read the tensors of a file of weights, and nothing else of it; it builds no network."""

import pickle
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load

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
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise ModelError(f"{path} holds no weights by name; get a whole copy")
    return state
