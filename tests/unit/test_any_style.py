"""The networks that paint in the manner of any one picture: their laws, their training and their export."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from sfumato.backends import OpenVinoBackend
from sfumato.errors import ModelError
from sfumato.nets.any_style import CODE, AnyStyleGenerator, StyleEncoder, export_copy
from sfumato.nets.generator import GeneratorLight
from sfumato.nets.vgg import VggFeatures
from sfumato.training.any_style import AnyStyle, AnyStyleModule, AnyStyleOptions, begin_with, own_error
from sfumato.training.any_style_draw import AnyStyleDraw, AnyStyleFolders, AnyStyleHeldOut, recolour
from sfumato.training.any_style_run import ENCODER, PAINTER, export_any_style
from sfumato.training.card import count_parameters


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folders(tmp_path: Path) -> AnyStyleFolders:
    rng = np.random.default_rng(0)
    for name in ("photos", "portraits", "paintings"):
        (tmp_path / name).mkdir()
        for k in range(4):
            coarse = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / name / f"{k}.png"), cv2.resize(coarse, (64, 64)))
    return AnyStyleFolders(
        tmp_path / "photos", (tmp_path / "paintings",), (tmp_path / "portraits",), held_out=2
    )


def perturbed(net: AnyStyleGenerator) -> AnyStyleGenerator:
    """Give statistics and modulation such as training leaves."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)  # type: ignore[union-attr]  # tracked by default
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]  # tracked by default
    nn.init.normal_(net.modulation.weight, 0.0, 0.1)
    return net.eval()


def test_both_networks_are_light() -> None:
    assert 200_000 < count_parameters(AnyStyle()) < 600_000


@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_an_input_pixel_acts_no_further_than_the_margin(blocks: int) -> None:
    torch.manual_seed(0)
    net = perturbed(AnyStyleGenerator(width=4, blocks=blocks, padding="zeros"))
    code, reach = torch.randn(1, CODE, 1, 1), 0
    for place in range(80, 84):
        row = torch.rand(1, 3, 4, 160, requires_grad=True)
        net(row, code)[0, :, 2, place].sum().backward()
        assert row.grad is not None
        touched = torch.nonzero(row.grad.abs().sum((0, 1, 2)))[:, 0]
        reach = max(reach, int((touched - place).abs().max()))
    assert reach == net.radius


def test_the_padding_is_not_seen_further_than_the_margin() -> None:
    torch.manual_seed(1)
    net = perturbed(AnyStyleGenerator(width=4, blocks=1))
    rgb, code, inner = torch.rand(1, 3, 96, 96), torch.randn(1, CODE, 1, 1), slice(20, -20)
    with torch.no_grad():
        torch.testing.assert_close(
            net(rgb, code)[..., inner, inner], export_copy(net)(rgb, code)[..., inner, inner]
        )


def test_another_code_paints_another_picture() -> None:
    torch.manual_seed(2)
    net, rgb = perturbed(AnyStyleGenerator(width=4, blocks=1)), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        one, two = (net(rgb, torch.randn(1, CODE, 1, 1)) for _ in range(2))
    assert float((one - two).abs().mean()) > 1e-3


def test_a_code_does_not_know_where_things_are() -> None:
    torch.manual_seed(3)
    net, rgb = StyleEncoder().eval(), torch.rand(1, 3, 64, 64)
    shifted = torch.roll(rgb, 16, dims=3)  # by whole cells of the last stage, so only the border differs
    with torch.no_grad():
        apart = (net(rgb) - net(shifted)).abs().mean()
        other = (net(rgb) - net(0.2 * rgb)).abs().mean()
    assert float(apart) < 0.2 * float(other)


def test_both_exported_networks_give_the_same_picture_with_the_code_fixed(tmp_path: Path) -> None:
    torch.manual_seed(4)
    net = AnyStyle(blocks=1)
    perturbed(net.painter)
    assert export_any_style(net, tmp_path) < 5e-3
    style = np.random.default_rng(0).random((1, 3, 256, 256)).astype(np.float32)
    tile = np.random.default_rng(1).random((1, 3, 64, 48)).astype(np.float32)
    (code,) = OpenVinoBackend(tmp_path / f"{ENCODER}.onnx", exact=True).run({"input": style})
    path = tmp_path / f"{PAINTER}.onnx"
    (free,) = OpenVinoBackend(path, exact=True).run({"input": tile, "code": code})
    (fixed,) = OpenVinoBackend(path, exact=True, fixed={"code": code}).run({"input": tile})
    np.testing.assert_allclose(free, fixed, atol=1e-4)


