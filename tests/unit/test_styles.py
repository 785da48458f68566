"""A style by name or by file: real networks, tiny, through the same door as a user's."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from sfumato.backends import make_backend
from sfumato.errors import MissingInputError, ModelError, SettingsError
from sfumato.export import export_onnx
from sfumato.export_style import export_style
from sfumato.nets.cyclegan import ResnetGenerator, initialise
from sfumato.nets.embedded import load_embedded
from sfumato.nets.generator import GeneratorLight
from sfumato.nets.generators import Generator, read_generator
from sfumato.pipeline import build_pipeline
from sfumato.registry import find_style
from sfumato.settings import make_settings
from sfumato.stages.stylize import WholeStylizer
from sfumato.styles import open_style
from sfumato.types import Image


def tiny(kind: str) -> Generator:
    torch.manual_seed(3)
    if kind == "light":
        return GeneratorLight(width=4, blocks=1)
    net = ResnetGenerator(blocks=1, width=4)
    initialise(net)
    return net


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SFUMATO_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def image() -> Image:
    coarse = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (70, 90), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def direct(net: nn.Module, image: Image) -> Image:
    """Paint a picture whose sides are multiples of 4 by PyTorch."""
    batch = torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)[None]
    with torch.no_grad():
        painted = net.eval()(batch)[0].permute(1, 2, 0).numpy()
    return np.asarray(np.clip(255 * painted + 0.5, 0, 255).astype(np.uint8))


def differ(a: Image, b: Image) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".onnx"])
@pytest.mark.usefixtures("cache")
def test_a_published_generator_paints_from_any_kind_of_file(
    tmp_path: Path, suffix: str, image: Image
) -> None:
    net, path = tiny("cyclegan"), tmp_path / f"style{suffix}"
    if suffix == ".onnx":
        export_style(net, path)
    elif suffix == ".pth":
        torch.save(net.state_dict(), path)
    else:
        save_file(net.state_dict(), path)
    picture = np.ascontiguousarray(image[:88, :68])
    painted = open_style(str(path), "cpu", exact=True).paint(picture)
    assert differ(painted, direct(net, picture)) <= 1


@pytest.mark.usefixtures("cache")
def test_a_light_generator_paints_from_a_file_inside_its_margin(tmp_path: Path, image: Image) -> None:
    net = tiny("light")
    save_file(net.state_dict(), tmp_path / "style.safetensors")
    picture = np.ascontiguousarray(image[:88, :68])
    painted = open_style(str(tmp_path / "style.safetensors"), "cpu", exact=True).paint(picture)
    inner = slice(20, -20)
    assert differ(painted[inner, inner], direct(net, picture)[inner, inner]) <= 1


def test_weights_are_converted_once(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "style.pth"
    torch.save(tiny("cyclegan").state_dict(), path)
    open_style(str(path), "cpu")
    (made,) = (cache / "styles").iterdir()
    before = made.stat().st_mtime_ns
    open_style(str(path), "cpu")
    assert [file.stat().st_mtime_ns for file in (cache / "styles").iterdir()] == [before]


def test_a_named_style_is_the_embedded_one() -> None:
    style = open_style("monet", "cpu")
    assert (style.name, style.sha256) == ("monet-light", find_style("monet").sha256)


@pytest.mark.parametrize(
    ("style", "error", "words"),
    [
        ("mone", SettingsError, "did you mean 'monet'"),
        ("painting.gif", SettingsError, "is no generator"),
        ("folder/monet", SettingsError, "is no generator"),
        ("nowhere.onnx", MissingInputError, "does not exist"),
        ("nowhere.pth", MissingInputError, "does not exist"),
    ],
)
def test_what_stands_for_no_style_is_refused(style: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        open_style(style, "cpu")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".onnx"])
@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04broken"])
@pytest.mark.usefixtures("cache")
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"style{suffix}"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"^[^\n]*style\.[^\n]*$"):
        open_style(str(path), "cpu")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.usefixtures("cache")
def test_weights_of_another_network_are_refused(tmp_path: Path, suffix: str) -> None:
    state = nn.Linear(2, 2).state_dict()
    path = tmp_path / f"style{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    with pytest.raises(ModelError, match="holds no CycleGAN generator"):
        open_style(str(path), "cpu")


def test_a_light_generator_with_a_tensor_too_few_is_refused(tmp_path: Path) -> None:
    state = tiny("light").state_dict()
    del state["paint.weight"]
    save_file(state, tmp_path / "style.safetensors")
    with pytest.raises(ModelError, match="another network than a light generator of 1 blocks"):
        read_generator(tmp_path / "style.safetensors")


@pytest.mark.usefixtures("cache")
def test_code_in_a_pth_is_not_run(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "style.pth")  # a whole module, which only unpickling could rebuild
    with pytest.raises(ModelError, match="damaged or holds more than weights"):
        open_style(str(tmp_path / "style.pth"), "cpu")
    torch.save({"epoch": 3}, tmp_path / "style.pth")
    with pytest.raises(ModelError, match="damaged or holds more than weights"):
        open_style(str(tmp_path / "style.pth"), "cpu")


def test_an_onnx_of_others_is_used_as_the_file_beside_it_says(tmp_path: Path, image: Image) -> None:
    path, net = tmp_path / "other.onnx", tiny("cyclegan")
    export_onnx(net, path, example=torch.rand(1, 3, 64, 64))
    with pytest.raises(ModelError, match=r"does not say how its network paints; write .*other\.json"):
        open_style(str(path), "cpu")
    path.with_suffix(".json").write_text(json.dumps({"sees": "picture", "longest": 64}), encoding="utf-8")
    assert open_style(str(path), "cpu").paint(image).shape == image.shape


@pytest.mark.parametrize("kind", ["light", "cyclegan"])
def test_an_exported_style_is_rebuilt_in_pytorch(tmp_path: Path, kind: str) -> None:
    net, path = tiny(kind), tmp_path / "style.onnx"
    export_style(net, path)
    rgb = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        ours, theirs = net.eval()(rgb), load_embedded(path)(rgb)
    inner = slice(24, -24)
    torch.testing.assert_close(ours[..., inner, inner], theirs[..., inner, inner], atol=2e-3, rtol=0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> WholeStylizer:
    path = tmp_path_factory.mktemp("whole") / "style.onnx"
    export_style(tiny("cyclegan"), path)
    return WholeStylizer(make_backend(path, "cpu", exact=True), longest=48, grain=0.02)


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 130), st.integers(1, 130))
def test_a_picture_of_any_size_keeps_it(whole: WholeStylizer, height: int, width: int) -> None:
    image: NDArray[np.uint8] = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    before = image.copy()
    painted = whole(image)
    assert painted.shape == image.shape
    assert painted.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


def test_strength_0_without_restoration_is_the_photo_itself(image: Image) -> None:
    pipeline = build_pipeline(make_settings(strength=0.0, restore=0.0))
    np.testing.assert_array_equal(pipeline(image), image)


def test_strength_mixes_the_photo_and_the_painting(image: Image) -> None:
    full = build_pipeline(make_settings(strength=1.0))(image).astype(float)
    half = build_pipeline(make_settings(strength=0.5))(image).astype(float)
    np.testing.assert_allclose(half, (full + image) / 2, atol=1)


@pytest.mark.usefixtures("cache")
def test_the_pipeline_paints_with_a_local_style_and_names_it(tmp_path: Path, image: Image) -> None:
    path = tmp_path / "style.onnx"
    export_style(tiny("light"), path)
    result = build_pipeline(make_settings(style=str(path))).stylize(image)
    assert str(path) in result.models
    assert result.image.shape == image.shape
