"""A style by name or by file: real networks, tiny, through the same door as a user's."""

import json
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

pytest.importorskip("torch")
import onnx
import onnx.compose
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from sfumato.backends import make_backend
from sfumato.errors import BackendMissingError, MissingInputError, ModelError, SettingsError
from sfumato.export import export_onnx
from sfumato.export_style import export_style
from sfumato.nets.cyclegan import ResnetGenerator, initialise
from sfumato.nets.embedded import load_embedded
from sfumato.nets.generator import GeneratorLight
from sfumato.nets.generators import Generator, read_generator
from sfumato.pipeline import build_pipeline
from sfumato.registry import model_path
from sfumato.resolve import find_named
from sfumato.settings import make_settings
from sfumato.stages.style_facts import StyleFacts
from sfumato.stages.stylize import LightStylizer, WholeStylizer
from sfumato.styles import local_facts, open_style
from sfumato.training.any_style import AnyStyle
from sfumato.training.any_style_run import export_any_style
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
    painted = open_style(str(path), "cpu", exact=True).stage(picture)
    assert differ(painted, direct(net, picture)) <= 1


@pytest.mark.usefixtures("cache")
def test_a_light_generator_paints_from_a_file_inside_its_margin(tmp_path: Path, image: Image) -> None:
    net = tiny("light")
    save_file(net.state_dict(), tmp_path / "style.safetensors")
    picture = np.ascontiguousarray(image[:88, :68])
    painted = open_style(str(tmp_path / "style.safetensors"), "cpu", exact=True).stage(picture)
    inner = slice(20, -20)
    assert differ(painted[inner, inner], direct(net, picture)[inner, inner]) <= 1


def test_weights_are_converted_once(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "style.pth"
    torch.save(tiny("cyclegan").state_dict(), path)
    open_style(str(path), "cpu")
    (made,) = cache.glob("converted/stylizer-*/*/model.onnx")
    before = made.stat().st_mtime_ns
    open_style(str(path), "cpu")
    assert [file.stat().st_mtime_ns for file in cache.glob("converted/*/*/model.onnx")] == [before]


def test_a_name_wins_over_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "monet").mkdir()
    monkeypatch.chdir(tmp_path)
    assert open_style("monet", "cpu").name == "monet-light"


def test_a_named_style_is_the_embedded_one() -> None:
    style = open_style("monet", "cpu")
    assert (style.name, style.sha256) == ("monet-light", find_named("monet", "stylizer").sha256)


def test_the_registry_says_of_the_embedded_style_what_its_file_says() -> None:
    spec = find_named("monet", "stylizer")
    assert StyleFacts(**spec.paints) == local_facts(model_path(spec), model_path(spec))


