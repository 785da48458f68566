"""`sfumato evaluate pipeline` and `restorer`: folders in, tables and a report out, or one line that says why not."""

import csv
import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

pytest.importorskip("torch")
import torch

from sfumato.nets.recogniser import MobileFaceNet
from sfumato.nets.vgg import VggFeatures
from tests.apps.conftest import Cli, Save, colours
from tests.browser import needs_browser, open_page
from tests.unit.small_sams import small_sam, write_sam

PIPELINE = ("evaluate", "pipeline")
RESTORER = ("evaluate", "restorer")


@pytest.fixture
def photos(save: Save, tmp_path: Path) -> Path:
    for k in range(4):
        save(f"photos/{'hats' if k < 2 else 'glasses'}/{k}.png", colours(seed=k))
    save("photos/wall.png", np.full((96, 80, 3), 90, np.uint8))
    (tmp_path / "photos/hats/broken.jpg").write_text("no picture")
    return tmp_path / "photos"


@pytest.fixture
def paintings(save: Save, tmp_path: Path) -> Path:
    for k in range(4):
        save(f"paintings/{k}.png", colours(64, 64, 10 + k))
    return tmp_path / "paintings"


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    (tmp_path / "faces").mkdir()
    for k in range(2):
        small = PIL.Image.fromarray(colours(12, 12, k))
        small.resize((512, 512), PIL.Image.Resampling.BICUBIC).save(tmp_path / f"faces/{k}.png")
    return tmp_path / "faces"


