"""The light generator, its losses and its training, at a size that takes seconds."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from scipy.optimize import linear_sum_assignment
from torch import nn
from torch.nn import functional

from sfumato.backends import OpenVinoBackend
from sfumato.export_style import export_style, facts_of
from sfumato.nets.discriminator import PatchDiscriminator
from sfumato.nets.generator import EnlargingConvolution, GeneratorLight, Padding, export_copy
from sfumato.nets.vgg import VggFeatures, load_vgg
from sfumato.stages.stylize import LightStylizer
from sfumato.training.card import count_parameters
from sfumato.training.crops import hold_out, random_crop
from sfumato.training.image_pool import ImagePool
from sfumato.training.loop import Schedule
from sfumato.training.painting_library import build_library
from sfumato.training.stylizer import build_trainer, train_stylizer
from sfumato.training.stylizer_losses import (
    content_loss,
    flatness_loss,
    gram,
    patches_loss,
    similarity_loss,
    spread_loss,
    structure_loss,
)
from sfumato.training.stylizer_options import StylizerOptions


def perturbed(net: GeneratorLight) -> GeneratorLight:
    """Give BatchNorm statistics such as training leaves, so that folding it is really tested."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)  # type: ignore[union-attr]  # tracked by default
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]  # tracked by default
    return net.eval()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Compute in one thread: for networks this small, more only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def data(tmp_path: Path) -> StylizerOptions:
    rng = np.random.default_rng(0)
    for name in ("photos", "portraits", "paintings"):
        folder = tmp_path / name
        folder.mkdir()
        for k in range(5):
            coarse = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / f"{k}.png"), cv2.resize(coarse, (80, 80), interpolation=cv2.INTER_CUBIC))
    torch.manual_seed(0)
    torch.save(VggFeatures().layers.state_dict(), tmp_path / "vgg.pth")
    return StylizerOptions(
        photos=tmp_path / "photos",
        portraits=(tmp_path / "portraits",),
        paintings=tmp_path / "paintings",
        vgg=tmp_path / "vgg.pth",
        schedule=Schedule(steps=3, warmup=1, log_every=1),
        photos_held_out=2,
        paintings_held_out=2,
        size=32,
        batch=2,
        library=4,
        candidates=3,
    )


@pytest.mark.parametrize("blocks", [0, 1, 4])
def test_an_input_pixel_acts_no_further_than_the_radius(blocks: int) -> None:
    torch.manual_seed(0)
    net = perturbed(GeneratorLight(width=4, blocks=blocks, padding="zeros"))
    reach = 0
    for place in range(80, 84):
        row = torch.rand(1, 3, 4, 160, requires_grad=True)
        net(row)[0, :, 2, place].sum().backward()
        assert row.grad is not None
        touched = torch.nonzero(row.grad.abs().sum((0, 1, 2)))[:, 0]
        reach = max(reach, int((touched - place).abs().max()))
    assert reach == net.radius


@pytest.mark.parametrize("blocks", [0, 3, 5])
def test_the_margin_of_an_exported_style_covers_the_radius(blocks: int) -> None:
    net = GeneratorLight(width=4, blocks=blocks)
    assert net.radius <= facts_of(net).margin < net.radius + 4


def test_the_light_generator_is_light() -> None:
    assert 200_000 <= count_parameters(GeneratorLight()) <= 500_000


def test_the_padding_is_not_seen_further_than_the_radius() -> None:
    torch.manual_seed(1)
    net = perturbed(GeneratorLight(width=4, blocks=1))
    rgb = torch.rand(1, 3, 96, 96)
    inner = slice(net.radius, -net.radius)
    with torch.no_grad():
        ours, theirs = net(rgb), export_copy(net)(rgb)
    torch.testing.assert_close(ours[..., inner, inner], theirs[..., inner, inner])


@pytest.mark.parametrize("shape", [(16, 300), (131, 57), (97, 97)])
def test_an_exported_generator_paints_tiles_equal_to_the_whole(
    shape: tuple[int, int], tmp_path: Path
) -> None:
    torch.manual_seed(2)
    model = tmp_path / "tiny.onnx"
    export_style(perturbed(GeneratorLight(width=4, blocks=1)), model)
    backend = OpenVinoBackend(model, exact=True)
    image = np.random.default_rng(3).integers(0, 256, (*shape, 3), dtype=np.uint8)
    whole = LightStylizer(backend, margin=24, core=1024, whole=0)(image)
    tiled = LightStylizer(backend, margin=24, core=32, whole=0)(image)
    assert np.abs(whole.astype(int) - tiled.astype(int)).max() <= 1  # sums in another order


