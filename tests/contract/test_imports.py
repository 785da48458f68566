"""`import sfumato` is light, and nothing but the pictures asked for leaves the process."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

HEAVY = ("PIL", "cv2", "openvino", "pi_heif", "pillow_heif", "rich", "torch", "typer")

REFUSE_TO_CALL_OUT = """
import sys
CALLS = {"socket.connect", "socket.sendto", "socket.getaddrinfo", "os.fork", "subprocess.Popen"}
def refuse(event, arguments):
    if event in CALLS:
        print(f"called out: {event} {arguments[:2]}", file=sys.stderr)
        raise PermissionError(event)
sys.addaudithook(refuse)
"""


def run_python(code: str, *arguments: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOME": str(home)} if home else dict(os.environ)
    environment.pop("CI", None)
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, env=environment
    )


def test_import_sfumato_loads_no_decoder_no_runtime_and_no_shell() -> None:
    code = "import sys, sfumato; print(sorted({name.split('.')[0] for name in sys.modules}))"
    result = run_python(code)
    assert result.returncode == 0, result.stderr
    loaded = set(result.stdout.replace("'", "").strip("[]\n").split(", "))
    assert loaded.isdisjoint(HEAVY)


def test_the_core_runs_where_pytorch_is_not_installed(portrait: Path, tmp_path: Path) -> None:
    code = """
import sys
sys.modules["torch"] = None
import sfumato
sfumato.stylize(sys.argv[1]).save(sys.argv[2])
"""
    result = run_python(code, str(portrait), str(tmp_path / "out.png"))
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out.png").is_file()


def test_nothing_calls_out_while_a_picture_is_painted(portrait: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    code = f"""{REFUSE_TO_CALL_OUT}
import sfumato
sfumato.stylize(sys.argv[1]).save(sys.argv[2])
"""
    result = run_python(code, str(portrait), str(tmp_path / "out.png"), home=home)
    assert result.returncode == 0, result.stderr
    assert "called out" not in result.stderr
    assert list(home.rglob("*")) == []


def test_the_guard_against_calling_out_sees_a_call() -> None:
    code = f"""{REFUSE_TO_CALL_OUT}
import socket
socket.getaddrinfo("localhost", 80)
"""
    result = run_python(code)
    assert result.returncode == 1
    assert "called out: socket.getaddrinfo" in result.stderr


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    path = tmp_path / "in.png"
    noise = np.random.default_rng(0).integers(0, 256, (96, 80, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(path)
    return path
