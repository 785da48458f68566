"""Fill a network with weights of an earlier run or of an exported model, to train on from there."""

from collections.abc import Mapping
from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # comes with onnx
from onnx import numpy_helper
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from sfumato.errors import ModelError


def load_weights(net: nn.Module, path: Path, name: str) -> None:
    """Fill `net` with the weights of a safetensors file of a run, or of an ONNX file that `export` wrote.

    An ONNX file holds them in float16, and no counters of BatchNorm, which keep their values.

    Args:
        name: of the network, for the error.

    Raises:
        ModelError: the file is damaged or holds another network.
    """
    try:
        stored = _read_onnx(path) if path.suffix == ".onnx" else load_file(path)
        counters = {k: v for k, v in net.state_dict().items() if k.endswith("num_batches_tracked")}
        net.load_state_dict({**counters, **stored})
    except (SafetensorError, DecodeError, RuntimeError) as error:
        raise ModelError(
            f"{path} holds no weights of {name}; name best.safetensors or the ONNX file of its run, or another network"
        ) from error


def _read_onnx(path: Path) -> Mapping[str, torch.Tensor]:
    """Return the named weights; what the exporter or `WithSoftmax` put before and after the names is taken off."""
    graph = onnx.load(str(path)).graph
    tensors = {
        tensor.name.removesuffix(".half"): numpy_helper.to_array(tensor) for tensor in graph.initializer
    }
    wrapped = all(name.startswith("net.") for name in tensors)
    return {
        name.removeprefix("net.") if wrapped else name: torch.from_numpy(array.copy()).float()
        for name, array in tensors.items()
    }