def test_vgg_has_the_channels_and_sizes_of_its_layers_and_loads_frozen(tmp_path: Path) -> None:
    torch.save(VggFeatures().layers.state_dict(), tmp_path / "vgg.pth")
    vgg = load_vgg(tmp_path / "vgg.pth")
    shapes = [tuple(layer.shape[1:]) for layer in vgg(torch.rand(1, 3, 16, 24))]
    assert shapes == [(64, 16, 24), (64, 16, 24), (128, 8, 12), (128, 8, 12), (256, 4, 6)]
    assert not any(p.requires_grad for p in vgg.parameters())


def test_the_discriminator_sees_patches_of_70_pixels() -> None:
    net = PatchDiscriminator(width=4).eval()
    rgb = torch.rand(1, 3, 128, 128, requires_grad=True)
    for module in net.modules():
        if isinstance(module, nn.Sequential):
            kept = [m for m in module if not isinstance(m, nn.InstanceNorm2d)]
    scores = nn.Sequential(*kept)(rgb)
    scores[0, 0, 7, 7].backward()
    assert rgb.grad is not None
    touched = torch.nonzero(rgb.grad.abs().sum((0, 1, 2)))[:, 0]
    assert int(touched.max() - touched.min()) + 1 == 70


def test_the_pool_gives_back_what_it_gets_until_it_is_full() -> None:
    pool = ImagePool(3, seed=0)
    first = torch.arange(3.0).view(3, 1, 1, 1)
    torch.testing.assert_close(pool.exchange(first), first)


def test_a_full_pool_hands_out_earlier_pictures_about_half_the_time() -> None:
    pool = ImagePool(50, seed=0)
    pictures = torch.arange(600.0).view(600, 1, 1, 1)
    handed = pool.exchange(pictures)
    assert set(handed.flatten().tolist()) <= set(pictures.flatten().tolist())
    assert 0.4 < float((handed[50:] != pictures[50:]).float().mean()) < 0.6


def test_no_held_out_picture_is_trained_on() -> None:
    paths = [Path(f"{k:03}.jpg") for k in range(10)]
    kept, held = hold_out(paths, 3)
    assert len(held) == 3
    assert not set(kept) & set(held)
    assert kept + held == tuple(paths)


@pytest.mark.parametrize("shape", [(40, 200), (30, 30), (500, 300)])
def test_a_crop_has_the_size_asked_for_whatever_the_picture(shape: tuple[int, int]) -> None:
    image = np.zeros((*shape, 3), dtype=np.uint8)
    for seed in range(5):
        assert random_crop(image, 64, (0.3, 1.5), np.random.default_rng(seed)).shape == (64, 64, 3)


def test_losses_are_zero_where_nothing_changed() -> None:
    picture = torch.rand(2, 3, 32, 32)
    layer = torch.rand(2, 8, 8, 8)
    assert float(structure_loss(picture, picture, (0.0, 1.0))) == pytest.approx(0, abs=1e-6)
    assert float(content_loss(layer, layer)) == 0
    assert float(flatness_loss(torch.full_like(picture, 0.3), picture)) == 0


@settings(max_examples=20)
@given(shift=st.tuples(*3 * [st.floats(-0.3, 0.3)]), contrast=st.floats(0.2, 1))
def test_a_palette_makes_no_patches_whatever_it_does_to_luminance(
    shift: tuple[float, float, float], contrast: float
) -> None:
    """One shift of colour for all, and any tone: no place differs from another."""
    photo = 0.4 + 0.02 * torch.rand(1, 1, 64, 64).expand(1, 3, 64, 64)
    palette = photo + torch.tensor(shift).view(1, 3, 1, 1)
    assert float(patches_loss(palette, photo)) == pytest.approx(0, abs=1e-9)
    assert float(patches_loss(contrast * photo, photo)) == pytest.approx(0, abs=1e-9)


