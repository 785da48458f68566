"""Time Segment Anything of the published sizes, with random weights, as the pipeline runs it; each in its own process.

usage: python benchmarks/bench_sam.py [--sizes vit-b sam2.1-tiny] [--repeats 3]

Random weights take the same time and memory as trained ones. Converts each once into a folder that is deleted.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

SIZES: dict[str, dict[str, Any]] = {
    "vit-b": {},
    "vit-l": {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "global": [5, 11, 17, 23],
    },
    "vit-h": {
        "hidden_size": 1280,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "global": [7, 15, 23, 31],
    },
    "sam2.1-tiny": {},
}


def make(size: str) -> Any:  # noqa: ANN401  # a SAM of transformers
    """Return a network of a published size with random weights."""
    from sfumato.nets.torchvision_schema import declare_torchvision_operators

    declare_torchvision_operators()
    import torch
    from transformers import Sam2Config, Sam2Model, SamConfig, SamModel

    torch.manual_seed(0)
    if size == "sam2.1-tiny":
        return Sam2Model(Sam2Config()).eval().requires_grad_(False)
    vision = dict(SIZES[size])
    blocks = vision.pop("global", [2, 5, 8, 11])
    config = SamConfig(vision_config={**vision, "global_attn_indexes": blocks, "initializer_range": 0.02})
    return SamModel(config).eval().requires_grad_(False)


def convert(size: str, folder: Path) -> dict[str, float]:
    """Convert a network and return what that took."""
    from sfumato.export_sam import export_sam

    model = make(size)
    start = time.monotonic()
    export_sam(model, folder, Path(size))
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "convert_s": time.monotonic() - start,
        "convert_mb": peak(),
        "files_mb": sum(path.stat().st_size for path in folder.glob("*.onnx")) / 1e6,
    }


def run(folder: Path, repeats: int) -> dict[str, Any]:
    """Load, embed and ask, and return the times and the peak of memory."""
    from sfumato.backends import OpenVinoBackend, inspect_model, make_backend
    from sfumato.conversion import DECODER, ENCODER
    from sfumato.registry import find_embedded, model_path
    from sfumato.stages.sam import SamSegmenter
    from sfumato.stages.sam_facts import KEY, read_sam_facts
    from sfumato.stages.segment import LightSegmenter
    from sfumato.types import Face

    facts = read_sam_facts(inspect_model(folder / ENCODER, KEY).metadata, ENCODER)
    parts = LightSegmenter(make_backend(model_path(find_embedded("segmenter")), "cpu"))
    encoder = OpenVinoBackend(folder / ENCODER)
    sam = SamSegmenter(encoder, OpenVinoBackend(folder / DECODER, exact=True), facts, parts)
    image = np.random.default_rng(0).integers(0, 256, (768, 1024, 3), dtype=np.uint8)
    points = ((460.0, 340.0), (560.0, 340.0), (510.0, 400.0), (470.0, 450.0), (550.0, 450.0))
    face = Face((400, 230, 620, 530), points, 0.9)
    first = clocked(lambda: sam.embed(image))
    embeddings = sam.embed(image)
    return {
        "first_s": first,
        "embed_s": [clocked(lambda: sam.embed(image)) for _ in range(repeats)],
        "face_s": [clocked(lambda: sam.region(image, face, embeddings)) for _ in range(repeats)],
        "run_mb": peak(),
    }


def clocked(call: Any) -> float:  # noqa: ANN401  # a call without arguments
    """Return the seconds that a call takes."""
    start = time.monotonic()
    call()
    return time.monotonic() - start


def peak() -> float:
    """Return the most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def child(*words: str) -> dict[str, Any]:
    """Return what this script says of one step, run in a process of its own."""
    said = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, *words], check=True, capture_output=True, text=True
    )
    answer: dict[str, Any] = json.loads(said.stdout.splitlines()[-1])
    return answer


def main() -> None:
    """Measure the chosen sizes and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="*", default=["vit-b", "sam2.1-tiny"], choices=SIZES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.step:
        size, folder = chosen.step
        there = Path(folder)
        print(json.dumps(run(there, chosen.repeats) if any(there.glob("*.onnx")) else convert(size, there)))
        return
    for size in chosen.sizes:
        with TemporaryDirectory() as folder:
            made = child("--step", size, folder)
            ran = child("--step", size, folder, "--repeats", str(chosen.repeats))
        embed, face = ran["embed_s"], ran["face_s"]
        print(
            f"{size}: {made['parameters'] / 1e6:.1f} M parameters; converted in {made['convert_s']:.0f} s with "
            f"{made['convert_mb']:,.0f} MB to {made['files_mb']:,.0f} MB; first picture {ran['first_s']:.1f} s; "
            f"embedding {median(embed):.2f} s ({min(embed):.2f} to {max(embed):.2f}); a face "
            f"{1000 * median(face):.0f} ms; {ran['run_mb']:,.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
