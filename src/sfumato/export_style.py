"""Turn a generator into an ONNX file that says how it paints, for `--style`; it trains nothing."""

from pathlib import Path

import onnx
import torch

from sfumato.export import check_parity, export_onnx
from sfumato.nets.generator import GeneratorLight, export_copy
from sfumato.nets.generators import Generator
from sfumato.stages.style_facts import KEY, StyleFacts

EXPORT = 1
"""Number of the form of exported styles; a converted file of another number is not taken from the cache."""


def facts_of(net: Generator, *, grain: float = 0.0, underpaint: float = 0.0) -> StyleFacts:
    """Return how to paint with a generator.

    Args:
        grain: what it was trained with.
        underpaint: likewise.
    """
    if isinstance(net, GeneratorLight):
        return StyleFacts("tile", margin=4 * -(-net.radius // 4), grain=grain, underpaint=underpaint)
    return StyleFacts("picture", grain=grain)


def export_style(net: Generator, path: Path, facts: StyleFacts | None = None) -> float:
    """Write the generator for OpenVINO, with the facts, and check that it computes the same numbers.

    Returns:
        The largest difference between both, of levels in 0..1.

    Raises:
        ModelError: they differ by more than half a level.
    """
    ready = export_copy(net) if isinstance(net, GeneratorLight) else net.eval()
    export_onnx(ready, path, example=torch.rand(1, 3, 64, 64))
    model = onnx.load(str(path))
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, (facts or facts_of(net)).write()
    onnx.save(model, str(path))
    return check_parity(ready, path, torch.rand(1, 3, 96, 128), tolerance=2e-3)
