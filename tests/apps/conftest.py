"""Small pictures and the command line around a simple pipeline, so that it is tested without the networks."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Protocol

import numpy as np
import PIL.Image
import pytest

from sfumato.apps.cli import run
from sfumato.types import Image
from tests.page_driver import Pages, open_browser, serve
from tests.simple import build


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left behind."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    def refused_with(self, code: int) -> str:
        """Return the one line of a refusal, after checking that it is one."""
        assert self.code == code, self
        assert self.err.startswith("sfumato: ")
        assert self.err.count("\n") == 1
        assert "Traceback" not in self.err
        return self.err


class Cli(Protocol):
    def __call__(self, *arguments: str | Path, stdin: bytes = b"") -> Ran: ...


@pytest.fixture
def cli(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    monkeypatch.delenv("SFUMATO_CONFIG", raising=False)

    def call(*arguments: str | Path, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(stdin)))
        code = run([str(word) for word in arguments], build)
        captured = capsysbinary.readouterr()
        return Ran(code, captured.out, captured.err.decode())

    return call


def colours(height: int = 96, width: int = 80, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(name: str, image: Image | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(colours() if image is None else image).save(path)
        return path

    return write


@pytest.fixture(scope="session")
def page_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run one server for all that is tried with the page."""
    with serve(tmp_path_factory.mktemp("state")) as address:
        yield address


@pytest.fixture(scope="module")
def pages(page_server: str) -> Iterator[Pages]:
    """Run a browser; one for all modules would leave them its running event loop."""
    with open_browser(page_server) as opened:
        yield opened


def read(path: Path | BytesIO) -> Image:
    with PIL.Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))
