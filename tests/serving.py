"""The real server in a process of its own: started, asked and stopped; what it says, holds and leaves is read."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import PIL.Image
import requests
from skimage import data

Options = Mapping[str, str]
Headers = Mapping[str, str]
Files = Mapping[str, tuple[str, bytes]]

DEFAULT: Options = {}
NONE: Headers = {}

PLAIN: Options = {"preserve": "none", "restore": "0"}
"""Options with which a small picture takes a fraction of a second."""

WAIT = 60.0
"""Seconds within which anything must have happened, on a busy machine too."""


@cache
def portrait(side: int = 256, format: str = "JPEG") -> bytes:
    """Return the portrait of Eileen Collins (NASA, public domain), encoded."""
    encoded = BytesIO()
    pixels = data.astronaut()  # type: ignore[no-untyped-call]  # scikit-image has no types
    PIL.Image.fromarray(pixels).resize((side, side)).save(encoded, format)
    return encoded.getvalue()


def size_of(picture: bytes) -> tuple[int, int]:
    """Decode a picture whole and return its width and height."""
    with PIL.Image.open(BytesIO(picture)) as opened:
        opened.load()
        return opened.size


def wait_until(condition: Callable[[], bool], seconds: float = WAIT) -> None:
    """Wait until a condition holds, or fail."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Served:
    """A running server.

    Attributes:
        state: its folder.
        log: what it writes to its standard error.
    """

    url: str
    process: subprocess.Popen[bytes]
    state: Path
    log: Path

    @property
    def place(self) -> tuple[str, int]:
        """Return host and port."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    def paint(
        self,
        picture: bytes,
        options: Options = DEFAULT,
        *,
        name: str = "portrait.jpg",
        headers: Headers = NONE,
    ) -> requests.Response:
        """Have a picture painted and wait for the painting."""
        return self.post("/v1/stylize", {"image": (name, picture)}, options, headers=headers)

    def submit(self, picture: bytes, options: Options = DEFAULT, *, page: str = "") -> str:
        """Have a picture painted later and return the id of the job.

        Args:
            page: what the client calls itself.
        """
        files = {"image": ("portrait.jpg", picture)}
        answer = self.post("/v1/stylize?async=1", files, options, headers={"Sfumato-Client": page})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def post(
        self, path: str, files: Files, options: Options = DEFAULT, *, headers: Headers = NONE
    ) -> requests.Response:
        """Send a form."""
        return requests.post(
            self.url + path, files=files, data=dict(options), headers=dict(headers), timeout=WAIT
        )

    def get(self, path: str, headers: Headers = NONE) -> requests.Response:
        """Ask for something."""
        return requests.get(self.url + path, headers=dict(headers), timeout=WAIT)

    def job(self, id: str) -> dict[str, Any]:
        """Return a job as it is now."""
        answer = self.get(f"/v1/jobs/{id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def ended(self, id: str) -> dict[str, Any]:
        """Return a job once it has ended."""
        wait_until(lambda: self.job(id)["finished"] is not None)
        return self.job(id)

    def wait_for_running(self, id: str) -> None:
        """Wait until a job is being done."""
        wait_until(lambda: self.job(id)["state"] == "running")

    def metric(self, name: str) -> float:
        """Return a figure of /metrics, named with its labels; 0 where it has not been counted yet."""
        lines = self.get("/metrics").text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)

    def painted(self, state: str = "done") -> float:
        """Return how many pictures ended so."""
        return self.metric(f'sfumato_jobs_total{{kind="stylize",state="{state}"}}')

    def wait_until_idle(self) -> None:
        """Wait until no job waits or runs."""
        wait_until(lambda: self.metric("sfumato_jobs_waiting") + self.metric("sfumato_jobs_running") == 0)

    def peak(self) -> int:
        """Return the most bytes of memory that the server has held."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))

    def said(self) -> str:
        """Return what the server wrote to its standard error."""
        return self.log.read_text()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(WAIT)


def files_below(state: Path) -> list[str]:
    """Return the names of all files and folders of jobs."""
    folder = state / "files"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def command(*options: str | Path) -> list[str]:
    """Return the command that serves at a free port."""
    return [sys.executable, "-m", "sfumato", "serve", "--port", "0", *map(str, options)]


def refused(*options: str | Path, **environment: str) -> tuple[int, str]:
    """Start a server that must not start; return its exit code and its words."""
    ran = subprocess.run(
        command(*options),
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=WAIT,
        check=False,
    )
    assert ran.stdout == ""
    return ran.returncode, ran.stderr


@contextmanager
def serving(
    state: Path,
    *options: str | Path,
    environment: Mapping[str, str] | None = None,
    before: Callable[[], None] | None = None,
) -> Iterator[Served]:
    """Start a server on a folder; what still runs at the end is killed.

    Args:
        before: is called in the new process before its program begins.
    """
    log = state.with_name(f"{state.name}.log")
    words = command("--state", state, *options)
    with log.open("ab") as errors:
        process = subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **(environment or {})},
            preexec_fn=before,  # noqa: PLW1509  # no thread runs before the child starts
        )
    assert process.stdout is not None
    too_late = threading.Timer(WAIT, process.kill)
    too_late.start()
    try:
        line = process.stdout.readline().decode()
        too_late.cancel()
        assert line.startswith("sfumato serves http://"), log.read_text()
        yield Served(line.split()[2].rstrip("/"), process, state, log)
    finally:
        too_late.cancel()
        process.kill()
        process.wait()
        process.stdout.close()
