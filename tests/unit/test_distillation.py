"""Distillation: a light generator comes to paint as its teacher, which stays as it is."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sfumato.nets.cyclegan import ResnetGenerator
from sfumato.nets.vgg import VggFeatures
from sfumato.training.distillation import DistillationModule, DistillationOptions


@pytest.fixture
def options(tmp_path: Path) -> DistillationOptions:
    torch.manual_seed(1)
    save_file(ResnetGenerator(blocks=1, width=4).state_dict(), tmp_path / "teacher.safetensors")
    torch.save(VggFeatures().layers.state_dict(), tmp_path / "vgg.pth")
    return DistillationOptions(
        tmp_path / "teacher.safetensors", blocks=1, features=tmp_path / "vgg.pth", size=32
    )


def batch() -> dict[str, torch.Tensor]:
    return {"photo": torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)}


def test_steps_lower_the_losses(options: DistillationOptions) -> None:
    torch.manual_seed(2)
    module, shown = DistillationModule(options, seed=0), batch()
    optimizer = module.configure_optimizers()
    history = []
    for _ in range(12):
        losses = module.losses(shown)
        total = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]  # PyTorch leaves it untyped
        optimizer.step()
        history.append({name: float(loss.detach()) for name, loss in losses.items()})
    for name in ("pixels", "features"):
        assert history[-1][name] < 0.8 * history[0][name]


def test_the_teacher_is_neither_saved_nor_trained(options: DistillationOptions) -> None:
    module = DistillationModule(options, seed=0)
    assert all(name.startswith("net.") for name in module.state_dict())
    photo, wanted, painted = module.sample(batch())
    assert photo.shape == wanted.shape == painted.shape
    assert not wanted.requires_grad
    assert painted.requires_grad


def test_without_features_only_pixels_count(options: DistillationOptions, tmp_path: Path) -> None:
    plain = DistillationOptions(tmp_path / "teacher.safetensors", blocks=1)
    assert set(DistillationModule(plain, seed=0).losses(batch())) == {"pixels"}
