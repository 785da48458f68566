"""The command in a process of its own, with the embedded networks: pipes, signals, full disks."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.apps.conftest import Save, colours, read

SFUMATO = (sys.executable, "-m", "sfumato")
FULL = Path("/dev/full")
LIMIT = 2_000


def start(*arguments: str | Path, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*SFUMATO, *(str(word) for word in arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        preexec_fn=heed_interrupts,  # noqa: PLW1509  # no thread runs before the child starts
    )


def heed_interrupts() -> None:
    """Undo what a shell does to jobs in the background: their children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out.decode(), err.decode()


def one_line(err: str) -> bool:
    return err.startswith("sfumato: ") and err.count("\n") == 1


def test_a_photo_becomes_a_painting_of_the_same_size(save: Save, tmp_path: Path) -> None:
    code, out, err = finish(start("stylize", save("a.png", colours(150, 210)), "--json"))
    assert (code, err) == (0, "")
    (picture,) = json.loads(out)["pictures"]
    assert picture["size"] == [210, 150]
    assert all(len(digest) == 64 for digest in picture["models"].values())
    assert read(tmp_path / "a.painted.png").shape == (150, 210, 3)


def test_the_same_photo_becomes_the_same_painting(save: Save, tmp_path: Path) -> None:
    source = save("a.png")
    paintings = []
    for name in ("x.png", "y.png"):
        assert finish(start("stylize", source, "-o", tmp_path / name))[0] == 0
        paintings.append((tmp_path / name).read_bytes())
    assert paintings[0] == paintings[1]


def test_detect_and_segment_run_on_the_embedded_networks(save: Save, tmp_path: Path) -> None:
    source = save("a.png")
    assert finish(start("detect", source))[0] == 0
    assert finish(start("segment", source, "-o", tmp_path / "labels.png"))[0] == 0


def test_cuda_without_cuda_is_one_line(save: Save) -> None:
    code, out, err = finish(start("stylize", save("a.png"), "--device", "cuda", CUDA_VISIBLE_DEVICES=""))
    assert (code, out) == (6, "")
    assert one_line(err)


def test_the_script_is_installed() -> None:
    script = Path(sys.executable).with_name("sfumato")
    result = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("sfumato ")


def test_a_pipe_that_closes_early_leaves_no_traceback() -> None:
    process = start("models", "list", "--json")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) != 0


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_full_standard_output_is_one_line() -> None:
    with FULL.open("wb") as full:
        result = subprocess.run(
            [*SFUMATO, "models", "list"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert result.returncode == 4
    assert one_line(result.stderr.decode())


def test_a_full_disk_is_one_line_and_leaves_nothing(save: Save, tmp_path: Path) -> None:
    source = save("photos/a.png", colours(200, 200))
    result = subprocess.run(
        [*SFUMATO, "stylize", source, "-o", tmp_path / "out.png"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit_file_size,  # no thread runs before the child starts
    )
    assert result.returncode == 4
    assert one_line(result.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def limit_file_size() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))


def test_ctrl_c_ends_the_run_with_130(save: Save, tmp_path: Path) -> None:
    sources = [save(f"photos/{k}.png") for k in range(200)]
    process = start("stylize", sources[0].parent, "-o", tmp_path / "out")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130
    assert one_line(err)
    assert all(read(path).shape == (96, 80, 3) for path in (tmp_path / "out").iterdir())


def test_a_name_that_the_terminal_cannot_show_is_escaped(save: Save) -> None:
    environment = {"PYTHONIOENCODING": "ascii", "NO_COLOR": "1"}
    code, out, err = finish(start("stylize", save("Zoë 🎨.png"), **environment))
    assert (code, err) == (0, "")
    assert "Zo\\xeb" in out


def test_no_color_is_respected() -> None:
    _, out, _ = finish(start("--help", NO_COLOR="1", FORCE_COLOR=""))
    assert "\x1b[" not in out.replace("\x1b[1m", "").replace("\x1b[0m", "").replace("\x1b[2m", "")
