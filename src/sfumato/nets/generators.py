"""Read a generator, published or light, from a file of weights and tell its size by them; it trains nothing."""

from collections.abc import Mapping
from pathlib import Path

import torch

from sfumato.errors import ModelError
from sfumato.nets.cyclegan import ResnetGenerator, generator_from
from sfumato.nets.generator import GeneratorLight, Padding
from sfumato.nets.weight_files import parse_weights, read_weights

Generator = ResnetGenerator | GeneratorLight

FIRST_LIGHT = "down.1.0.weight"
"""A tensor that every light generator has, and no other network."""

FIRST_PUBLISHED = "model.1.weight"
"""A tensor that every published generator has."""


def read_generator(path: Path, content: bytes | None = None) -> Generator:
    """Return the generator of a safetensors file of a run, or of an authors' `.pth` (see `generator_from`).

    A `.pth` is read as weights only: no code in it is run.

    Args:
        content: of the file, where it has been read already.

    Raises:
        MissingInputError: there is no such file.
        ModelError: the file is damaged or holds another network.
    """
    state = parse_weights(read_weights(path) if content is None else content, path)
    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    try:
        return generator_of(tensors)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


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
