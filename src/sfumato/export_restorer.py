"""Turn a published face restorer into an ONNX file that OpenVINO runs to the same numbers; it trains nothing."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn
from torch.nn import functional

from sfumato.errors import ModelError
from sfumato.export import check_parity, export_onnx
from sfumato.nets.face_restorers import SIDE


def export_face_restorer(net: nn.Module, path: Path, weights: Path) -> float:
    """Write a restorer of 512x512 crops for OpenVINO, once it is seen to compute the same numbers.

    Weights stay in float32: a restorer's many layers add up what float16 rounds away.

    Args:
        weights: the file that they are from, for the error.

    Returns:
        The largest difference between both, of levels in 0..1.

    Raises:
        ModelError: they differ by more than 1e-3; a file that was there before is left as it was.
    """
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 16, 16, generator=generator)
    example = functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic").clamp(0, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as folder:
        fresh = Path(folder, path.name)
        export_onnx(net, fresh, example=example, half=False, dynamic=False)
        try:
            difference = check_parity(net, fresh, example, tolerance=1e-3)
        except ModelError as error:
            raise ModelError(f"{weights} cannot be converted: {error}") from error
        fresh.replace(path)
    return difference
