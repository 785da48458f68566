"""Run networks on a device; the only importer of OpenVINO and, late, of PyTorch for inference."""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sfumato.backends_counting import count_operations, count_parameters
from sfumato.errors import BackendMissingError, ModelError

if TYPE_CHECKING:
    import openvino
    from torch import nn

Tensor: TypeAlias = NDArray[np.float32]


class Backend(Protocol):
    """Run one network."""

    def run(self, inputs: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """Map named float32 NCHW inputs to float32 outputs in the order of the graph; safe from many threads."""


class OpenVinoBackend:
    """Run an ONNX file on the CPU, one infer request per thread.

    A CompiledModel called directly from several threads gives wrong results without an error, hence the
    thread-local requests. The precision hint is always set: bf16 (where the CPU has it, else f32) unless
    `exact`, which is f32 on every machine.

    Args:
        shape: (n, c, h, w) to give to the only input of a graph that was written for another one.
        fixed: values of inputs that stay the same, which makes what is computed from them alone constant.
    """

    def __init__(
        self,
        path: Path,
        *,
        exact: bool = False,
        shape: tuple[int, int, int, int] | None = None,
        fixed: Mapping[str, Tensor] | None = None,
    ) -> None:
        if not path.is_file():
            raise ModelError(f"model file {path} is missing; reinstall sfumato")
        self._path = path
        self._exact = exact
        self._shape = shape
        self._fixed = dict(fixed or {})
        self._local = threading.local()
        self._lock = threading.Lock()

    @cached_property
    def _compiled(self) -> "openvino.CompiledModel":
        core = _openvino_core()
        try:
            model = core.read_model(self._path)
            if self._shape:
                model.reshape(list(self._shape))
            for name, value in self._fixed.items():
                _fix_input(model, name, value)
        except RuntimeError as error:
            raise ModelError(
                f"model file {self._path} is damaged or takes no such input; get a whole copy, or reinstall sfumato"
            ) from error
        options = {
            "INFERENCE_PRECISION_HINT": "f32" if self._exact else "bf16",
            "PERFORMANCE_HINT": "LATENCY",
        }
        return core.compile_model(model, "CPU", options)

    @property
    def path(self) -> Path:
        """Return the file that is run."""
        return self._path

    def count_parameters(self) -> int:
        """Return how many numbers the file holds as weights."""
        return count_parameters(self._read())

    def count_operations(self, shapes: Mapping[str, tuple[int, ...]]) -> int:
        """Return the floating-point operations of one run: those of convolutions and matrix products.

        A multiplication with its addition counts as two, as PyTorch's `FlopCounterMode` counts.

        Args:
            shapes: of each input.
        """
        model = self._read()
        model.reshape({name: list(shape) for name, shape in shapes.items()})
        return count_operations(model)

    def _read(self) -> "openvino.Model":
        model: openvino.Model = _openvino_core().read_model(self._path)
        return model

    def run(self, inputs: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """Map named float32 NCHW inputs to copies of the float32 outputs."""
        request = self._request()
        results = request.infer(dict(inputs), share_inputs=True)
        return [np.array(results[output]) for output in request.model_outputs]

    def _request(self) -> "openvino.InferRequest":
        if not hasattr(self._local, "request"):
            with self._lock:
                compiled = self._compiled
            self._local.request = compiled.create_infer_request()
        request: openvino.InferRequest = self._local.request
        return request


def _fix_input(model: "openvino.Model", name: str, value: Tensor) -> None:
    """Put a constant in the place of an input."""
    from openvino import opset13

    parameter = model.input(name).get_node()
    constant = opset13.constant(value)
    for target in parameter.output(0).get_target_inputs():
        target.replace_source_output(constant.output(0))
    model.remove_parameter(parameter)


class TorchBackend:
    """Run a network by PyTorch, in bfloat16 unless `exact`; one call at a time.

    Args:
        source: an embedded file or an exported style, or what builds the network when it is first used.
    """

    def __init__(self, source: "Path | Callable[[], nn.Module]", device: str, *, exact: bool = False) -> None:
        self._source = source
        self._device = device
        self._exact = exact
        self._lock = threading.Lock()

    @cached_property
    def _net(self) -> "nn.Module":
        import torch

        from sfumato.nets.embedded import load_embedded

        if not isinstance(self._source, Path):
            return self._source().to(self._device)  # GFPGAN, for one, cannot be computed channels-last
        net = load_embedded(self._source).to(self._device)
        return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]  # not in the stubs

    def run(self, inputs: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """Map named float32 NCHW inputs, in the order of the network, to float32 outputs."""
        import torch

        with self._lock, torch.inference_mode():
            tensors = [torch.from_numpy(array).to(self._device) for array in inputs.values()]
            # "exact" forbids TF32 too, in which PyTorch convolves on NVIDIA's GPUs unless told otherwise.
            with (
                torch.autocast(self._device, torch.bfloat16, enabled=not self._exact),
                torch.backends.cudnn.flags(enabled=True, allow_tf32=not self._exact),
            ):
                outputs = self._net(*tensors)
            listed = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
            return [tensor.float().cpu().numpy() for tensor in listed]


def make_backend(path: Path, device: str, *, exact: bool = False) -> Backend:
    """Return what runs a model file on a device: OpenVINO on the CPU, PyTorch on cuda and mps.

    Args:
        device: cpu, cuda or mps, as `check_device` returns it.
    """
    return OpenVinoBackend(path, exact=exact) if device == "cpu" else TorchBackend(path, device, exact=exact)


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What goes into a network and comes out, without its weights.

    Attributes:
        inputs, outputs: sizes by name; None where a size is free.
        metadata: what the file says of itself under the key that was asked for, or None.
    """

    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: tuple[tuple[int | None, ...], ...]
    metadata: str | None


def inspect_model(path: Path, key: str) -> ModelShape:
    """Return the shape of the network of an ONNX file and the metadata that it holds under a key.

    Raises:
        ModelError: the file is damaged.
    """
    try:
        model = _openvino_core().read_model(path)
    except RuntimeError as error:
        raise ModelError(f"model file {path} is damaged or no ONNX; get a whole copy") from error
    place = ["framework", key]
    metadata = str(model.get_rt_info(place).astype(str)) if model.has_rt_info(place) else None
    inputs = {port.any_name: _sizes(port) for port in model.inputs}
    return ModelShape(inputs, tuple(_sizes(port) for port in model.outputs), metadata)


def _sizes(port: "openvino.Output") -> tuple[int | None, ...]:
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return ()
    return tuple(size.get_length() if size.is_static else None for size in shape)


_core_lock = threading.Lock()
_cores: list["openvino.Core"] = []


def _openvino_core() -> "openvino.Core":
    """Return the one Core of this process, importing OpenVINO at the first call."""
    with _core_lock:
        if not _cores:
            _forbid_telemetry()
            import openvino

            # Its first call, made by two threads at once, waits for ever for Python's own lock.
            openvino.Type.f32.to_dtype()
            _cores.append(openvino.Core())
        return _cores[0]


def share_processors(threads: int) -> None:
    """Let OpenVINO and OpenCV compute in so many threads, beside others that paint at the same time.

    By itself OpenVINO ties its threads to processors, from the first one on: two processes of one thread would both
    compute on that one.
    """
    import cv2

    cv2.setNumThreads(threads)
    _openvino_core().set_property("CPU", {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False})


def openvino_abilities() -> frozenset[str]:
    """Return the precisions, and more, that OpenVINO makes use of on this processor: "FP32", "BF16"."""
    return frozenset(_openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def _forbid_telemetry() -> None:
    """Make `import openvino` fall back to its silent telemetry stub.

    With its telemetry package in reach, the import alone writes a client id under the home folder, forks and
    calls www.google-analytics.com unless the user has opted out.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: "do not import"


def check_device(device: str) -> str:
    """Return the device that `device` means here; auto is the CPU, for it needs no PyTorch and starts at once.

    Raises:
        BackendMissingError: cuda or mps was asked for and is not there.
    """
    if device in ("auto", "cpu"):
        return "cpu"
    try:
        import torch
    except ImportError as error:
        raise BackendMissingError(
            f"no runtime for device '{device}'; try: pip install 'sfumato[torch]', or --device cpu"
        ) from error
    available = torch.cuda.is_available() if device == "cuda" else torch.backends.mps.is_available()
    if not available:
        raise BackendMissingError(f"no device '{device}' on this machine; use --device cpu")
    return device
