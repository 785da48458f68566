"""Rebuild the embedded networks in PyTorch from their ONNX files, for devices that OpenVINO does not drive."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from sfumato.errors import BackendMissingError
from sfumato.nets.detector import DetectorNet
from sfumato.nets.generator import GeneratorLight
from sfumato.nets.restorer import LightRestorer
from sfumato.nets.segmenter import LightUNet, WithSoftmax

ARCHITECTURES: Mapping[str, Callable[[], nn.Module]] = {
    "detector-light": DetectorNet,
    "segmenter-light": lambda: WithSoftmax(LightUNet()),
    "restorer-light": LightRestorer,
    "monet-light": lambda: GeneratorLight(padding="zeros"),
}
"""The network that each embedded file holds, as it was exported."""


def load_embedded(path: Path) -> nn.Module:
    """Return the network of an embedded file in evaluation mode, with the weights of the file.

    Raises:
        BackendMissingError: PyTorch code for a model of this name does not exist.
    """
    if path.stem not in ARCHITECTURES:
        raise BackendMissingError(f"model '{path.stem}' runs on the CPU only; use --device cpu")
    net = ARCHITECTURES[path.stem]()
    stored = stored_weights(onnx.load(str(path)))
    state = {
        name: torch.from_numpy(stored[name].astype(np.float32)).reshape(tensor.shape)
        for name, tensor in net.state_dict().items()
        if tensor.is_floating_point() and name in stored
    }
    missing = set(net.state_dict()) - set(state)
    net.load_state_dict(state, strict=False)
    unknown = sorted(name for name in missing if name in dict(net.named_parameters()))
    if unknown:
        raise BackendMissingError(f"{path.name} holds no weights for {unknown[0]}; use --device cpu")
    return net.eval()


def stored_weights(model: onnx.ModelProto) -> Mapping[str, NDArray[np.generic]]:
    """Return the weights of a graph under the names they had in PyTorch.

    The export stores float16 copies behind a Cast, and equal tensors once behind an Identity.
    """
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in ("Cast", "Identity") and node.input[0] in weights:
            weights[node.output[0]] = weights[node.input[0]]
    return weights
