"""`sfumato batch` as a process: exit codes, reports, signals, and kills at any moment."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from sfumato.batch.plan import OWN

LAUNCH = """
import sys
from sfumato import pipeline
from tests.unit.test_batch_local import slow
if __name__ == "__main__":
    pipeline.build_pipeline = slow
    from sfumato.apps.cli import run
    sys.exit(run(sys.argv[1:]))
"""
"""The command line, but with a simple pipeline that takes a fifth of a second."""


def photos(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 40, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Return what starts a batch of `in` into `out`, in a process group of its own."""
    script = tmp_path / "launch.py"
    script.write_text(LAUNCH)

    def begin(*options: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, str(script), "batch", str(tmp_path / "in"), str(tmp_path / "out"), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            start_new_session=True,
        )

    return begin


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def whole_results(folder: Path) -> int:
    """Return how many results there are, after decoding each."""
    found = [path for path in folder.rglob("*.png") if OWN not in path.parts]
    for path in found:
        with PIL.Image.open(path) as picture:
            picture.load()
    return len(found)


def test_a_batch_says_what_it_did_and_reports_it(tmp_path: Path, start: Start) -> None:
    (photos(tmp_path / "in", 3) / "bad.png").write_text("no picture")
    code, out, err = finish(start("--report", str(tmp_path / "report.jsonl"), "--workers", "2"))
    assert code == 1
    assert out.splitlines()[-1] == "3 painted, 1 failed"
    assert err == "sfumato: bad.png is no JPEG, PNG, WebP, TIFF, AVIF or HEIC picture; convert it to one\n"
    lines = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert {line["input"]: line["state"] for line in lines} == {
        "00.png": "done",
        "01.png": "done",
        "02.png": "done",
        "bad.png": "failed",
    }
    code, out, _ = finish(start("--json"))
    assert code == 1
    assert json.loads(out) == {"output": str(tmp_path / "out"), "done": 0, "kept": 3, "failed": 1}


def test_the_first_failure_may_end_it(tmp_path: Path, start: Start) -> None:
    source = photos(tmp_path / "in", 12)
    (source / "00.png").write_text("no picture")
    code, out, _ = finish(start("--fail-fast", "--workers", "1"))
    assert code == 1
    assert whole_results(tmp_path / "out") < 11
    assert "1 failed" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_what_is_in_hand(tmp_path: Path, start: Start, number: int) -> None:
    photos(tmp_path / "in", 14)
    process = start("--workers", "2")
    assert process.stdout is not None
    process.stdout.readline()
    os.killpg(process.pid, number)
    code, out, err = finish(process)
    assert code == 130
    assert "finishing the pictures in hand" in err
    done = whole_results(tmp_path / "out")
    assert 1 <= done < 14
    assert out.splitlines()[-1] == f"{done} painted"
    code, out, _ = finish(start())
    assert (code, out.splitlines()[-1]) == (0, f"{14 - done} painted, {done} were there already")


@pytest.mark.long
def test_kills_at_any_moment_lose_nothing(tmp_path: Path, start: Start) -> None:
    photos(tmp_path / "in", 16)
    report = tmp_path / "report.jsonl"
    moments = random.Random(0)
    for _ in range(6):
        process = start("--workers", "2", "--report", str(report))
        time.sleep(moments.uniform(0.5, 3.0))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        whole_results(tmp_path / "out")
    code, _, _ = finish(start("--report", str(report)))
    assert code == 0
    assert whole_results(tmp_path / "out") == 16
    assert not list((tmp_path / "out" / OWN).glob("tmp-*"))
    states = [json.loads(line)["state"] for line in report.read_text().splitlines() if line.endswith("}")]
    assert set(states) <= {"done", "kept"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in", "in"], "in is the folder of the photos themselves; name another one"),
        (["nowhere", "out"], "no such folder: nowhere; name a folder of pictures or a manifest"),
        (["in", "out", "--shard", "9/8"], "shard '9/8' means nothing; use i/n"),
        (["in", "out", "--watch", "--shard", "1/2"], "--watch is for one machine and all pictures"),
        (["s3://bucket/a", "out"], "addresses of storages are for --engine ray"),
        (["list.csv", "out", "--include", "*"], "--include and --exclude are for folders"),
        (["list.csv", "out", "--watch"], "--watch needs a folder, which list.csv is not"),
        (["in", "out", "--style", "monte"], "unknown style 'monte'; did you mean 'monet'"),
        (["in", "out", "--paint", "2"], "paint is 2.0; use 0 to 1"),
    ],
)
def test_what_means_nothing_is_refused_before_the_first_picture(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    from sfumato.apps.cli import run

    photos(tmp_path / "in", 1)
    (tmp_path / "list.csv").write_text("input\nin/00.png\n")
    monkeypatch.chdir(tmp_path)
    assert run(["batch", *arguments]) in (2, 3)
    assert capsys.readouterr().err.startswith(f"sfumato: {message}")
    assert not (tmp_path / "out").exists() or whole_results(tmp_path / "out") == 0


def test_a_batch_with_the_embedded_networks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sfumato.apps.cli import run

    photos(tmp_path / "in", 2)
    (tmp_path / "in" / "list.csv").write_text("input,output,paint\n00.png,a.jpg,0.1\n01.png,b.png,\n")
    assert run(["batch", str(tmp_path / "in" / "list.csv"), str(tmp_path / "out"), "--workers", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 painted"
    with PIL.Image.open(tmp_path / "out" / "a.jpg") as painted:
        assert (painted.format, painted.size) == ("JPEG", (40, 32))
