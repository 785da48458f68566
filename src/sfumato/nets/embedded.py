"""Rebuild networks in PyTorch from the ONNX files of this project, for devices that OpenVINO does not drive."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from sfumato.errors import BackendMissingError, ModelError
from sfumato.nets.detector import DetectorNet
from sfumato.nets.generators import FIRST_LIGHT, FIRST_PUBLISHED, generator_of
from sfumato.nets.recogniser import LightFaceNet
from sfumato.nets.restorer import LightRestorer
from sfumato.nets.segmenter import LightUNet, WithSoftmax

ARCHITECTURES: Mapping[str, Callable[[], nn.Module]] = {
    "detector-light": DetectorNet,
    "segmenter-light": lambda: WithSoftmax(LightUNet()),
    "restorer-light": LightRestorer,
    "recogniser-light": LightFaceNet,
}
"""The network that each embedded file holds, as it was exported; a generator is told by its tensors instead."""


def load_embedded(path: Path) -> nn.Module:
    """Return the network of an embedded file, or the generator of an exported style, in evaluation mode.

    Raises:
        BackendMissingError: PyTorch code for a model of this name does not exist, nor is it a generator.
    """
    stored = stored_weights(onnx.load(str(path)))
    if FIRST_LIGHT in stored or FIRST_PUBLISHED in stored:
        return _load_style(path, stored)
    if path.stem not in ARCHITECTURES:
        raise BackendMissingError(f"model '{path.stem}' runs on the CPU only; use --device cpu")
    net = ARCHITECTURES[path.stem]()
    net.load_state_dict(_state_of(net, stored), strict=False)
    unknown = [name for name, _ in net.named_parameters() if name not in stored]
    if unknown:
        raise BackendMissingError(f"{path.name} holds no weights for {min(unknown)}; use --device cpu")
    return net.eval()


def _load_style(path: Path, stored: Mapping[str, NDArray[np.generic]]) -> nn.Module:
    tensors = {
        name: torch.from_numpy(array.astype(np.float32))
        for name, array in stored.items()
        if name.startswith(("model.", "down.", "body.", "up.", "paint.")) and not name.endswith(".half")
    }
    counters = {
        name.replace("running_mean", "num_batches_tracked"): torch.tensor(0)
        for name in tensors
        if name.endswith("running_mean")
    }
    try:
        return generator_of({**tensors, **counters}, padding="zeros").eval()
    except ModelError as error:
        raise BackendMissingError(
            f"{path.name} holds no generator of this project; use --device cpu"
        ) from error


def _state_of(net: nn.Module, stored: Mapping[str, NDArray[np.generic]]) -> Mapping[str, torch.Tensor]:
    return {
        name: torch.from_numpy(stored[name].astype(np.float32)).reshape(tensor.shape)
        for name, tensor in net.state_dict().items()
        if tensor.is_floating_point() and name in stored
    }


def stored_weights(model: onnx.ModelProto) -> Mapping[str, NDArray[np.generic]]:
    """Return the weights of a graph under the names they had in PyTorch.

    The export stores float16 copies behind a Cast, and equal tensors once behind an Identity.
    """
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in ("Cast", "Identity") and node.input[0] in weights:
            weights[node.output[0]] = weights[node.input[0]]
    return weights
