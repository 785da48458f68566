"""A segmenter by name or by file, U-Net or Segment Anything, through the same door as a user's."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
import torch
from safetensors.torch import save_file

from sfumato.errors import MissingInputError, ModelError, SettingsError
from sfumato.export_segmenter import export_segmenter
from sfumato.nets.cyclegan import ResnetGenerator
from sfumato.nets.segmenter import LightUNet
from sfumato.pipeline import build_pipeline
from sfumato.registry import find_embedded, load_registry, model_path
from sfumato.segmenters import choose_available, open_segmenter
from sfumato.settings import make_settings
from sfumato.stages.sam import SamSegmenter
from sfumato.stages.segment import LightSegmenter
from sfumato.store_added import add
from sfumato.types import Image
from tests.unit.small_sams import small_sam, small_sam2, write_sam, write_sam2
from tests.unit.test_sam import face_at


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SFUMATO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def image() -> Image:
    return np.random.default_rng(0).integers(0, 256, (128, 120, 3), dtype=np.uint8)


@pytest.fixture
def unet(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    save_file(LightUNet().state_dict(), tmp_path / "unet.safetensors")
    return tmp_path / "unet.safetensors"


def test_light_is_the_embedded_one() -> None:
    segmenter = open_segmenter("light", "cpu")
    assert (segmenter.name, segmenter.sha256) == ("segmenter-light", find_embedded("segmenter").sha256)
    assert isinstance(segmenter.stage, LightSegmenter)


def test_weights_of_a_u_net_are_converted_once_and_equal_its_export(
    unet: Path, tmp_path: Path, home: Path, image: Image
) -> None:
    converted = open_segmenter(str(unet), "cpu", exact=True)
    (made,) = home.glob("converted/segmenter-*/*/model.onnx")
    before = made.stat().st_mtime_ns
    open_segmenter(str(unet), "cpu")
    assert made.stat().st_mtime_ns == before
    net = LightUNet()
    from safetensors.torch import load_file

    net.load_state_dict(load_file(unet))
    export_segmenter(net, tmp_path / "u.onnx")
    exported = open_segmenter(str(tmp_path / "u.onnx"), "cpu", exact=True)
    faces = [face_at(0.2, 0, 0)]
    np.testing.assert_array_equal(
        converted.stage(image, faces).labels(), exported.stage(image, faces).labels()
    )


@pytest.mark.long
def test_a_sam_is_converted_and_names_the_u_net_beside_it(tmp_path: Path, home: Path, image: Image) -> None:
    path = write_sam(tmp_path / "sam.pth", small_sam())
    segmenter = open_segmenter(str(path), "cpu", exact=True)
    assert isinstance(segmenter.stage, SamSegmenter)
    assert segmenter.also == {"segmenter-light": find_embedded("segmenter").sha256}
    assert len(list(home.glob("converted/segmenter-*/*/*.onnx"))) == 2
    parsing = segmenter.stage(image, [face_at(0.2, 0, 0)])
    np.testing.assert_allclose(parsing.faces[0].probabilities.sum(axis=0), 1, atol=1e-3)


@pytest.mark.long
def test_a_sam_by_pytorch_equals_that_by_openvino(tmp_path: Path, image: Image) -> None:
    """The device "meta" is not the CPU's way; "cpu:0" is PyTorch's name for it."""
    from sfumato.conversion import read_weights
    from sfumato.segmenters import _by_pytorch

    path, face = write_sam(tmp_path / "sam.pth", small_sam()), face_at(0.2, 0, 0)
    converted = open_segmenter(str(path), "cpu", exact=True).stage
    torched = _by_pytorch(read_weights(path, "segmenter"), "sam", "cpu", exact=True).stage
    assert isinstance(converted, SamSegmenter) and isinstance(torched, SamSegmenter)
    first, _ = converted.region(image, face, converted.embed(image))
    second, _ = torched.region(image, face, torched.embed(image))
    assert np.abs(first - second).max() < 0.05 * np.abs(second).max()


@pytest.mark.long
def test_the_pipeline_finds_faces_by_a_folder_of_hugging_face(tmp_path: Path, image: Image) -> None:
    small_sam().save_pretrained(tmp_path / "sam")
    pipeline = build_pipeline(make_settings(segmenter=str(tmp_path / "sam"), restore=0))
    result = pipeline.stylize(image)
    assert str(tmp_path / "sam") in result.models
    assert "segmenter-light" in result.models


@pytest.mark.long
def test_a_sam_2_finds_a_face(tmp_path: Path, image: Image) -> None:
    path = write_sam2(tmp_path / "sam2.pt", small_sam2())
    parsing = open_segmenter(str(path), "cpu").stage(image, [face_at(0.2, 0, 0)])
    np.testing.assert_allclose(parsing.faces[0].probabilities.sum(axis=0), 1, atol=1e-2)


def test_the_first_of_several_that_is_here_counts(unet: Path) -> None:
    names = "unet-efficientnet-b2,sam-vit-b"
    with pytest.raises(
        ModelError, match=r"none of the segmenters .* get one with: sfumato models pull sam-vit-b"
    ):
        choose_available(names)
    assert choose_available(f"{names},light") == "light"
    add(unet, "segmenter", "unet-efficientnet-b2")
    assert choose_available(names) == "unet-efficientnet-b2"
    assert choose_available(f"{unet},light") == str(unet)
    with pytest.raises(SettingsError, match="unknown segmenter 'sam-vit-x'"):
        choose_available("sam-vit-x,light")


@pytest.mark.parametrize(
    ("segmenter", "error", "words"),
    [
        ("lihgt", SettingsError, "unknown segmenter 'lihgt'; did you mean 'light'"),
        (
            "sam-vit-h",
            ModelError,
            "sam-vit-h is not on this machine; get it with: sfumato models pull sam-vit-h",
        ),
        (
            "unet-efficientnet-b2",
            ModelError,
            "is not on this machine; nobody publishes its weights: train it",
        ),
        ("gfpgan-1.4", SettingsError, "model 'gfpgan-1.4' is a restorer, not a segmenter"),
        ("nowhere.pth", MissingInputError, "segmenter nowhere.pth does not exist"),
        ("./x.gif", SettingsError, "is no file of .onnx, .pth, .pt, .safetensors"),
    ],
)
def test_what_stands_for_no_segmenter_is_refused(segmenter: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        open_segmenter(segmenter, "cpu")


def test_files_of_other_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="to no probabilities of nine classes; export it with"):
        open_segmenter(str(model_path(load_registry()["monet-light"])), "cpu")
    torch.save(ResnetGenerator(width=4).state_dict(), tmp_path / "style.pth")
    with pytest.raises(ModelError, match="holds no U-Net"):
        open_segmenter(str(tmp_path / "style.pth"), "cpu")
