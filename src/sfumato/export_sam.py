"""Turn Segment Anything into two ONNX files, one that embeds pictures and one that draws masks; it trains nothing."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch

from sfumato.conversion import DECODER, ENCODER
from sfumato.errors import ModelError
from sfumato.export import check_parity, export_onnx
from sfumato.nets.sam import SamDecoder, SamEncoder, facts_of
from sfumato.stages.sam import LABELS
from sfumato.stages.sam_facts import KEY

if TYPE_CHECKING:
    from sfumato.nets.sam import Model

TOLERANCE = 0.02
"""Largest difference to PyTorch, as a part of the largest value: weights are stored as float16."""


def export_sam(model: "Model", folder: Path, weights: Path) -> float:
    """Write `encoder.onnx` and `decoder.onnx` for OpenVINO, once they are seen to compute the same numbers.

    Args:
        weights: the file that they are from, for the error.

    Returns:
        The largest difference between both.

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
            dynamic=False,
        )
        try:
            worst = max(
                check_parity(encoder, fresh / ENCODER, {"rgb": rgb}, tolerance=_allowed(embeddings)),
                check_parity(
                    decoder,
                    fresh / DECODER,
                    {**prompts, **named},
                    tolerance=_allowed(decoder(*prompts.values(), *embeddings)),
                ),
            )
        except ModelError as error:
            raise ModelError(f"{weights} cannot be converted: {error}") from error
        for name in (ENCODER, DECODER):
            (fresh / name).replace(folder / name)
    return worst


def _allowed(values: tuple[torch.Tensor, ...]) -> float:
    return TOLERANCE * max(float(value.detach().abs().max()) for value in values)


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
