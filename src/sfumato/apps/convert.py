"""Convert weights to ONNX in a process of its own, for `sfumato.conversion`; it answers in JSON.

usage: python -m sfumato.apps.convert KIND WEIGHTS SHA256 FOLDER
"""

import json
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from sfumato.conversion import MODEL, read_weights
from sfumato.errors import BackendMissingError, ModelError, OutputError, SfumatoError


def run(arguments: Sequence[str]) -> int:
    """Convert, print what was done or why not, and return the exit code."""
    kind, weights, sha256, folder = arguments
    warnings.simplefilter("ignore")  # of PyTorch's exporter, which tells its own makers what to do
    try:
        CONVERTERS[kind](_whole(Path(weights), sha256), Path(folder))
        print(json.dumps({"exporter": f"torch {version('torch')}, onnx {version('onnx')}"}))
    except ModuleNotFoundError as error:
        why = f"{Path(weights).name} has to be converted once, which needs {error.name}"
        return _refuse(BackendMissingError(f"{why}; try: pip install 'sfumato[{_extra(str(error.name))}]'"))
    except SfumatoError as error:
        return _refuse(error)
    except OSError as error:
        return _refuse(OutputError(f"{folder} cannot be written: {error.strerror or error}"))
    return 0


def _refuse(error: SfumatoError) -> int:
    print(json.dumps({"error": type(error).__name__, "message": str(error)}))
    return error.exit_code


def _extra(package: str) -> str:
    return {"transformers": "sam", "segmentation_models_pytorch": "train"}.get(package, "torch")


def _whole(weights: Path, sha256: str) -> Path:
    """Return the file if it is still the one that was asked for."""
    if read_weights(weights, "file").sha256 != sha256:
        raise ModelError(f"{weights} changed while it was read; try again")
    return weights


def _stylizer(weights: Path, folder: Path) -> None:
    from sfumato.export_style import export_style
    from sfumato.nets.generators import read_generator

    net = read_generator(weights)
    try:
        export_style(net, folder / MODEL)
    except ModelError as error:
        raise ModelError(f"{weights} cannot be converted: {error}") from error


def _restorer(weights: Path, folder: Path) -> None:
    from sfumato.export_restorer import export_face_restorer
    from sfumato.nets.face_restorers import read_face_restorer

    export_face_restorer(read_face_restorer(weights), folder / MODEL, weights)


def _segmenter(weights: Path, folder: Path) -> None:
    from sfumato.nets.recognise import recognise

    if recognise(weights).network.startswith("SAM"):
        from sfumato.export_sam import export_sam
        from sfumato.nets.sam import read_sam

        export_sam(read_sam(weights), folder, weights)
        return
    from sfumato.export_segmenter import export_segmenter
    from sfumato.nets.segmenters import read_segmenter

    export_segmenter(read_segmenter(weights), folder / MODEL)


CONVERTERS: Mapping[str, Callable[[Path, Path], None]] = {
    "stylizer": _stylizer,
    "restorer": _restorer,
    "segmenter": _segmenter,
}


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