@pytest.mark.parametrize(
    ("style", "error", "words"),
    [
        ("mone", SettingsError, "did you mean 'monet'"),
        (
            "painting.gif",
            SettingsError,
            "unknown style 'painting.gif'.*or name a file of .onnx, .safetensors",
        ),
        ("./painting.gif", SettingsError, "is no file of .onnx, .safetensors, .pth; name such a file"),
        (
            "cyclegan-monet",
            ModelError,
            "is not on this machine; get it with: sfumato models pull cyclegan-monet",
        ),
        ("gfpgan-1.4", SettingsError, "is a restorer, not a stylizer"),
        ("folder/monet", SettingsError, "is no file of .onnx, .safetensors, .pth; name such a file"),
        ("nowhere.onnx", MissingInputError, "does not exist"),
        ("nowhere.pth", MissingInputError, "does not exist"),
        ("nowhere.jpg", MissingInputError, "does not exist"),
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


class Touch:
    """Create a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.usefixtures("cache")
def test_code_in_a_pth_is_not_run(tmp_path: Path) -> None:
    state = {**tiny("cyclegan").state_dict(), "more": Touch(tmp_path / "touched")}
    torch.save(state, tmp_path / "style.pth")
    with pytest.raises(ModelError, match="damaged or holds more than weights"):
        open_style(str(tmp_path / "style.pth"), "cpu")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("state", [[1, 2], {1: torch.zeros(1)}, {"epoch": 3}])
@pytest.mark.usefixtures("cache")
def test_a_pth_without_weights_by_name_is_refused(tmp_path: Path, state: object) -> None:
    torch.save(state, tmp_path / "style.pth")
    with pytest.raises(ModelError, match=r"holds no (weights by name|CycleGAN generator)"):
        open_style(str(tmp_path / "style.pth"), "cpu")


@pytest.mark.parametrize(
    "suffix",
    [".pth", *(pytest.param(each, marks=pytest.mark.long) for each in (".safetensors", ".SAFETENSORS"))],
)
@pytest.mark.usefixtures("cache")
def test_a_truncated_download_is_refused_in_one_line(tmp_path: Path, suffix: str) -> None:
    whole, path = tmp_path / "whole", tmp_path / f"style{suffix}"
    save_file(tiny("light").state_dict(), whole) if suffix != ".pth" else torch.save(
        tiny("light").state_dict(), whole
    )
    content = whole.read_bytes()
    for part in range(1, 20):
        path.write_bytes(content[: part * len(content) // 20])
        with pytest.raises(ModelError, match=r"^[^\n]*style[^\n]*is damaged[^\n]*$"):
            read_generator(path)
    with pytest.raises(ModelError, match=r"^[^\n]*style[^\n]*is damaged[^\n]*$"):
        open_style(str(path), "cpu")
    path.write_bytes(content)
    open_style(str(path), "cpu")


def test_an_onnx_of_others_is_used_as_the_file_beside_it_says(tmp_path: Path, image: Image) -> None:
    path, net = tmp_path / "other.onnx", tiny("cyclegan")
    export_onnx(net, path, example=torch.rand(1, 3, 64, 64))
    with pytest.raises(ModelError, match=r"does not say how its network paints; write .*other\.json"):
        open_style(str(path), "cpu")
    path.with_suffix(".json").write_text(json.dumps({"sees": "picture", "longest": 64}), encoding="utf-8")
    assert open_style(str(path), "cpu").stage(image).shape == image.shape
    path.with_suffix(".json").write_bytes(b"\xff")
    with pytest.raises(ModelError, match=r"other\.json does not say"):
        open_style(str(path), "cpu")


def test_what_an_onnx_says_itself_wins_over_a_file_beside_it(tmp_path: Path) -> None:
    export_style(tiny("light"), tmp_path / "style.onnx", StyleFacts("tile", margin=24, grain=0.02))
    (tmp_path / "style.json").write_text('{"sees": "picture"}', encoding="utf-8")
    paint = open_style(str(tmp_path / "style.onnx"), "cpu").stage
    assert isinstance(paint, LightStylizer)
    assert (paint.margin, paint.grain) == (24, 0.02)


def test_weights_are_used_as_the_file_beside_them_says(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "style.safetensors"
    save_file(tiny("light").state_dict(), path)
    path.with_suffix(".json").write_text('{"sees": "tile", "margin": 20, "grain": 0.1}', encoding="utf-8")
    paint = open_style(str(path), "cpu").stage
    assert isinstance(paint, LightStylizer)
    assert (paint.margin, paint.grain) == (20, 0.1)
    assert cache.is_dir()


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (nn.Conv2d(4, 3, 1), "its input is no batch of RGB planes but anyx4xanyxany"),
        (nn.Conv2d(3, 1, 1), "its output is no batch of RGB planes but anyx1xanyxany"),
    ],
)
def test_a_network_that_maps_no_picture_to_one_is_refused(tmp_path: Path, net: nn.Conv2d, words: str) -> None:
    path = tmp_path / "other.onnx"
    export_onnx(net, path, example=torch.rand(1, net.in_channels, 8, 8))
    path.with_suffix(".json").write_text('{"sees": "picture"}', encoding="utf-8")
    with pytest.raises(ModelError, match=words):
        open_style(str(path), "cpu")


def test_a_network_of_one_size_or_of_another_input_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    export_onnx(nn.Conv2d(3, 3, 1), path, example=torch.rand(1, 3, 8, 8))
    model = onnx.load(str(path))
    for place, side in ((2, 64), (3, 48)):
        model.graph.input[0].type.tensor_type.shape.dim[place].dim_value = side
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match="takes pictures of anyx3x64x48 alone"):
        open_style(str(path), "cpu")
    named = onnx.compose.add_prefix(onnx.load(str(path)), "my_")
    onnx.save(named, str(path))
    with pytest.raises(ModelError, match="takes my_input where a generator takes 'input'"):
        open_style(str(path), "cpu")


def test_a_failing_export_leaves_the_file_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "style.onnx"
    export_style(tiny("light"), path)
    before = path.read_bytes()

    def fail(*_: object, **__: object) -> float:
        raise ModelError("it differs")

    monkeypatch.setattr("sfumato.export_style.check_parity", fail)
    with pytest.raises(ModelError, match="it differs"):
        export_style(tiny("cyclegan"), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["style.onnx"]


def test_a_damaged_conversion_is_made_again(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "style.safetensors"
    save_file(tiny("light").state_dict(), path)
    open_style(str(path), "cpu")
    (made,) = cache.glob("converted/stylizer-*/*/model.onnx")
    made.write_bytes(b"half a file")
    open_style(str(path), "cpu")
    assert made.stat().st_size > 1000


def test_a_published_generator_of_full_size_is_exported_exactly(tmp_path: Path) -> None:
    torch.manual_seed(2)
    net = ResnetGenerator()
    initialise(net)
    assert export_style(net, tmp_path / "full.onnx") < 1e-3


def any_style_files(folder: Path) -> AnyStyle:
    torch.manual_seed(5)
    net = AnyStyle(blocks=1)
    nn.init.normal_(net.painter.modulation.weight, 0.0, 0.5)
    folder.mkdir(parents=True, exist_ok=True)
    export_any_style(net, folder)
    return net


def test_a_picture_is_a_style(tmp_path: Path, cache: Path, image: Image) -> None:
    net = any_style_files(cache / "any-style")
    for name, level in (("light", 230), ("dark", 20)):
        PIL.Image.new("RGB", (300, 400), (level, level // 2, level)).save(tmp_path / f"{name}.png")
    picture = np.ascontiguousarray(image[:88, :68])
    light, dark = (open_style(str(tmp_path / f"{n}.png"), "cpu", exact=True) for n in ("light", "dark"))
    assert light.sha256 != dark.sha256
    assert differ(light.stage(picture), dark.stage(picture)) > 1
    batch = torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None]
    manner = torch.full((1, 3, 256, 256), 230 / 255)
    manner[:, 1] = 115 / 255
    with torch.no_grad():
        expected = net.eval()(batch, manner)[0].permute(1, 2, 0).numpy()
    inner = slice(20, -20)
    painted = light.stage(picture).astype(float)
    assert np.abs(painted - 255 * expected)[inner, inner].max() < 3  # its weights are stored as float16


def test_networks_for_the_manner_of_a_picture_run_on_the_cpu_alone(tmp_path: Path, cache: Path) -> None:
    any_style_files(cache / "any-style")
    PIL.Image.new("RGB", (30, 40)).save(tmp_path / "style.png")
    with pytest.raises(BackendMissingError, match="use --device cpu, not cuda"):
        open_style(str(tmp_path / "style.png"), "cuda")


def test_one_of_the_two_networks_is_not_enough(tmp_path: Path, cache: Path) -> None:
    any_style_files(cache / "any-style")
    (cache / "any-style" / "any-style.onnx").unlink()
    PIL.Image.new("RGB", (30, 40)).save(tmp_path / "style.png")
    with pytest.raises(ModelError, match="add the other or remove it"):
        open_style(str(tmp_path / "style.png"), "cpu")


@pytest.mark.usefixtures("cache")
def test_a_picture_without_networks_for_it_gives_its_palette(tmp_path: Path, image: Image) -> None:
    PIL.Image.new("RGB", (30, 40), (200, 60, 40)).save(tmp_path / "red.png")
    style = open_style(str(tmp_path / "red.png"), "cpu")
    painted = style.stage(image)
    plain = open_style("monet", "cpu").stage(image)
    assert style.name == str(tmp_path / "red.png")
    assert style.also == {"monet-light": find_named("monet", "stylizer").sha256}
    assert painted.shape == image.shape
    mean, before = painted.mean((0, 1)), plain.mean((0, 1))
    assert np.abs(mean - (200, 60, 40)).max() < 30 < np.abs(before - (200, 60, 40)).max()
    assert painted.std() > 2  # light and brush stay


@pytest.mark.parametrize("kind", ["light", "cyclegan"])
@pytest.mark.parametrize("name", ["style", "monet-light", "restorer-light"])
def test_an_exported_style_is_rebuilt_in_pytorch_whatever_its_name(
    tmp_path: Path, kind: str, name: str
) -> None:
    net, path = tiny(kind), tmp_path / f"{name}.onnx"
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
