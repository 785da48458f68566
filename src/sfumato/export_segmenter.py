"""Turn a segmenter into an ONNX file that OpenVINO runs to the same numbers; it trains nothing."""

from pathlib import Path

import torch
from torch import nn

from sfumato.export import check_parity, export_onnx
from sfumato.nets.segmenter import WithSoftmax


def export_segmenter(net: nn.Module, path: Path) -> float:
    """Write a segmenter with its softmax as ONNX and return its largest difference from PyTorch, in probability.

    Raises:
        ModelError: it differs by more than float16 weights explain.
    """
    net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # PyTorch's stubs lack this overload
    exported = WithSoftmax(net.cpu())
    export_onnx(exported, path, example=torch.rand(1, 3, 64, 64), outputs=["probabilities"])
    return check_parity(exported, path, torch.rand(1, 3, 96, 128), tolerance=2e-2)
