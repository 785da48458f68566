"""Turn Segment Anything into two ONNX files, one that embeds pictures and one that draws masks; it trains nothing."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from torch import nn

from sfumato.conversion import DECODER, ENCODER
from sfumato.errors import ModelError
from sfumato.export import Example, export_onnx, parity
from sfumato.nets.sam import SamDecoder, SamEncoder, facts_of
from sfumato.stages.sam import LABELS
from sfumato.stages.sam_facts import KEY

if TYPE_CHECKING:
    from sfumato.nets.sam import Model

TOLERANCE = 0.02
"""Largest difference to PyTorch, as a part of the largest value of an output: weights are stored as float16."""


def export_sam(model: "Model", folder: Path, weights: Path) -> float:
    """Write `encoder.onnx` and `decoder.onnx` for OpenVINO, once they are seen to compute the same numbers.

    Args:
        weights: the file that they are from, for the error.

    Returns:
        The largest difference between both, as a part of the largest value of its output.

    Raises:
        ModelError: they differ by more than `TOLERANCE`; what was there before is left as it was.
    """
    encoder, decoder = SamEncoder(model).eval(), SamDecoder(model).eval()
    side = facts_of(model).side
    rgb = _picture(side)
    with torch.no_grad():
        embeddings = encoder(rgb)
    prompts = _prompts(side)
    named = {f"embedding{k}": value for k, value in enumerate(embeddings)}
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".exporting.") as temporary:
        fresh = Path(temporary)
        export_onnx(encoder, fresh / ENCODER, example={"rgb": rgb}, outputs=list(named), dynamic=False)
        _add_facts(fresh / ENCODER, facts_of(model).write())
        export_onnx(
            decoder,
            fresh / DECODER,
            example={**prompts, **named},
            outputs=["masks", "expected"],
            half=False,  # it is small, and places are angles of many turns
            dynamic=False,
        )
        with torch.no_grad():
            answers = decoder(*prompts.values(), *embeddings)
        try:
            worst = max(
                _checked(encoder, fresh / ENCODER, {"rgb": rgb}, embeddings),
                _checked(decoder, fresh / DECODER, {**prompts, **named}, answers),
            )
        except ModelError as error:
            raise ModelError(f"{weights} cannot be converted: {error}") from error
        for name in (ENCODER, DECODER):
            (fresh / name).replace(folder / name)
    return worst


def _checked(net: nn.Module, path: Path, example: Example, values: tuple[torch.Tensor, ...]) -> float:
    """Return the largest difference to PyTorch, as a part of the largest value of the same output.

    Raises:
        ModelError: it is more than `TOLERANCE`.
    """
    differences = parity(net, path, example).values()
    worst = max(
        difference / float(value.detach().abs().max())
        for difference, value in zip(differences, values, strict=True)
    )
    if worst > TOLERANCE:
        raise ModelError(f"{path.name} differs from the network by {worst:.2%}, more than {TOLERANCE:.0%}")
    return worst


def _picture(side: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 16, 16, generator=generator)
    return torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1)


def _prompts(side: int) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    points = rng.uniform(0.2 * side, 0.8 * side, (1, 1, len(LABELS), 2)).astype(np.float32)
    return {
        "points": torch.from_numpy(points),
        "labels": torch.from_numpy(LABELS.copy())[None, None],
        "boxes": torch.tensor([[[0.2, 0.2, 0.8, 0.8]]]) * side,
    }


def _add_facts(path: Path, text: str) -> None:
    model = onnx.load(str(path))
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, text
    onnx.save(model, str(path))
