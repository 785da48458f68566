"""What a segmenter costs: arithmetic and parameters against PyTorch's own count, time and memory for what they are."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sfumato.backends import OpenVinoBackend
from sfumato.cost import measure_apart, peak_memory
from sfumato.errors import ModelError
from sfumato.export import export_onnx
from sfumato.nets.segmenter import LightUNet
from sfumato.registry import find_embedded, model_path
from sfumato.training.card import count_parameters
from sfumato.types import Face

FACE = Face((80.0, 60.0, 180.0, 200.0), ((105, 115), (150, 115), (128, 140), (110, 165), (146, 165)), 0.9)


def operations(net: torch.nn.Module, *inputs: torch.Tensor) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net.eval()(*inputs)
    return int(counter.get_total_flops())


def test_a_u_nets_operations_are_those_that_pytorch_counts() -> None:
    backend = OpenVinoBackend(model_path(find_embedded("segmenter")))
    mine = backend.count_operations({"input": (2, 3, 128, 96)})
    theirs = operations(LightUNet(), torch.zeros(2, 3, 128, 96))
    assert mine == pytest.approx(theirs, rel=0.01)


def test_a_u_nets_parameters_are_those_that_pytorch_holds() -> None:
    backend = OpenVinoBackend(model_path(find_embedded("segmenter")))
    # Folding turns running statistics of normalisations into weights, and constants of resizing come along.
    assert backend.count_parameters() == pytest.approx(count_parameters(LightUNet()), rel=0.03)


class Products(torch.nn.Module):
    """A matrix product, an enlarging convolution and one in groups."""

    def __init__(self) -> None:
        super().__init__()
        self.grown = torch.nn.ConvTranspose2d(3, 4, 2, stride=2)
        self.grouped = torch.nn.Conv2d(4, 8, 3, groups=2, padding=1)
        self.line = torch.nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed: torch.Tensor = self.line(self.grouped(self.grown(x)).permute(0, 2, 3, 1))
        return mixed


def test_other_operations_are_counted_as_pytorch_counts_them(tmp_path: Path) -> None:
    net, example = Products().eval(), torch.zeros(1, 3, 8, 8)
    path = tmp_path / "products.onnx"
    export_onnx(net, path, example=example, half=False, dynamic=False)
    assert OpenVinoBackend(path).count_operations({"input": (1, 3, 8, 8)}) == operations(net, example)


class Sums(torch.nn.Module):
    """A sum by letters, and a convolution that enlarges in groups."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.nn.Parameter(torch.ones(4, 6))
        self.grown = torch.nn.ConvTranspose2d(4, 4, 2, stride=2, groups=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        summed: torch.Tensor = torch.einsum("bchw,cd->bdhw", self.grown(x), self.weights)
        return summed


def test_rare_operations_are_counted_as_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "sums.onnx"
    export_onnx(Sums().eval(), path, example=torch.zeros(1, 4, 8, 8), half=False, dynamic=False)
    enlarging = 2 * (4 * 8 * 8) * (2 * 2 * 2)  # each value meets the 2x2 kernels of its group's two outputs
    summing = 2 * (4 * 6 * 16 * 16)
    assert OpenVinoBackend(path).count_operations({"input": (1, 4, 8, 8)}) == enlarging + summing


def test_the_cost_is_measured_in_a_process_of_its_own() -> None:
    image = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
    cost = measure_apart("light", image, FACE, runs=2)
    assert cost.cold > cost.warm > 0
    assert cost.spread[0] <= cost.warm <= cost.spread[1]
    assert cost.bytes == model_path(find_embedded("segmenter")).stat().st_size
    assert cost.gflops is not None
    assert 1 < cost.gflops < 20
    assert 5e7 < cost.memory < 8e8


def test_a_process_that_fails_says_why() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(ModelError, match="no-such"):
        measure_apart("no-such", image, FACE, runs=1)


def test_memory_is_this_processs_own() -> None:
    before = peak_memory()
    held = np.ones(300_000_000, np.uint8)
    after = peak_memory()
    assert after >= before
    assert after > held.nbytes


def test_nothing_of_pytorch_is_loaded_for_the_cost() -> None:
    words = [sys.executable, "-c", "import sys, sfumato.cost; sys.exit('torch' in sys.modules)"]
    assert subprocess.run(words, check=False).returncode == 0
