"""Time `sfumato batch` with one worker, with all and on Ray, watch its memory, and kill it again and again.

usage: python benchmarks/bench_batch.py [--pictures N] [--many N] [--side PX] [--kills N] [--ray] [--out FILE.json]

Pictures are crops of a public-domain portrait, each other bytes. A worker is a process with one thread. Memory is the
resident set of the command and its workers together, read from /proc, so this runs on Linux only. --many 0 and
--kills 0 leave those parts out.
"""

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import PIL.Image

import sfumato

SAMPLE_SECONDS = 0.5


def write_photos(folder: Path, count: int, side: int) -> Path:
    """Write crops of the portrait of Eileen Collins (NASA, public domain), no two alike."""
    from skimage import data  # a test dependency; only this function needs it

    folder.mkdir(parents=True)
    whole = PIL.Image.fromarray(data.astronaut())
    rng = np.random.default_rng(0)
    for number in range(count):
        x, y = (int(v) for v in rng.integers(0, 40, 2))
        crop = whole.crop((x, y, x + 460, y + 460)).resize((side, side), PIL.Image.Resampling.BICUBIC)
        crop.save(folder / f"{number:05}.jpg", quality=90)
    return folder


def command(source: Path, target: Path, *options: str) -> list[str]:
    """Return a batch as a command."""
    return [sys.executable, "-m", "sfumato", "batch", str(source), str(target), "-q", *options]


def timed(words: Sequence[str]) -> float:
    """Return the seconds of a command that must succeed."""
    start = time.perf_counter()
    subprocess.run(words, check=True)
    return time.perf_counter() - start


def throughput(folder: Path, count: int, side: int, rounds: int, *, ray: bool) -> dict[str, object]:
    """Time whole runs of each engine in turn, starts included."""
    source = write_photos(folder / "photos", count, side)
    cores = len(os.sched_getaffinity(0))
    kinds = {"1 worker": ("--workers", "1"), f"{cores} workers": ("--workers", str(cores))}
    if ray:
        kinds["ray"] = ("--engine", "ray", "--workers", str(cores))
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(rounds):
        for kind, options in kinds.items():
            seconds[kind].append(timed(command(source, folder / f"{kind} {number}", *options)))
    best = {kind: min(times) for kind, times in seconds.items()}
    alone, together = best["1 worker"], best[f"{cores} workers"]
    measured: dict[str, object] = {
        "pictures": count,
        "side": side,
        "seconds": {kind: [round(s, 1) for s in times] for kind, times in seconds.items()},
        "pictures_per_s": {kind: round(count / s, 2) for kind, s in best.items()},
        "speedup": round(alone / together, 2),
    }
    if ray:
        measured["ray_overhead_percent"] = round(100 * (best["ray"] / together - 1), 1)
    return measured


def resident(process: int) -> float:
    """Return the megabytes of a process and all below it."""
    total, left = 0.0, [process]
    while left:
        number = left.pop()
        try:
            status = Path(f"/proc/{number}/status").read_text(encoding="ascii")
            children = Path(f"/proc/{number}/task/{number}/children").read_text(encoding="ascii").split()
        except OSError:  # ended meanwhile
            continue
        left.extend(int(child) for child in children)
        total += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1e3
    return total


def samples(process: "subprocess.Popen[bytes]", target: Path) -> Iterator[tuple[int, float]]:
    """Yield how many pictures are done and the megabytes in use, again and again."""
    while process.poll() is None:
        yield sum(1 for _ in target.glob("*.jpg")) if target.is_dir() else 0, resident(process.pid)
        time.sleep(SAMPLE_SECONDS)


def memory(folder: Path, count: int, side: int) -> dict[str, object]:
    """Run a long batch and compare the memory of its second tenth with that of its last."""
    source, target = write_photos(folder / "photos", count, side), folder / "out"
    start = time.perf_counter()
    process = subprocess.Popen(command(source, target))
    held = list(samples(process, target))
    assert process.wait() == 0
    seconds = time.perf_counter() - start

    def mean(low: float, high: float) -> float:
        return float(np.mean([mb for done, mb in held if low * count <= done <= high * count]))

    early, late = mean(0.1, 0.2), mean(0.9, 1.0)
    again = timed(command(source, target))
    return {
        "pictures": count,
        "side": side,
        "seconds": round(seconds, 1),
        "pictures_per_s": round(count / seconds, 2),
        "mb_at_10_to_20_percent": round(early),
        "mb_at_90_to_100_percent": round(late),
        "growth_percent": round(100 * (late / early - 1), 1),
        "second_run_seconds": round(again, 1),
    }


def kill_again_and_again(folder: Path, count: int, side: int, kills: int) -> dict[str, object]:
    """Kill a batch and its workers at random moments, check every file each time, and let it end."""
    source, target, report = (
        write_photos(folder / "photos", count, side),
        folder / "out",
        folder / "report.jsonl",
    )
    moments, done = random.Random(0), []
    for _ in range(kills):
        process = subprocess.Popen(
            command(source, target, "--report", str(report)),
            start_new_session=True,
            stderr=subprocess.DEVNULL,
        )
        timer = threading.Timer(moments.uniform(1.0, 6.0), os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        process.wait()
        timer.cancel()
        done.append(count_whole(target))
    subprocess.run(command(source, target, "--report", str(report)), check=True)
    lines = report.read_text(encoding="utf-8").splitlines()
    return {
        "pictures": count,
        "kills": kills,
        "whole_after_each_kill": done,
        "whole_at_the_end": count_whole(target),
        "broken_lines_in_report": sum(not is_json(line) for line in lines if line),
        "left_over": [path.name for path in (target / ".sfumato").iterdir() if path.name.startswith("tmp")],
    }


def count_whole(target: Path) -> int:
    """Return how many results there are; one that is not whole raises."""
    found = list(target.glob("*.jpg"))
    for path in found:
        with PIL.Image.open(path) as picture:
            picture.load()
    return len(found)


def is_json(line: str) -> bool:
    """Tell whether a line is JSON."""
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return False
    return True


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--many", type=int, default=5000)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--small", type=int, default=256, help="side of the pictures of --many and --kills")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    measured: dict[str, object] = {
        "sfumato": sfumato.__version__,
        "processor": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if chosen.pictures:
            measured["throughput"] = throughput(
                folder / "a", chosen.pictures, chosen.side, chosen.rounds, ray=chosen.ray
            )
        if chosen.many:
            measured["memory"] = memory(folder / "b", chosen.many, chosen.small)
        if chosen.kills:
            measured["kills"] = kill_again_and_again(folder / "c", 60, chosen.small, chosen.kills)
    text = json.dumps(measured, indent=2)
    print(text)
    if chosen.out:
        chosen.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
