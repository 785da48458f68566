"""`sfumato evaluate segmenters` on drawn portraits with the real networks, and its page in a real browser."""

import json
from pathlib import Path

import cv2
import pytest
from skimage.data import astronaut

from tests.apps.conftest import Cli
from tests.browser import needs_browser, open_page
from tests.unit.portraits import portrait as draw_portrait
from tests.unit.portraits import write_dataset

WORDS = ("evaluate", "segmenters", "--models", "unet-light,sam-vit-b")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return drawn portraits, and a real one that the detector finds, with the mask of a drawn one."""
    root = write_dataset(tmp_path_factory.mktemp("data"), count=3)
    photo = astronaut()  # type: ignore[no-untyped-call]  # scikit-image has no types
    small = cv2.resize(photo, (256, 256), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(root / "images/val/val0.png"), small[..., ::-1])
    cv2.imwrite(str(root / "annotations/val/val0.png"), draw_portrait(0, 256).labels)
    return root


def test_models_are_compared_and_the_missing_ones_named(cli: Cli, data: Path) -> None:
    ran = cli(*WORDS, "--data", data, "--no-cost", "--variants", "dark", "--json")
    assert ran.code == 0
    assert "sam-vit-b is not measured: model sam-vit-b is not on this machine" in ran.err
    held = json.loads(ran.text)
    assert list(held["models"]) == ["unet-light"]
    assert list(held["models"]["unet-light"]["variants"]) == ["plain", "dark"]
    assert "sam-vit-b" in held["missing"]


def test_tables_are_printed_for_people(cli: Cli, data: Path) -> None:
    ran = cli(*WORDS, "--data", data, "--no-cost", "--variants", "plain", "--limit", "2")
    assert "mean IoU" in ran.text
    assert "pose: " in ran.text
    assert cli(*WORDS, "--data", data, "--no-cost", "--variants", "plain", "--limit", "1", "-q").text == ""


def test_the_choice_is_used_from_then_on(
    cli: Cli, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config" / "sfumato" / "config.toml"
    monkeypatch.delenv("SFUMATO_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    words = (*WORDS, "--data", data, "--variants", "plain", "--limit", "1", "--select")
    ran = cli(*words, "--budget", "60000")
    assert f"noted in {config}" in ran.text
    assert config.read_text() == 'chosen_segmenter = "unet-light"\n'


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--variants", "jepg"), 2, "did you mean 'jpeg'"),
        (("--models", "ligth"), 2, "did you mean 'light'"),
        (("--models", "sam-vit-b"), 5, "models pull sam-vit-b"),
        (("--models", "nowhere.onnx"), 3, "nowhere.onnx"),
        (("--select", "--no-cost"), 2, "leave out --no-cost"),
        (("--split", "test"), 3, "images/test"),
    ],
)
def test_bad_input_is_one_line(cli: Cli, data: Path, words: tuple[str, ...], code: int, said: str) -> None:
    ran = cli("evaluate", "segmenters", "--data", data, "--models", "light", *words)
    assert said in ran.refused_with(code)


@needs_browser
def test_the_page_renders_in_a_browser_and_asks_for_nothing(cli: Cli, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    ran = cli(*WORDS, "--data", data, "--no-cost", "--variants", "dark", "--out", out)
    assert ran.code == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "segmenters.csv",
        "segmenters.html",
        "segmenters.json",
    ]
    for width in (1000, 360):
        with open_page((out / "segmenters.html").as_uri(), width=width) as opened:
            assert opened.faults == []
            asked = [address for address in opened.addresses if not address.startswith("data:")]
            assert [address.split(":")[0] for address in asked] == ["file"]
            page = opened.page
            assert page.locator("h1").inner_text() == "Segmenters compared: unet-light"
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            drawn = page.evaluate("[...document.images].map(i => i.naturalWidth > 0)")
            assert drawn
            assert all(drawn)
            assert page.locator("svg").count() == 2
    before = (out / "segmenters.json").read_text()
    assert "exists" in cli(*WORDS, "--data", data, "--out", out).refused_with(4)
    assert (out / "segmenters.json").read_text() == before
