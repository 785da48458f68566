"""Open the face restorer that a name or a file stands for; it trains nothing and decides nothing."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.backends import TorchBackend, make_backend
from sfumato.conversion import MODEL, convert_once
from sfumato.errors import BackendMissingError
from sfumato.resolve import Opened, resolve
from sfumato.stages.restore import CropRestorer
from sfumato.types import Transform

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = (".pth", ".safetensors")
"""Suffixes of files of weights."""


def open_restorer(restorer: str, device: str, *, exact: bool = False) -> Opened[Transform]:
    """Return the embedded restorer, "light", one of the registry, or that of a file: GFPGAN 1.2 to 1.4, RestoreFormer.

    On the CPU such weights are converted to ONNX once and kept in the user's cache; elsewhere PyTorch runs them.

    Raises:
        SettingsError: no restorer has this name.
        MissingInputError: there is no such file.
        ModelError: it is not on this machine, is damaged, or holds no face restorer.
        BackendMissingError: PyTorch or spandrel is not installed.
    """
    meant = resolve(restorer, "restorer", WEIGHTS)
    path = meant.file.path
    onnx = path.suffix.lower() == ".onnx"
    if not onnx and device != "cpu":
        if find_spec("spandrel") is None:
            raise BackendMissingError(
                f"{meant.name} needs spandrel on {device}; try: pip install 'sfumato[torch]'"
            )
        backend = TorchBackend(lambda: _read(path), device, exact=exact)
        return Opened(CropRestorer(backend), meant.name, meant.file.sha256)
    model = path if onnx else convert_once(meant.file, "restorer") / MODEL
    return Opened(CropRestorer(make_backend(model, device, exact=exact)), meant.name, meant.file.sha256)


def _read(weights: Path) -> "nn.Module":
    from sfumato.nets.face_restorers import read_face_restorer

    return read_face_restorer(weights)
