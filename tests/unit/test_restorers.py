"""Published face restorers in the authors' layout, randomly initialised: read, exported and used as their files are."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")
import torch
from torch import nn

from sfumato.backends import TorchBackend
from sfumato.errors import MissingInputError, ModelError, SettingsError
from sfumato.nets.face_restorers import read_face_restorer
from sfumato.nets.torchvision_schema import declare_torchvision_operators
from sfumato.pipeline import build_pipeline
from sfumato.registry import find_embedded
from sfumato.resolve import Opened
from sfumato.restorers import open_restorer
from sfumato.settings import make_settings
from sfumato.stages.planes import to_batch
from sfumato.stages.restore import CropRestorer, restore_faces
from sfumato.types import Face, Image, Transform

pytestmark = pytest.mark.long

OFFICIAL_BYTES = 348_632_874
"""Of GFPGANv1.4.pth; a checkpoint of the same names and shapes is as large but for its zip's names."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SFUMATO_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def crop() -> Image:
    coarse = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (512, 512), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def small_restoreformer(path: Path) -> Path:
    """Write a RestoreFormer of few channels, whose size its loader tells by the tensors."""
    declare_torchvision_operators()
    from spandrel.architectures.RestoreFormer import RestoreFormer

    torch.manual_seed(0)
    sizes = {"ch": 32, "ch_mult": (1, 1, 1, 1, 1, 1), "num_res_blocks": 1, "n_embed": 16}
    net = RestoreFormer(**sizes, embed_dim=32, z_channels=32, head_size=8)
    torch.save({"state_dict": net.state_dict()}, path)
    return path


def direct(net: nn.Module, crop: Image) -> Image:
    batch = torch.from_numpy(crop.astype(np.float32) / 255).permute(2, 0, 1)[None]
    with torch.no_grad():
        restored = net(batch)[0].permute(1, 2, 0).numpy()
    return np.asarray(np.clip(255 * restored + 0.5, 0, 255).astype(np.uint8))


def differ(a: Image, b: Image) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def test_a_restoreformer_restores_as_pytorch_does_and_is_converted_once(
    tmp_path: Path, cache: Path, crop: Image
) -> None:
    path = small_restoreformer(tmp_path / "RestoreFormer.pth")
    restorer = open_restorer(str(path), "cpu", exact=True)
    assert differ(restorer.stage(crop), direct(read_face_restorer(path), crop)) <= 1
    (made,) = cache.glob("converted/restorer-*/*/model.onnx")
    before = made.stat().st_mtime_ns
    open_restorer(str(path), "cpu")
    assert made.stat().st_mtime_ns == before
    by_pytorch = open_restorer(str(path), "meta", exact=True)  # a device that is not the CPU is PyTorch's
    assert (by_pytorch.name, by_pytorch.sha256) == (restorer.name, restorer.sha256)


@pytest.mark.usefixtures("cache")
def test_the_pipeline_restores_by_a_local_file_and_names_it(tmp_path: Path, crop: Image) -> None:
    path = small_restoreformer(tmp_path / "RestoreFormer.pth")
    result = build_pipeline(make_settings(restorer=str(path), strength=0.0)).stylize(crop)
    assert str(path) in result.models
    assert "restorer-light" not in result.models


def test_light_is_the_embedded_one() -> None:
    restorer = open_restorer("light", "cpu")
    assert (restorer.name, restorer.sha256) == ("restorer-light", find_embedded("restorer").sha256)


@pytest.mark.parametrize(
    ("restorer", "error", "words"),
    [
        (
            "lihgt",
            SettingsError,
            "unknown restorer 'lihgt'; did you mean 'light'.*name a file of .pth, .safetensors",
        ),
        ("./gfpgan.onnx", SettingsError, "is no file of .pth, .safetensors"),
        ("nowhere.pth", MissingInputError, "restorer nowhere.pth does not exist"),
    ],
)
def test_what_stands_for_no_restorer_is_refused(restorer: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        open_restorer(restorer, "cpu")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (nn.Linear(2, 2).state_dict(), "holds no face restorer; name a file of GFPGAN or RestoreFormer"),
        ({"params_ema": {"toRGB.0.weight": torch.zeros(1)}}, "holds no face restorer"),
        ([1], "holds no weights by name"),
    ],
)
@pytest.mark.usefixtures("cache")
def test_weights_of_another_network_are_refused(tmp_path: Path, state: object, words: str) -> None:
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(ModelError, match=words):
        open_restorer(str(tmp_path / "other.pth"), "cpu")


