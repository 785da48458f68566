"""torchvision can be imported beside a PyTorch that its compiled operators were not built for."""

import subprocess
import sys
from pathlib import Path

import pytest

from sfumato.nets import torchvision_schema
from sfumato.nets.torchvision_schema import declare_torchvision_operators


def test_torchvision_is_imported_after_the_declaration() -> None:
    program = "import sfumato.training, torchvision, timm; print(torchvision.__name__, timm.__name__)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.stdout == "torchvision timm\n", ran.stderr


def test_nothing_is_declared_without_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision_schema, "find_spec", lambda _: None)
    assert declare_torchvision_operators.__wrapped__() is None


def test_nothing_is_declared_beside_operators_that_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision_schema, "_loads", lambda _: True)
    assert declare_torchvision_operators.__wrapped__() is None


def test_a_broken_library_does_not_load(tmp_path: Path) -> None:
    (tmp_path / "_C.so").write_bytes(b"no library")
    assert not torchvision_schema._loads(tmp_path)
    (tmp_path / "_C.so").unlink()
    assert not torchvision_schema._loads(tmp_path)
