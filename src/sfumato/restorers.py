"""Open the face restorer that a name or a file stands for; it trains nothing and decides nothing."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.backends import TorchBackend, make_backend
from sfumato.conversion import convert_once, read_content
from sfumato.errors import SettingsError
from sfumato.registry import find_embedded, model_path
from sfumato.stages.restore import CropRestorer
from sfumato.types import Transform

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = (".pth", ".safetensors")
"""Suffixes of files of weights."""

FORM = 1
"""Number of the form of converted restorers; the cache keeps each apart."""


@dataclass(frozen=True, slots=True)
class Restorer:
    """What restores an FFHQ-aligned 512x512 crop, and what it is called.

    Attributes:
        sha256: of the model's file.
    """

    restore: Transform
    name: str
    sha256: str


def open_restorer(restorer: str, device: str, *, exact: bool = False) -> Restorer:
    """Return the embedded restorer, "light", or that of an authors' file: GFPGAN 1.2 to 1.4, RestoreFormer.

    On the CPU such weights are converted to ONNX once and kept in the user's cache; elsewhere PyTorch runs them.

    Raises:
        SettingsError: no restorer has this name.
        MissingInputError: there is no such file.
        ModelError: the file is damaged or holds no face restorer.
        BackendMissingError: PyTorch or spandrel is not installed.
    """
    path = Path(restorer)
    if restorer == "light":
        spec = find_embedded("restorer")
        return Restorer(
            CropRestorer(make_backend(model_path(spec), device, exact=exact)), spec.name, spec.sha256
        )
    if path.suffix.lower() not in WEIGHTS:
        kind = "file" if os.sep in restorer or path.suffix else "name"
        raise SettingsError(
            f"restorer '{restorer}' is no {kind} known; use light or a file of {', '.join(WEIGHTS)}"
        )
    content, digest = read_content(path, "restorer")
    if device == "cpu":
        model = convert_once(path, content, f"restorers-{FORM}", _write_restorer)
        return Restorer(CropRestorer(make_backend(model, device, exact=exact)), str(path), digest)
    backend = TorchBackend(lambda: _read(path, content), device, exact=exact)
    return Restorer(CropRestorer(backend), str(path), digest)


def _read(weights: Path, content: bytes) -> "nn.Module":
    from sfumato.nets.face_restorers import read_face_restorer

    return read_face_restorer(weights, content)


def _write_restorer(weights: Path, content: bytes, target: Path) -> None:
    from sfumato.export_restorer import export_face_restorer
    from sfumato.nets.face_restorers import read_face_restorer

    export_face_restorer(read_face_restorer(weights, content), target, weights)