def test_meadows_may_be_shifted_unlike_skies_and_skies_alike_only() -> None:
    sky = torch.tensor([0.4, 0.6, 0.9]).view(1, 3, 1, 1)
    meadow = torch.tensor([0.4, 0.7, 0.2]).view(1, 3, 1, 1)
    shift = torch.tensor([0.1, -0.05, 0.0]).view(1, 3, 1, 1)
    halves = torch.arange(64).view(1, 1, 1, 64) < 32
    both = torch.where(halves, sky, meadow).repeat(1, 1, 64, 1)
    patch = float(
        patches_loss(torch.where(halves, sky + shift, sky).repeat(1, 1, 64, 1), sky.repeat(1, 1, 64, 64))
    )
    assert float(patches_loss(both + shift * halves, both)) < 0.02 * patch


def test_a_pink_patch_in_an_even_sky_costs_and_one_that_the_photo_shows_does_not() -> None:
    photo = torch.tensor([0.3, 0.5, 0.8]).view(1, 3, 1, 1).repeat(1, 1, 64, 64)
    patched = photo.clone()
    patched[:, 0, 16:48, 16:48] += 0.2
    cost = float(patches_loss(patched, photo))
    assert cost > 1e-4
    assert float(patches_loss(patched, patched)) == 0
    stronger = photo + 2 * (patched - photo)
    assert float(patches_loss(stronger, photo)) == pytest.approx(4 * cost, rel=1e-4)
    busy = photo + 0.6 * (torch.rand(1, 1, 8, 8) > 0.5).float().repeat_interleave(8, 2).repeat_interleave(
        8, 3
    )
    assert float(patches_loss(busy + patched - photo, busy)) < 0.5 * cost


def test_losses_run_where_the_pictures_are() -> None:
    """They built a tensor on the CPU beside pictures on a GPU; meta is a device that every machine has."""
    photo = torch.rand(2, 3, 32, 32, device="meta")
    for loss in (
        similarity_loss(photo, photo, 0.6),
        structure_loss(photo, photo, (0.1, 0.9)),
    ):
        assert loss.device.type == "meta"


def test_similarity_costs_nothing_above_its_floor() -> None:
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 64, 64)
    assert float(similarity_loss(picture, picture, 0.6)) == 0
    assert float(similarity_loss(1 - picture, picture, 0.6)) > 0.6


def test_pictures_that_vary_as_paintings_do_cost_nothing() -> None:
    torch.manual_seed(0)
    wanted = torch.randn(40, 6)
    directions = torch.nn.functional.normalize(torch.randn(6, 32), dim=0)
    order = torch.randperm(40)
    rows, recent = wanted[order[:5]], wanted[order[5:]]
    assert float(spread_loss(rows, recent, wanted, directions)) == pytest.approx(0, abs=1e-9)
    assert float(spread_loss(rows + 2, recent + 2, wanted, directions)) > 1