@pytest.fixture(scope="module")
def gfpgan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Opened[Transform]]]:
    """Write GFPGAN 1.4's names and shapes with random weights and open them as the official file is opened."""
    declare_torchvision_operators()
    from spandrel.architectures.GFPGAN import GFPGAN

    folder = tmp_path_factory.mktemp("gfpgan")
    torch.manual_seed(0)
    sizes = {"out_size": 512, "num_style_feat": 512, "channel_multiplier": 2, "num_mlp": 8, "narrow": 1}
    net = GFPGAN(**sizes, fix_decoder=False, input_is_latent=True, different_w=True, sft_half=True)
    path = folder / "GFPGANv1.4.pth"
    torch.save({"params_ema": net.state_dict()}, path)
    del net
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SFUMATO_HOME", str(folder / "cache"))
        yield path, open_restorer(str(path), "cpu", exact=True)


def test_gfpgan_in_the_official_layout_restores_as_pytorch_does(
    gfpgan: tuple[Path, Opened[Transform]], crop: Image
) -> None:
    path, restorer = gfpgan
    assert path.stat().st_size == pytest.approx(OFFICIAL_BYTES, rel=1e-3)
    assert differ(restorer.stage(crop), direct(read_face_restorer(path), crop)) <= 1


def test_gfpgan_is_computed_alike_by_what_runs_on_gpus(
    gfpgan: tuple[Path, Opened[Transform]], crop: Image
) -> None:
    """It cannot be laid out channels-last: weights of five dimensions, and views that need the plain layout."""
    path, restorer = gfpgan
    backend = TorchBackend(lambda: read_face_restorer(path), "cpu", exact=True)
    assert differ(CropRestorer(backend)(crop), restorer.stage(crop)) <= 1


def test_bfloat16_leaves_gfpgan_at_45_decibels_at_least(
    gfpgan: tuple[Path, Opened[Transform]], crop: Image
) -> None:
    """Weights and what each layer gives are rounded to bfloat16, sums are not: as processors and GPUs do it."""
    net = read_face_restorer(gfpgan[0])
    faces = torch.from_numpy(to_batch([crop]))
    with torch.no_grad():
        exact = net(faces)
        for weights in net.parameters():
            weights.copy_(weights.bfloat16())
        for layer in net.modules():
            if "Conv" in type(layer).__name__ or not list(layer.children()):
                layer.register_forward_hook(lambda _net, _faces, given: given.bfloat16().float())
        rounded = net(faces)
    assert not torch.equal(exact, rounded)
    error = float((exact - rounded).square().mean())
    assert 10 * np.log10(1 / error) >= 45


def test_the_strength_acts_where_gfpgans_own_weight_does_nothing(
    gfpgan: tuple[Path, Opened[Transform]], crop: Image
) -> None:
    """GFPGAN takes a `weight` and never reads it (its issues 336, 423 and 459)."""
    _, restorer = gfpgan
    landmarks = ((192.98, 239.95), (318.90, 240.19), (256.63, 314.02), (201.26, 371.41), (313.09, 371.15))
    face = Face((150.0, 150.0, 360.0, 420.0), landmarks, 0.9)
    changes = []
    for strength in (0.0, 0.5, 1.0):
        restored, _ = restore_faces(crop, [face], restorer.stage, strength)
        changes.append(float(np.abs(restored.astype(int) - crop).mean()))
    assert changes[0] == 0
    assert 0.3 * changes[2] < changes[1] < 0.8 * changes[2]
