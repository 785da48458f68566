"""examples/client.py, run as its readers would run it, against the real server."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import PIL.Image
import pytest

from tests.serving import Served, portrait, serving, wait_until

CLIENT = Path(__file__).parents[2] / "examples" / "client.py"
TOKEN = "a token of the test of the client"
QUICK = ("preserve=none", "restore=0")
BOTH_WAYS = pytest.mark.parametrize("way", [(), ("--sync",)], ids=["job", "sync"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with serving(folder / "state", environment={"SFUMATO_TOKEN": TOKEN}) as served:
        yield served


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "portrait.jpg"
    path.write_bytes(portrait())
    return path


def start(*words: str | Path, token: str = TOKEN) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, CLIENT, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "SFUMATO_TOKEN": token},
        preexec_fn=heed_interrupts,  # noqa: PLW1509  # no thread runs before the child starts
    )


def heed_interrupts() -> None:
    """Undo what a shell does to jobs in the background: their children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(*words: str | Path, token: str = TOKEN) -> tuple[int, str, str]:
    process = start(*words, token=token)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@BOTH_WAYS
def test_a_photo_becomes_a_painting_in_the_format_of_its_name(
    server: Served, photo: Path, tmp_path: Path, way: tuple[str, ...]
) -> None:
    painting = tmp_path / "painting.png"
    code, out, err = run(*way, server.url, photo, painting, *QUICK)
    assert (code, out) == (0, f"{painting}\n"), err
    with PIL.Image.open(painting) as opened:
        assert (opened.format, opened.size) == ("PNG", (256, 256))


def test_the_job_tells_how_far_it_is(server: Served, photo: Path, tmp_path: Path) -> None:
    _, _, err = run(server.url, photo, tmp_path / "painting.jpg", *QUICK)
    assert "% " in err


@BOTH_WAYS
def test_a_text_is_refused_in_the_words_of_the_server(
    server: Served, tmp_path: Path, way: tuple[str, ...]
) -> None:
    text, painting = tmp_path / "notes.jpg", tmp_path / "painting.jpg"
    text.write_text("no picture")
    code, out, err = run(*way, server.url, text, painting)
    assert (code, out) == (1, "")
    assert err == "the picture is no JPEG, PNG, WebP, TIFF, AVIF or HEIC picture; convert it to one\n"
    assert not painting.exists()


def test_a_fault_that_shows_when_the_job_runs_is_told_too(
    server: Served, photo: Path, tmp_path: Path
) -> None:
    code, _, err = run(server.url, photo, tmp_path / "painting.jpg", "faces=7", "restore=0")
    assert code == 1
    assert err.splitlines()[-1].startswith("face 7 was asked for, but")


@BOTH_WAYS
@pytest.mark.parametrize("token", ["", "another token, a wrong one"], ids=["none", "wrong"])
def test_a_wrong_token_is_refused(
    server: Served, photo: Path, tmp_path: Path, token: str, way: tuple[str, ...]
) -> None:
    code, _, err = run(*way, server.url, photo, tmp_path / "painting.jpg", token=token)
    assert code == 1
    assert err.count("\n") == 1 and "token" in err


def test_ctrl_c_cancels_the_job(server: Served, photo: Path, tmp_path: Path) -> None:
    photo.write_bytes(portrait(2400))
    process = start(server.url, photo, tmp_path / "painting.jpg", "format=jpeg")
    assert process.stderr is not None
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in err
    headers = {"Authorization": f"Bearer {TOKEN}"}
    cancelled = 'sfumato_jobs_total{kind="stylize",state="cancelled"} 1.0'
    wait_until(lambda: cancelled in server.get("/metrics", headers).text)


def test_a_painting_that_exists_is_left_alone(server: Served, photo: Path, tmp_path: Path) -> None:
    painting = tmp_path / "painting.jpg"
    painting.write_text("dear to somebody")
    assert run(server.url, photo, painting)[0] == 2
    assert painting.read_text() == "dear to somebody"


def test_a_server_that_is_not_there_is_named(photo: Path, tmp_path: Path) -> None:
    code, _, err = run("http://127.0.0.1:1", photo, tmp_path / "painting.jpg")
    assert (code, err) == (
        1,
        "http://127.0.0.1:1 does not answer; look whether sfumato serve runs there\n",
    )
