"""The paper's preset, whole: its names, and small networks of its architectures in their place."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
import torch
from skimage import data

from sfumato.download import digest_of
from sfumato.errors import ModelError
from sfumato.export_segmenter import export_segmenter
from sfumato.nets.cyclegan import ResnetGenerator, initialise
from sfumato.nets.segmenter import LightUNet
from sfumato.pipeline import build_pipeline
from sfumato.settings import PRESETS, make_settings
from sfumato.store import find_models, pull, put
from sfumato.store_added import add
from sfumato.store_licences import accept_licence
from sfumato.store_records import folder_of
from sfumato.types import Image
from tests.servers import serve
from tests.unit.test_restorers import small_restoreformer

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SFUMATO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def portrait() -> Image:
    return np.asarray(data.astronaut()[:300, 80:370], dtype=np.uint8)  # type: ignore[no-untyped-call]  # its own stub


def fetch_style(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let a mirror have CycleGAN's Monet, small, and pull it; return its sha256."""
    torch.manual_seed(0)
    net = ResnetGenerator(blocks=1, width=4)
    initialise(net)
    torch.save(net.state_dict(), tmp_path / "style_monet.pth")
    (spec,) = find_models(["cyclegan-monet"])
    accept_licence(spec)
    with serve({"style_monet.pth": (tmp_path / "style_monet.pth").read_bytes()}) as mirror:
        monkeypatch.setenv("SFUMATO_MIRROR", mirror.url)
        return pull(spec).sha256


def test_the_preset_says_what_is_missing() -> None:
    for name in PRESETS:
        with pytest.raises(ModelError, match=r"get (it|one) with: sfumato models pull"):
            build_pipeline(make_settings(name))


def test_the_preset_paints_by_a_fetched_style(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, portrait: Image
) -> None:
    digest = fetch_style(tmp_path, monkeypatch)
    settings = make_settings("paper", restorer="light", segmenter="light")
    result = build_pipeline(settings).stylize(portrait)
    assert result.models["cyclegan-monet"] == digest
    assert len(result.faces) == 1
    assert set(np.unique(result.mask)) == {0.0, 1.0}
    assert 0.03 < result.mask.mean() < 0.4
    assert result.restorations[0].weight == 1.0


def test_the_whole_preset_runs_with_small_networks_in_place_of_the_papers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, portrait: Image
) -> None:
    fetch_style(tmp_path, monkeypatch)
    (gfpgan,) = find_models(["gfpgan-1.4"])
    path = folder_of(gfpgan) / gfpgan.file
    path.parent.mkdir(parents=True)
    small_restoreformer(path)  # another network of the task, told by its tensors as GFPGAN is
    digest = digest_of(path)
    monkeypatch.setattr(
        "sfumato.store.expected_sha256", lambda spec: digest if spec.name == "gfpgan-1.4" else None
    )
    put(replace(gfpgan, sha256=None), path, digest)
    export_segmenter(LightUNet(), tmp_path / "unet.onnx")
    add(tmp_path / "unet.onnx", "segmenter", "unet-efficientnet-b2")
    paper = build_pipeline(make_settings("paper")).stylize(portrait)
    plus = build_pipeline(make_settings("paper-plus")).stylize(portrait)
    for result in (paper, plus):
        assert {"cyclegan-monet", "gfpgan-1.4", "unet-efficientnet-b2"} <= result.models.keys()
        assert result.image.shape == portrait.shape
    assert paper.restorations[0].weight == 1.0
    assert set(np.unique(paper.mask)) <= {0.0, 1.0}
