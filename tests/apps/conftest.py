"""Small pictures and a pipeline of plain functions, so that the shells are tested without the networks."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Protocol

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from sfumato.apps.cli import run
from sfumato.pipeline import Pipeline
from sfumato.resolve import find_named
from sfumato.settings import Settings
from sfumato.stages.restore import FaceRestoration
from sfumato.stages.segment import LightSegmenter
from sfumato.types import Face, Image

FACE = Face(
    box=(20.0, 16.0, 60.0, 72.0),
    landmarks=((30.0, 38.0), (50.0, 38.0), (40.0, 48.0), (32.0, 58.0), (48.0, 58.0)),
    score=0.9,
)


class SkinEverywhere:
    """A network that sees nothing but skin."""

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> Sequence[NDArray[np.float32]]:
        batch, _, height, width = inputs["input"].shape
        probabilities = np.zeros((batch, 9, height, width), np.float32)
        probabilities[:, 2] = 1
        return [probabilities]


def invert(image: Image) -> Image:
    return np.asarray(255 - image, dtype=np.uint8)


def leave(image: Image, faces: Sequence[Face]) -> tuple[Image, tuple[FaceRestoration, ...]]:
    return image, ()


def build(settings: Settings) -> Pipeline:
    """Return a pipeline that finds one face in colour pictures and none in grey ones, and paints negatives."""
    find_named(settings.style, "stylizer")
    return Pipeline(
        detect_faces=lambda image: (FACE,) if np.ptp(image, axis=2).any() else (),
        restore=leave,
        paint=invert,
        segment_faces=LightSegmenter(SkinEverywhere()),
        settings=settings,
        models={"negative": "0" * 64},
    )


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


def read(path: Path | BytesIO) -> Image:
    with PIL.Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))
