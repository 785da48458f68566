"""Read a generator, published or light, from a file of weights and tell its size by them; it trains nothing."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from sfumato.errors import MissingInputError, ModelError
from sfumato.nets.cyclegan import ResnetGenerator, generator_from
from sfumato.nets.generator import GeneratorLight, Padding

Generator = ResnetGenerator | GeneratorLight

FIRST_LIGHT = "down.1.0.weight"
"""A tensor that every light generator has, and no other."""


def read_generator(path: Path) -> Generator:
    """Return the generator of a safetensors file of a run, or of an authors' `.pth` (see `generator_from`).

    A `.pth` is read as weights only: no code in it is run.

    Raises:
        MissingInputError: there is no such file.
        ModelError: the file is damaged or holds another network.
    """
    if not path.is_file():
        raise MissingInputError(f"{path} does not exist; name a .safetensors or .pth file of a generator")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else _read_pth(path)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, TypeError) as error:
        raise ModelError(f"{path} is damaged or holds more than weights; get a whole copy") from error
    try:
        return generator_of(state)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _read_pth(path: Path) -> Mapping[str, torch.Tensor]:
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise TypeError("a state dict maps names to tensors")
    return state


def generator_of(state: Mapping[str, torch.Tensor], *, padding: Padding = "reflect") -> Generator:
    """Return a generator that holds these weights.

    Raises:
        ModelError: they are those of another network.
    """
    if FIRST_LIGHT not in state:
        return generator_from(state)
    width = len(state[FIRST_LIGHT])
    blocks = len({name.split(".")[1] for name in state if name.startswith("body.")})
    net = GeneratorLight(width=width, blocks=blocks, padding=padding)
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(
            f"it holds another network than a light generator of {blocks} blocks; train one with sfumato train stylizer"
        ) from error
    return net
