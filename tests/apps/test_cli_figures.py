"""`sfumato figures`: which figures are drawn, where they go, and what is refused."""

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tests.apps.conftest import Cli, Save

WHOLE = {f"figure-{number}.{format}" for number in (1, 3, 4) for format in ("png", "pdf")}
GONE = "models/gone.onnx"


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "b2"
    folder.mkdir(parents=True)
    (folder / "loss.csv").write_text("curve,step,loss\ntraining,1,2.0\ntraining,2,1.0\nvalidation,2,1.5\n")
    return folder


def test_all_figures_are_drawn_as_png_and_pdf(cli: Cli, save: Save, tmp_path: Path, run_folder: Path) -> None:
    out = tmp_path / "new" / "figures"
    ran = cli(
        "figures", save("a.png"), "--out", out, "--run", run_folder, "--models", f"light,{GONE}", "--json"
    )
    assert ran.code == 0
    assert ran.err.count("\n") == 1
    assert ran.err.startswith(f"sfumato: {GONE} is not shown: ")
    assert {path.name for path in out.iterdir()} == WHOLE | {"figure-2.png", "figure-2.pdf"}
    report = json.loads(ran.text)
    figures = {figure["figure"]: figure for figure in report["figures"]}
    assert list(figures) == [1, 2, 3, 4]
    assert figures[2]["panels"] == ["training", "validation"]
    assert figures[3]["panels"] == ["photo", "light"]
    assert figures[4]["panels"] == ["original", "direct stylization and enhancement", "light", "ours"]
    assert figures[3]["files"] == [str(out / "figure-3.png"), str(out / "figure-3.pdf")]
    assert "gone" in figures[4]["caption"]
    assert [model["model"] for model in report["missing"]] == [GONE]
    assert report["left_out"] == []
    for path in out.glob("*.png"):
        with PIL.Image.open(path) as picture:
            assert picture.size[0] == 1440
            assert len(np.unique(np.asarray(picture.convert("L")))) > 1
    assert all(path.read_bytes().startswith(b"%PDF") for path in out.glob("*.pdf"))


def test_of_standard_input_all_are_drawn_but_figure_2_and_that_is_said(
    cli: Cli, save: Save, tmp_path: Path
) -> None:
    ran = cli("figures", "-", "-o", tmp_path / "out", stdin=save("a.png").read_bytes())
    assert (ran.code, ran.err) == (0, "")
    assert ran.text.splitlines()[-1] == "figure 2 is left out: no run was named; use --run DIR"
    assert {path.name for path in (tmp_path / "out").iterdir()} == WHOLE


def test_only_some_figures_are_drawn(cli: Cli, save: Save, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = cli("figures", save("a.png"), "-o", out, "--only", "3", "-q")
    assert (ran.code, ran.out) == (0, b"")
    assert {path.name for path in out.iterdir()} == {"figure-3.png", "figure-3.pdf"}


def test_figure_2_needs_no_picture(cli: Cli, tmp_path: Path, run_folder: Path) -> None:
    ran = cli("figures", "-o", tmp_path / "out", "--only", "2", "--run", run_folder)
    assert (ran.code, ran.err) == (0, "")
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_the_same_inputs_give_the_same_files(cli: Cli, save: Save, tmp_path: Path) -> None:
    source = save("a.png")
    for name in ("one", "other"):
        assert cli("figures", source, "-o", tmp_path / name, "--only", "3").code == 0
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()


def test_a_figure_that_exists_is_kept_unless_overwriting_is_asked_for(
    cli: Cli, tmp_path: Path, run_folder: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "figure-2.pdf").write_bytes(b"mine")
    command = ("figures", "-o", out, "--only", "2", "--run", run_folder)
    assert "figure-2.pdf exists" in cli(*command).refused_with(4)
    assert [path.name for path in out.iterdir()] == ["figure-2.pdf"]
    assert (out / "figure-2.pdf").read_bytes() == b"mine"
    assert cli(*command, "--overwrite").code == 0
    assert (out / "figure-2.pdf").read_bytes().startswith(b"%PDF")
    assert sorted(path.name for path in out.iterdir()) == ["figure-2.pdf", "figure-2.png"]


def test_a_figure_never_replaces_its_picture(cli: Cli, save: Save, tmp_path: Path) -> None:
    source = save("out/figure-3.png")
    ran = cli("figures", source, "-o", tmp_path / "out", "--only", "3", "--overwrite")
    assert "never replaced" in ran.refused_with(4)


def test_without_any_model_its_error_is_told_and_nothing_written(
    cli: Cli, save: Save, tmp_path: Path
) -> None:
    ran = cli("figures", save("a.png"), "-o", tmp_path / "out", "--models", GONE)
    assert "gone.onnx" in ran.refused_with(3)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--only", "2"], 2, "--run DIR"),
        (["--only", "5"], 2, "no figure '5'"),
        (["--only", ""], 2, "no figure ''"),
        (["--models", "lihgt"], 2, "did you mean 'light'"),
        (["--style", "mone"], 2, "did you mean 'monet'"),
        (["--run", "nowhere"], 3, "loss.csv is missing"),
    ],
)
def test_a_wrong_choice_is_one_line(
    cli: Cli, save: Save, tmp_path: Path, options: list[str], code: int, said: str
) -> None:
    assert said in cli("figures", save("a.png"), "-o", tmp_path / "out", *options).refused_with(code)


def test_pictures_are_asked_for_where_figures_show_them(cli: Cli, tmp_path: Path) -> None:
    assert "name some" in cli("figures", "-o", tmp_path / "out").refused_with(2)
    assert "gone.png" in cli("figures", tmp_path / "gone.png", "-o", tmp_path / "out").refused_with(3)
    file = tmp_path / "file"
    file.touch()
    assert "is a file" in cli("figures", file, "-o", file).refused_with(4)


def test_the_help_shows_examples(cli: Cli) -> None:
    assert "sfumato figures portrait.jpg -o figures/" in cli("figures", "--help").text
