"""Measure what one segmenter costs, in a process of its own: time, memory, size and arithmetic; it judges nothing.

`python -P -m sfumato.cost` reads a picture and its face from a file and prints one JSON object. On a CPU nothing of
PyTorch is loaded there, so that the memory is what painting needs.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from sfumato.backends import Backend, OpenVinoBackend, Tensor
from sfumato.errors import ModelError
from sfumato.segmenters import open_segmenter
from sfumato.stages.sam import SamSegmenter
from sfumato.stages.segment import LightSegmenter
from sfumato.types import Face, Image


@dataclass(frozen=True, slots=True)
class SegmenterCost:
    """What one picture with one face costs.

    Attributes:
        parameters: numbers that the files hold as weights, with tables that their export worked out in advance.
        bytes: size of the files that are run.
        gflops: 1e9 floating-point operations of convolutions and matrix products, a multiplication with its addition
            counted as two.
        cold: seconds of opening the networks and the first picture.
        warm: median seconds of further pictures; `spread` their least and most.
        memory: bytes of memory that the process held at most.
        runs: pictures that `warm` is the median of.
    """

    parameters: int | None
    bytes: int | None
    gflops: float | None
    cold: float
    warm: float
    spread: tuple[float, float]
    memory: int
    runs: int


@dataclass(slots=True)
class Watched:
    """Run a network and note which inputs it was given."""

    backend: Backend
    shapes: list[Mapping[str, tuple[int, ...]]] = field(default_factory=list)

    def run(self, inputs: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """Map inputs to outputs as the network does."""
        self.shapes.append({name: value.shape for name, value in inputs.items()})
        return self.backend.run(inputs)


def measure_segmenter(
    segmenter: str, image: Image, face: Face, device: str, *, exact: bool, runs: int
) -> SegmenterCost:
    """Return the cost of a segmenter in this process, in which none may have run before."""
    start = time.perf_counter()
    stage = open_segmenter(segmenter, device, exact=exact).stage
    stage(image, [face]).labels()
    cold = time.perf_counter() - start
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        stage(image, [face]).labels()
        seconds.append(time.perf_counter() - start)
    memory = peak_memory()
    parameters, size, operations = _work(stage, image, face)
    spread = (min(seconds), max(seconds))
    return SegmenterCost(
        parameters,
        size,
        None if operations is None else operations / 1e9,
        cold,
        statistics.median(seconds),
        spread,
        memory,
        runs,
    )


def peak_memory() -> int:
    """Return the most bytes of memory that this process has held since its program began.

    Linux hands the parent's figure of `getrusage` on to a child, so it is read from the process itself there.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = status.read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    import resource  # which Windows has not

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _work(stage: object, image: Image, face: Face) -> tuple[int | None, int | None, int | None]:
    """Return parameters, bytes and operations; None of each where a network is no file of OpenVINO's."""
    watched: list[Watched] = []

    def watch(backend: Backend) -> Watched:
        watched.append(Watched(backend))
        return watched[-1]

    if isinstance(stage, SamSegmenter):
        parts = replace(stage.parts, backend=watch(stage.parts.backend))
        seen = replace(stage, encoder=watch(stage.encoder), decoder=watch(stage.decoder), parts=parts)
        seen(image, [face])
    elif isinstance(stage, LightSegmenter):
        replace(stage, backend=watch(stage.backend))(image, [face])
    networks = [w.backend for w in watched if isinstance(w.backend, OpenVinoBackend)]
    if not watched or len(networks) < len(watched):
        return None, None, None
    operations = sum(
        network.count_operations(shapes)
        for network, w in zip(networks, watched, strict=True)
        for shapes in w.shapes
    )
    parameters = sum(network.count_parameters() for network in networks)
    return parameters, sum(network.path.stat().st_size for network in networks), operations


def measure_apart(
    segmenter: str, image: Image, face: Face, device: str = "cpu", *, exact: bool = False, runs: int = 10
) -> SegmenterCost:
    """Return the cost of a segmenter, measured in a new process.

    Raises:
        ModelError: the process failed; its last words are named.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "picture.npz")
        np.savez(place, image=image, box=face.box, landmarks=face.landmarks, score=face.score)
        words = [sys.executable, "-P", "-m", "sfumato.cost", segmenter, str(place), device, str(runs)]
        words += ["--exact"] if exact else []
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise ModelError(
            f"the cost of segmenter '{segmenter}' cannot be measured: {said[-1]}; see: --no-cost"
        )
    found = json.loads(done.stdout.splitlines()[-1])
    return SegmenterCost(**{**found, "spread": tuple(found["spread"])})


def main() -> None:
    """Measure the segmenter that the arguments name and print its cost as JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("segmenter")
    parser.add_argument("picture", type=Path)
    parser.add_argument("device")
    parser.add_argument("runs", type=int)
    parser.add_argument("--exact", action="store_true")
    named = parser.parse_args()
    with np.load(named.picture, allow_pickle=False) as held:
        a, b, c, d, e = (tuple(point) for point in held["landmarks"].tolist())
        face = Face(tuple(held["box"].tolist()), (a, b, c, d, e), float(held["score"]))
        image = np.asarray(held["image"], dtype=np.uint8)
    cost = measure_segmenter(named.segmenter, image, face, named.device, exact=named.exact, runs=named.runs)
    sys.stdout.write(json.dumps(asdict(cost)) + "\n")


if __name__ == "__main__":
    main()
