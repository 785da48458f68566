"""Let torchvision be imported beside a PyTorch that its compiled operators were not built for.

torchvision registers shape functions for two operators as it is imported. Where its compiled library does not
load, as with a CPU build of PyTorch beside the wheel of PyPI, these operators do not exist and the import fails, and
with it that of timm, segmentation-models-pytorch and spandrel, none of which calls them. Declaring their schemas is
enough. Beside a matching pair nothing is declared.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@cache
def declare_torchvision_operators() -> torch.library.Library | None:
    """Declare what torchvision lacks here; return the declarations, which live as long as they are referred to."""
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None or _loads(Path(spec.origin).parent):
        return None
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]  # PyTorch has no types here
    for schema in _SCHEMAS:
        library.define(schema)  # type: ignore[no-untyped-call]
    return library


def _loads(package: Path) -> bool:
    """Tell whether torchvision's compiled operators load into this PyTorch."""
    try:
        for compiled in package.glob("_C.*"):
            torch.ops.load_library(str(compiled))  # type: ignore[no-untyped-call]
            return True
    except OSError:
        pass
    return False
