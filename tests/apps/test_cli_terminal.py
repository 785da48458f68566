"""What a terminal shows and what is never sent to one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.apps.conftest import Save

pty = pytest.importorskip("pty")

SHELL = """
import sys
from sfumato.apps.cli import run
from tests.simple import build
sys.exit(run(sys.argv[1:], build))
"""


def on_terminal(*arguments: str | Path) -> tuple[int, str]:
    """Run a command whose three streams are a terminal; return its exit code and all that it shows."""
    leader, follower = pty.openpty()
    words = [sys.executable, "-c", SHELL, *(str(word) for word in arguments)]
    process = subprocess.Popen(
        words, stdin=follower, stdout=follower, stderr=follower, cwd=Path(__file__).parents[2]
    )
    os.close(follower)
    shown = b""
    try:
        while part := os.read(leader, 4096):
            shown += part
    except OSError:  # Linux ends a terminal whose other side is closed with an error
        pass
    os.close(leader)
    return process.wait(timeout=60), shown.decode()


def test_several_pictures_show_a_bar_with_the_time_left(save: Save) -> None:
    code, shown = on_terminal("stylize", save("a.png"), save("b.png"))
    assert code == 0
    assert "2/2" in shown and "0:00:00" in shown
    assert "2 of 2 pictures painted" in shown


def test_a_batch_shows_a_bar_over_its_part(save: Save, tmp_path: Path) -> None:
    for name in "abc":
        save(f"in/{name}.png")
    code, shown = on_terminal("batch", tmp_path / "in", tmp_path / "out", "--shard", "1/2", "--workers", "1")
    assert code == 0
    assert "2/2" in shown and "0:00:00" in shown
    assert "2 painted" in shown


def test_one_picture_or_a_quiet_run_shows_no_bar(save: Save) -> None:
    _, shown = on_terminal("stylize", save("a.png"))
    assert "1/1" not in shown
    code, shown = on_terminal("stylize", save("b.png"), save("c.png"), "-q")
    assert (code, shown) == (0, "")


def test_a_picture_is_not_written_to_a_terminal(save: Save) -> None:
    code, shown = on_terminal("stylize", save("a.png"), "-o", "-")
    assert code == 4
    assert "not written to a terminal" in shown


def test_a_picture_is_not_read_from_a_terminal(tmp_path: Path) -> None:
    code, shown = on_terminal("stylize", "-", "-o", tmp_path / "out.png")
    assert code == 3
    assert "is a terminal" in shown