@pytest.fixture
def recognition(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    torch.save({"net_state_dict": MobileFaceNet().state_dict()}, tmp_path / "recognition.ckpt")
    return tmp_path / "recognition.ckpt"


@pytest.fixture
def vgg(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    torch.save(VggFeatures().layers.state_dict(), tmp_path / "vgg.pth")
    return tmp_path / "vgg.pth"


def test_every_step_is_measured_and_the_missing_one_named(cli: Cli, photos: Path) -> None:
    ran = cli(*PIPELINE, "--images", photos, "--json")
    assert ran.code == 0
    assert "+ SAM mask is not measured: model sam-vit-b is not on this machine" in ran.err
    held = json.loads(ran.text)
    assert list(held["steps"]) == ["direct stylization", "+ restoration", "+ U-Net mask", "ours"]
    assert "sam-vit-b" in held["missing"]["+ SAM mask"]
    assert held["without a face"] == ["wall.png"]
    assert list(held["unreadable"]) == ["hats/broken.jpg"]
    assert {group: of["pictures"] for group, of in held["groups"].items()} == {"glasses": 2, "hats": 2}
    assert held["steps"]["ours"]["likeness"]["value"] is None  # this pipeline has no recogniser
    assert any("--paintings" in note for note in held["notes"])


def test_the_report_names_the_missing_step_in_every_form(
    cli: Cli, photos: Path, paintings: Path, recognition: Path, tmp_path: Path
) -> None:
    words = ("--images", photos, "--paintings", paintings, "--recognition", recognition)
    ran = cli(*PIPELINE, *words, "--out", tmp_path / "report")
    assert ran.code == 0
    assert [
        line for line in ran.text.splitlines() if line.startswith("+ SAM mask") and "not measured" in line
    ]
    rows = list(csv.DictReader((tmp_path / "report/pipeline.csv").read_text().splitlines()))
    (missing,) = (row for row in rows if row["step"] == "+ SAM mask")
    assert "sam-vit-b" in missing["note"] and missing["value"] == ""
    held = json.loads((tmp_path / "report/pipeline.json").read_text())
    assert 0 < held["steps"]["ours"]["style distance"]["EfficientNet-Lite0"]["value"] < 20
    assert held["facts"]["likeness by"] == "MobileFaceNet"
    page = (tmp_path / "report/pipeline.html").read_text()
    assert "Not measured:" in page and "sam-vit-b" in page
    assert page.count("<figure>") == 3 * 2 * 5


@pytest.mark.long
def test_a_segment_anything_of_a_file_takes_its_step(
    cli: Cli, photos: Path, paintings: Path, vgg: Path, tmp_path: Path
) -> None:
    sam = write_sam(tmp_path / "sam.pth", small_sam())
    words = ("--images", photos, "--limit", "2", "--paintings", paintings, "--vgg", vgg, "--sam", sam)
    held = json.loads(cli(*PIPELINE, *words, "--json").text)
    assert held["missing"] == {}
    assert list(held["steps"])[2] == "+ SAM mask"
    assert (
        held["steps"]["+ SAM mask"]["seconds"]["value"] is None
    )  # one picture has a face, and is the warm-up
    assert set(held["steps"]["ours"]["style distance"]) == {"EfficientNet-Lite0", "VGG19"}
    assert f"sha256 of {sam}" in held["facts"]


def test_quiet_says_what_is_missing_and_nothing_else(cli: Cli, photos: Path) -> None:
    ran = cli(*PIPELINE, "--images", photos, "-q")
    assert ran.text == ""
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("command", [PIPELINE, RESTORER])
def test_an_existing_report_is_refused_before_anything_is_measured(
    cli: Cli, command: tuple[str, ...], photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / f"report/{command[1]}.csv").write_text("mine")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "a.png").write_text("no picture")  # would be refused otherwise, had the work begun
    words: tuple[str | Path, ...] = (*command, "--images", broken, "--out", tmp_path / "report")
    assert f"{command[1]}.csv exists" in cli(*words).refused_with(4)
    assert (tmp_path / f"report/{command[1]}.csv").read_text() == "mine"
    assert cli(*words, "--overwrite").code == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--sam", "sam-vit-x"), 2, "did you mean 'sam-vit-"),
        (("--sam", "nowhere.pth"), 3, "nowhere.pth"),
        (("--style", "mone"), 2, "did you mean 'monet'"),
        (("--preset", "papers"), 2, "did you mean 'paper'"),
    ],
)
def test_bad_choices_are_one_line(
    cli: Cli, photos: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    assert said in cli(*PIPELINE, "--images", photos, *words).refused_with(code)


def test_folders_without_use_are_refused(cli: Cli, photos: Path, vgg: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no pictures" in cli(*PIPELINE, "--images", tmp_path / "empty").refused_with(3)
    assert "no .jpg or .png" in cli(*RESTORER, "--images", tmp_path / "empty").refused_with(3)
    assert "--paintings" in cli(*PIPELINE, "--images", photos, "--vgg", vgg).refused_with(2)
    assert "aligned as in FFHQ" in cli(*RESTORER, "--images", photos / "glasses").refused_with(3)
    words = (*PIPELINE, "--images", photos, "--sam", "light", "--recognition", vgg)
    assert "holds no weights of MobileFaceNet" in cli(*words).refused_with(5)


def test_restorers_are_compared_with_doing_nothing(cli: Cli, faces: Path) -> None:
    ran = cli(*RESTORER, "--images", faces, "--limit", "1", "--json")
    assert ran.code == 0
    assert "gfpgan-1.4 is not measured" in ran.err
    held = json.loads(ran.text)
    assert list(held["levels"]) == ["sharp", "mild", "medium", "strong"]
    nothing = held["levels"]["sharp"]["methods"]["bicubic"]
    assert {measure: round(mean["value"], 4) for measure, mean in nothing.items()} == {
        "PSNR": 100,
        "SSIM": 1,
        "perceptual distance": 0,
        "identity": 1,
    }
    assert set(held["levels"]["strong"]["methods"]) == {"bicubic", "light"}
    assert "gfpgan-1.4" in held["missing"]
    assert any("not independent" in note for note in held["notes"])


@pytest.mark.long
def test_the_restorers_report_shows_tables_and_faces(cli: Cli, faces: Path, tmp_path: Path) -> None:
    ran = cli(*RESTORER, "--images", faces, "--restorers", "light", "--out", tmp_path / "report")
    assert "strong damage" in ran.text and "perceptual distance" in ran.text
    assert sorted(path.suffix for path in (tmp_path / "report").iterdir()) == [".csv", ".html", ".json"]
    assert (tmp_path / "report/restorer.html").read_text().count("<figure>") == 2 * 3


def test_unknown_restorers_are_one_line(cli: Cli, faces: Path) -> None:
    words = (*RESTORER, "--images", faces, "--restorers")
    assert "did you mean 'light'" in cli(*words, "ligth").refused_with(2)
    assert "models pull gfpgan-1.4" in cli(*words, "gfpgan-1.4").refused_with(5)


@needs_browser
def test_the_page_renders_in_a_browser_and_asks_for_nothing(cli: Cli, photos: Path, tmp_path: Path) -> None:
    assert cli(*PIPELINE, "--images", photos, "--out", tmp_path / "report").code == 0
    for width in (1000, 360):
        with open_page((tmp_path / "report/pipeline.html").as_uri(), width=width) as opened:
            assert opened.faults == []
            asked = [address for address in opened.addresses if not address.startswith("data:")]
            assert [address.split(":")[0] for address in asked] == ["file"]
            assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