def test_steps_lower_the_losses(folders: AnyStyleFolders, tmp_path: Path) -> None:
    torch.manual_seed(5)
    torch.save(VggFeatures().layers.state_dict(), tmp_path / "vgg.pth")
    module = AnyStyleModule(AnyStyleOptions(tmp_path / "vgg.pth", blocks=1, size=32), seed=0)
    draws = [AnyStyleDraw(folders, 32)(np.random.default_rng(k)) for k in range(2)]
    batch = {name: torch.stack([drawn[name] for drawn in draws]) for name in draws[0]}
    optimizer, totals = module.configure_optimizers(), []
    for _ in range(10):
        total = torch.stack(list(module.losses(batch).values())).sum()
        optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]  # PyTorch leaves it untyped
        optimizer.step()
        totals.append(float(total.detach()))
    assert np.mean(totals[-2:]) < 0.9 * totals[0]
    assert all(name.startswith("net.") for name in module.state_dict())


def test_a_painter_begins_with_the_brush_of_a_light_generator(tmp_path: Path) -> None:
    """Where no code changes anything, it paints what that one paints; its statistics stay what they were."""
    torch.manual_seed(6)
    brush, start = GeneratorLight(blocks=1).eval(), tmp_path / "brush.safetensors"
    for module in brush.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)  # type: ignore[union-attr]  # tracked by default
    save_file(brush.state_dict(), start)
    torch.save(VggFeatures().layers.state_dict(), tmp_path / "vgg.pth")
    module = AnyStyleModule(AnyStyleOptions(tmp_path / "vgg.pth", blocks=1, size=32, start=start), seed=0)
    nn.init.zeros_(module.net.painter.modulation.weight)
    rgb = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(module.net.painter.eval()(rgb, torch.randn(1, CODE, 1, 1)), brush(rgb))


def test_a_start_of_another_size_is_refused(tmp_path: Path) -> None:
    save_file(GeneratorLight(blocks=2).state_dict(), tmp_path / "brush.safetensors")
    with pytest.raises(ModelError, match="a light generator of 1 blocks"):
        begin_with(AnyStyleGenerator(blocks=1), tmp_path / "brush.safetensors")


def test_what_is_drawn_has_the_size_asked_for_and_repeats_with_its_seed(folders: AnyStyleFolders) -> None:
    draw = AnyStyleDraw(folders, 48)
    one, two = (draw(np.random.default_rng(7)) for _ in range(2))
    assert one["photo"].shape == one["style"].shape == (3, 48, 48)
    assert one["canvas"].shape == (1, 48, 48)
    for name in one:
        torch.testing.assert_close(one[name], two[name])


def test_held_out_pictures_are_shown_and_never_drawn(tmp_path: Path) -> None:
    for name, first in (("photos", 0), ("paintings", 100)):
        (tmp_path / name).mkdir()
        for k in range(4):
            cv2.imwrite(str(tmp_path / name / f"{k}.png"), np.full((64, 64, 3), first + 10 * k, np.uint8))
    folders = AnyStyleFolders(
        tmp_path / "photos", (tmp_path / "paintings",), photo_styles=0.0, recoloured=0.0, held_out=2
    )
    draw = AnyStyleDraw(folders, 16)
    drawn = [draw(np.random.default_rng(k)) for k in range(40)]
    assert {int(d["photo"].flatten()[0]) for d in drawn} == {0, 10}
    assert {int(d["style"].flatten()[0]) for d in drawn} == {100, 110}
    held = AnyStyleHeldOut(folders, 16)
    assert [int(held[k]["photo"].flatten()[0]) for k in range(len(held))] == [20, 30]
    assert [int(held[k]["style"].flatten()[0]) for k in range(len(held))] == [120, 130]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_recolouring_keeps_grey_grey_and_light_light(seed: int) -> None:
    ramp = np.repeat(np.linspace(0, 255, 16).astype(np.uint8)[None, :, None], 3, axis=2)
    turned = recolour(np.ascontiguousarray(ramp), np.random.default_rng(seed))
    assert np.abs(turned.astype(int) - ramp).max() <= 2


def test_a_loud_row_does_not_drown_another() -> None:
    target = torch.tensor([[1.0, 0.0], [100.0, 0.0]])
    actual = torch.tensor([[2.0, 0.0], [100.0, 0.0]])
    assert float(own_error(actual, target)) == pytest.approx(0.5)
