"""Turn a generator into an ONNX file that says how it paints, for `--style`; it trains nothing."""

from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import torch

from sfumato.export import check_parity, export_onnx
from sfumato.nets.generator import GeneratorLight, export_copy
from sfumato.nets.generators import Generator
from sfumato.stages.style_facts import KEY, StyleFacts


def facts_of(net: Generator, *, grain: float = 0.0, underpaint: float = 0.0) -> StyleFacts:
    """Return how to paint with a generator.

    Args:
        grain: what it was trained with.
        underpaint: likewise.
    """
    if isinstance(net, GeneratorLight):
        return StyleFacts("tile", margin=margin_of(net.radius), grain=grain, underpaint=underpaint)
    return StyleFacts("picture", grain=grain)


def margin_of(radius: int) -> int:
    """Return the margin of tiles for a network of this radius: a multiple of 4.

    >>> margin_of(50)
    52
    """
    return 4 * -(-radius // 4)


def export_style(net: Generator, path: Path, facts: StyleFacts | None = None) -> float:
    """Write the generator for OpenVINO, with the facts, once it is seen to compute the same numbers.

    A light generator's weights are stored as float16; the published one's are not, as its many layers add up what that
    rounds away.

    Returns:
        The largest difference between both, of levels in 0..1.

    Raises:
        ModelError: they differ by more than half a level; a file that was there before is left as it was.
    """
    light = isinstance(net, GeneratorLight)
    ready = export_copy(net) if isinstance(net, GeneratorLight) else net.eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as folder:
        fresh = Path(folder, path.name)
        export_onnx(ready, fresh, example=_example(64, 64), half=light)
        add_facts(fresh, facts or facts_of(net))
        difference = check_parity(ready, fresh, _example(96, 128), tolerance=2e-3)
        fresh.replace(path)
    return difference


def add_facts(path: Path, facts: StyleFacts) -> None:
    """Write into the metadata of an ONNX file how its network is to be used."""
    model = onnx.load(str(path))
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, facts.write()
    onnx.save(model, str(path))


def _example(height: int, width: int) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
