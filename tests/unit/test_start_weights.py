"""Weights to start a training from: of a run, of an exported model, and what foreign files say."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sfumato.errors import ModelError
from sfumato.export import export_onnx
from sfumato.export_segmenter import export_segmenter
from sfumato.nets.detector import DetectorNet
from sfumato.nets.paper_unet import UNUSED_WEIGHTS, PaperUNet
from sfumato.nets.segmenter import LightUNet
from sfumato.registry import Task, find_embedded, model_path
from sfumato.training.detector import export_detector
from sfumato.training.start import load_weights


def used(net: torch.nn.Module) -> torch.nn.Module:
    """Return the network after a step of statistics, so that no tensor is what the constructor made."""
    net.train()
    with torch.no_grad():
        net(torch.rand(2, 3, 64, 64))
        for parameter in net.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    return net


def test_the_weights_of_a_run_come_back_exactly(tmp_path: Path) -> None:
    torch.manual_seed(0)
    trained, fresh = used(DetectorNet()), DetectorNet()
    save_file(trained.state_dict(), tmp_path / "best.safetensors")
    load_weights(fresh, tmp_path / "best.safetensors", "detector")
    assert all(
        torch.equal(a, b)
        for a, b in zip(trained.state_dict().values(), fresh.state_dict().values(), strict=True)
    )


@pytest.mark.long
@pytest.mark.parametrize("fresh_from_the_constructor", [False, True])
@pytest.mark.parametrize(
    ("make", "export"),
    [(DetectorNet, export_detector), (LightUNet, export_segmenter), (PaperUNet, export_segmenter)],
)
def test_an_exported_model_gives_back_its_weights_in_half_precision(
    make: type[torch.nn.Module],
    export: Callable[[torch.nn.Module, Path], object],
    fresh_from_the_constructor: bool,
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    trained, other = make() if fresh_from_the_constructor else used(make()), make()
    export(trained, tmp_path / "net.onnx")
    load_weights(other, tmp_path / "net.onnx", "net")
    for name, value in other.state_dict().items():
        if not name.endswith("num_batches_tracked") and not name.startswith(UNUSED_WEIGHTS):
            torch.testing.assert_close(value, trained.state_dict()[name], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("task", "net"), [("detector", DetectorNet), ("segmenter", LightUNet)])
def test_the_embedded_models_can_be_trained_on(task: Task, net: type[torch.nn.Module]) -> None:
    fresh = net()
    before = {name: tensor.clone() for name, tensor in fresh.state_dict().items()}
    load_weights(fresh, model_path(find_embedded(task)), task)
    kept = [name for name, tensor in fresh.state_dict().items() if torch.equal(tensor, before[name])]
    assert all(name.endswith("num_batches_tracked") for name in kept)


def test_foreign_weights_are_one_clear_line(tmp_path: Path) -> None:
    save_file({"other": torch.zeros(1)}, tmp_path / "other.safetensors")
    export_onnx(torch.nn.Conv2d(3, 8, 3), tmp_path / "other.onnx", example=torch.rand(1, 3, 8, 8))
    (tmp_path / "noise.onnx").write_bytes(b"\xff" * 64)
    (tmp_path / "noise.safetensors").write_bytes(b"\xff" * 64)
    for path in tmp_path.iterdir():
        with pytest.raises(ModelError, match=rf"{path.name} holds no weights of detector-light"):
            load_weights(DetectorNet(), path, "detector-light")
