"""Weights are converted once, in a process of their own, and what goes wrong there is one line here."""

import json
import logging
import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("torch")
import torch

from sfumato.apps import convert
from sfumato.conversion import FORMS, MODEL, STAMP, convert_once, converted_folder, is_converted, read_weights
from sfumato.errors import BackendMissingError, MissingInputError, ModelError, OutputError
from sfumato.nets.cyclegan import ResnetGenerator


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SFUMATO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    torch.save(ResnetGenerator(blocks=1, width=4).state_dict(), tmp_path / "style.pth")
    return tmp_path / "style.pth"


def converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let a shell script convert in the place of Python."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setattr(sys, "executable", str(path))


def test_a_conversion_is_stamped_and_never_repeated(
    weights: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = read_weights(weights, "style")
    ticks: list[float] = []
    with caplog.at_level(logging.INFO, "sfumato.conversion"):
        folder = convert_once(file, "stylizer", ticks.append)
    assert "converting style.pth, once" in caplog.messages[0]
    assert "converted style.pth in" in caplog.messages[1]
    assert ticks and ticks == sorted(ticks)
    stamp = json.loads((folder / STAMP).read_text())
    assert stamp["source_sha256"] == file.sha256
    assert (stamp["kind"], stamp["form"]) == ("stylizer", FORMS["stylizer"])
    assert stamp["files"] == {MODEL: (folder / MODEL).stat().st_size}
    assert f"torch {torch.__version__}".split("+", maxsplit=1)[0] in stamp["exporter"]
    monkeypatch.setattr(sys, "executable", "/nowhere")
    assert convert_once(file, "stylizer") == folder
    assert [path.name for path in sorted(folder.parent.iterdir())] == [file.sha256, f"{file.sha256}.lock"]


def test_two_who_want_the_same_convert_it_once(weights: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = read_weights(weights, "style")
    with caplog.at_level(logging.INFO, "sfumato.conversion"), ThreadPoolExecutor(2) as pool:
        folders = set(pool.map(lambda _: convert_once(file, "stylizer"), range(2)))
    assert len(folders) == 1
    assert len([line for line in caplog.messages if line.startswith("converting")]) == 1


@pytest.mark.parametrize(
    "damage", ["stamp", *(pytest.param(each, marks=pytest.mark.long) for each in ("form", "file", "size"))]
)
def test_what_is_not_whole_or_of_another_form_is_converted_again(
    weights: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    file = read_weights(weights, "style")
    folder = convert_once(file, "stylizer")
    if damage == "stamp":
        (folder / STAMP).write_text("{")
    elif damage == "form":
        monkeypatch.setitem(FORMS, "stylizer", 99)
    elif damage == "file":
        (folder / MODEL).unlink()
    else:
        (folder / MODEL).write_bytes(b"half")
    assert not is_converted(file, "stylizer")
    assert (convert_once(file, "stylizer") / MODEL).stat().st_size > 1000
    assert is_converted(file, "stylizer")


def test_a_missing_package_is_named_with_its_extra(
    weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for package, extra in (
        ("onnx", "torch"),
        ("transformers", "sam"),
        ("segmentation_models_pytorch", "train"),
    ):

        def fail(*_: object, missing: str = package) -> None:
            raise ModuleNotFoundError(f"No module named '{missing}'", name=missing)

        monkeypatch.setattr(convert, "CONVERTERS", {"stylizer": fail})
        file = read_weights(weights, "style")
        assert (
            convert.run(["stylizer", str(weights), file.sha256, str(tmp_path)])
            == BackendMissingError.exit_code
        )
        said = json.loads(capsys.readouterr().out)
        assert said["error"] == "BackendMissingError"
        assert f"needs {package}; try: pip install 'sfumato[{extra}]'" in said["message"]


def test_errors_of_the_process_keep_their_kind(
    weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path
) -> None:
    answers = {
        BackendMissingError: '{"error": "BackendMissingError", "message": "no torch"}',
        MissingInputError: '{"error": "MissingInputError", "message": "no file"}',
        ModelError: '{"error": "SomethingElse", "message": "no luck"}',
    }
    for kind, answer in answers.items():
        converter(tmp_path, monkeypatch, f"echo '{answer}'; exit 5")
        with pytest.raises(kind, match=r"^no "):
            convert_once(read_weights(weights, "style"), "stylizer")
    assert not list(home.rglob("*.part"))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("kill -9 $$", r"its process was killed \(signal 9\), perhaps for want of memory"),
        ("echo 'a'; echo 'b: no space' >&2; exit 1", "cannot be converted: b: no space"),
        ("exit 1", "cannot be converted: it said nothing"),
    ],
)
def test_a_crash_is_one_line(
    weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path, script: str, words: str
) -> None:
    converter(tmp_path, monkeypatch, script)
    file = read_weights(weights, "style")
    with pytest.raises(ModelError, match=words):
        convert_once(file, "stylizer")
    assert not converted_folder(file, "stylizer").exists()
    assert not list(home.rglob("*.part"))


def test_an_interrupted_conversion_leaves_nothing(
    weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path
) -> None:
    converter(tmp_path, monkeypatch, f"echo $$ > {tmp_path}/pid; exec sleep 60")

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_once(read_weights(weights, "style"), "stylizer", interrupt)
    assert not list(home.rglob("*.part"))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_weights_that_change_meanwhile_are_refused(
    weights: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert convert.run(["stylizer", str(weights), "0" * 64, str(tmp_path)]) == ModelError.exit_code
    assert "changed while it was read; try again" in json.loads(capsys.readouterr().out)["message"]


def test_a_folder_is_known_by_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "sam"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    with pytest.raises(MissingInputError, match=r"holds no model\.safetensors; name a whole folder"):
        read_weights(folder, "segmenter")
    (folder / "model.safetensors").write_bytes(b"a")
    before = read_weights(folder, "segmenter").sha256
    (folder / "config.json").write_text("{ }")
    assert read_weights(folder, "segmenter").sha256 != before


def test_code_in_the_current_folder_is_not_run(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnx.py").write_text("raise SystemExit('ran')")
    monkeypatch.chdir(tmp_path)
    assert (convert_once(read_weights(Path(weights.name), "style"), "stylizer") / MODEL).is_file()


def test_a_full_disk_is_an_output_error(
    weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(convert, "CONVERTERS", {"stylizer": fail})
    file = read_weights(weights, "style")
    assert convert.run(["stylizer", str(weights), file.sha256, str(tmp_path)]) == OutputError.exit_code
    assert "No space left on device" in json.loads(capsys.readouterr().out)["message"]