def test_the_spread_is_the_wasserstein_distance_of_each_direction() -> None:
    rng = np.random.default_rng(0)
    pictures, wanted = rng.normal(1, 2, (30, 1)), rng.normal(0, 1, (30, 1))
    expected = wasserstein_squared(pictures[:, 0], wanted[:, 0]) / wanted.var(ddof=1)
    rows = torch.from_numpy(pictures)
    loss = spread_loss(rows, rows[:0], torch.from_numpy(wanted), torch.ones(1, 1, dtype=torch.float64))
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def wasserstein_squared(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the cost of the best assignment, by an independent solver."""
    costs = np.square(a[:, None] - b[None])
    return float(costs[linear_sum_assignment(costs)].mean())


def test_only_new_pictures_move(data: StylizerOptions) -> None:
    rows = torch.randn(3, 4, requires_grad=True)
    recent, wanted = torch.randn(20, 4, requires_grad=True), torch.randn(9, 4)
    spread_loss(rows, recent, wanted, torch.eye(4)).backward()  # type: ignore[no-untyped-call]  # PyTorch leaves it untyped
    assert rows.grad is not None
    assert recent.grad is None or not recent.grad.any()


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_enlarging_within_the_convolution_equals_enlarging_before_it(padding: Padding) -> None:
    torch.manual_seed(0)
    layer, x = EnlargingConvolution(5, 2, padding), torch.rand(2, 5, 7, 9)
    expected = functional.conv2d(
        functional.interpolate(x, scale_factor=2), layer.weight, layer.bias, padding=1
    )
    inner = slice(2, -2)
    torch.testing.assert_close(layer(x)[..., inner, inner], expected[..., inner, inner])
    if padding == "zeros":
        torch.testing.assert_close(layer(x), expected)


def test_a_flat_surface_gets_no_checkerboard() -> None:
    """A free convolution of four outputs a pixel painted one after a thousand steps."""
    torch.manual_seed(0)
    net = perturbed(GeneratorLight(width=4, blocks=1))
    painted = net(torch.full((1, 3, 64, 64), 0.4))
    assert float(painted.std((2, 3)).detach().max()) < 1e-6


def test_layout_is_blind_to_brightness_and_contrast() -> None:
    layer = torch.rand(2, 8, 8, 8)
    assert float(content_loss(3 * layer + 1, layer)) == pytest.approx(0, abs=1e-6)


def test_a_gram_matrix_is_the_mean_of_the_channels_products() -> None:
    layer = torch.rand(1, 2, 3, 5)
    expected = float((layer[0, 0] * layer[0, 1]).mean())
    assert float(gram(layer)[0, 0, 1]) == pytest.approx(expected, rel=1e-5)


def test_a_photo_is_matched_to_the_painting_that_it_is(data: StylizerOptions) -> None:
    library = build_library(
        sorted(data.paintings.iterdir()),
        load_vgg(data.vgg),
        count=4,
        size=32,
        scales=(0.4, 0.5),
        rng=np.random.default_rng(0),
    )
    order = [2, 0, 3]
    rows = library.match([library.crops[k] for k in order], 4, np.random.default_rng(1))
    assert rows.tolist() == order


def test_steps_on_one_batch_lower_what_the_generator_minimises(data: StylizerOptions) -> None:
    trainer = build_trainer(data)
    batch = trainer.sample(np.random.default_rng(0))
    history = [trainer.step(batch) for _ in range(9)]
    kept = [step["structure"] + step["colour"] + step["identity"] for step in history]
    assert np.mean(kept[-3:]) < 0.95 * np.mean(kept[:2])


def statistics(net: nn.Module) -> list[torch.Tensor]:
    return [value.clone() for name, value in net.state_dict().items() if "running" in name]


def test_normalisations_keep_their_statistics_from_the_step_that_is_named(data: StylizerOptions) -> None:
    trainer = build_trainer(replace(data, frozen_from=2))
    seen, grids = [statistics(trainer.generator)], []
    for k in range(4):
        grids.append(trainer.step(trainer.sample(np.random.default_rng(k)))["grid"])
        seen.append(statistics(trainer.generator))
    moved = [any(not torch.equal(a, b) for a, b in zip(*pair, strict=True)) for pair in pairwise(seen)]
    assert moved == [True, True, False, False]
    assert [grid > 0 for grid in grids] == [False, False, True, True]  # two paintings by the same statistics


def test_a_training_goes_on_from_the_weights_of_another(data: StylizerOptions, tmp_path: Path) -> None:
    train_stylizer(data, tmp_path / "first", print)
    second = replace(data, start=tmp_path / "first/last.safetensors")
    begun = build_trainer(second).generator.state_dict()
    for name, value in load_file(tmp_path / "first/last.safetensors").items():
        torch.testing.assert_close(begun[name], value)


def test_the_recent_pictures_are_as_many_as_asked_for_and_the_newest_come_first(
    data: StylizerOptions,
) -> None:
    trainer = build_trainer(replace(data, recent=3, portrait_share=0.0))
    for k in range(4):
        trainer.step(trainer.sample(np.random.default_rng(k)))
    assert trainer.recent.shape == (3, 512)


def test_a_training_leaves_a_model_that_paints_and_its_card(data: StylizerOptions, tmp_path: Path) -> None:
    model = train_stylizer(data, tmp_path / "run", print)
    painted = LightStylizer(OpenVinoBackend(model))(np.zeros((20, 30, 3), dtype=np.uint8))
    assert painted.shape == (20, 30, 3)
    assert "Frechet" in model.with_suffix(".md").read_text(encoding="utf-8")
