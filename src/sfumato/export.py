"""Turn a trained network into one ONNX file that OpenVINO runs to the same numbers; trains nothing."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from sfumato.backends import OpenVinoBackend
from sfumato.errors import ModelError

Example: TypeAlias = torch.Tensor | Mapping[str, torch.Tensor]


def export_onnx(
    net: nn.Module,
    path: Path,
    *,
    example: Example,
    outputs: Sequence[str] = ("output",),
    half: bool = True,
    dynamic: bool = True,
) -> None:
    """Write `net` as one ONNX file.

    Args:
        example: NCHW input to trace with, which the graph calls "input"; or all of its inputs by name.
        half: store weights as float16 behind a cast, which halves the file; arithmetic stays as the
            runtime chooses.
        dynamic: with a batch, height and width of any size; else those of the example.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    inputs = _named(example)
    axes = {name: {0: "n", 2: f"{name}_h", 3: f"{name}_w"} for name in inputs}
    axes |= {name: {0: "n", 2: "h", 3: "w"} for name in ("input", *outputs)}
    # beyond 2 GB, PyTorch writes each weight into a file of its own beside the graph
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as folder, warnings.catch_warnings():
        temporary = Path(folder, "graph.onnx")
        # the new exporter fixes sizes that the network computes, so the older one it is
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)  # which is off
        # networks ask for channels and sizes, with the same answer for all; parity is checked after the export
        warnings.filterwarnings("ignore", "Converting a tensor to a Python")
        torch.onnx.export(
            net.eval(),
            tuple(inputs.values()),
            str(temporary),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=axes if dynamic else None,
            opset_version=17,
            dynamo=False,
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,  # keeps the names of the weights; OpenVINO fuses BatchNorm
        )
        model = onnx.load(str(temporary))
    onnx.save(halve_weights(model) if half else model, str(path))


def halve_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with float32 initializers of 64 values and more stored as float16 behind a Cast."""
    halved = onnx.ModelProto()
    halved.CopyFrom(model)
    graph = halved.graph
    casts: list[onnx.NodeProto] = []
    for index, tensor in enumerate(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < 64:
            continue
        name, stored = tensor.name, f"{tensor.name}.half"
        graph.initializer[index].CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *nodes])
    onnx.checker.check_model(halved)
    return halved


def parity(net: nn.Module, path: Path, example: Example) -> Mapping[str, float]:
    """Return the largest absolute difference of each output between PyTorch and OpenVINO, both in float32."""
    inputs = _named(example)
    with torch.no_grad():
        expected = net.eval()(*inputs.values())
    tensors = [expected] if isinstance(expected, torch.Tensor) else list(expected)
    actual = OpenVinoBackend(path, exact=True).run({name: _array(tensor) for name, tensor in inputs.items()})
    return {
        f"output{k}": float(np.abs(_array(tensor) - value).max())
        for k, (tensor, value) in enumerate(zip(tensors, actual, strict=True))
    }


def check_parity(net: nn.Module, path: Path, example: Example, *, tolerance: float) -> float:
    """Return the largest difference between what OpenVINO and what PyTorch compute.

    Raises:
        ModelError: an output differs by more than `tolerance`.
    """
    worst = max(parity(net, path, example).values())
    if worst > tolerance:
        raise ModelError(f"{path.name} differs from the network by {worst:.2e}, more than {tolerance:.0e}")
    return worst


def _named(example: Example) -> Mapping[str, torch.Tensor]:
    return {"input": example} if isinstance(example, torch.Tensor) else example


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    return tensor.detach().float().numpy()
