"""Time `sfumato batch` with one worker, with all and on Ray, watch its memory, and kill it again and again.

usage: python benchmarks/bench_batch.py [--pictures N] [--many N ...] [--side PX] [--kills N] [--ray] [--out FILE.json]

Pictures are crops of a public-domain portrait, each other bytes. A worker is a process with one thread. Memory is the
resident set of the command and its workers together, read from /proc, so this runs on Linux only. --pictures 0,
--many without a number and --kills 0 leave those parts out.
"""

import argparse
import json
import logging
import os
import platform
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
    return [*words("batch"), str(source), str(target), "-q", *options]


def words(name: str) -> list[str]:
    """Return the words that begin a command of sfumato."""
    return [sys.executable, "-m", "sfumato", name]


def timed(line: Sequence[str]) -> float:
    """Return the seconds of a command that must succeed."""
    start = time.perf_counter()
    subprocess.run(line, check=True)
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


def resident(process: int, *, children: bool = True) -> float:
    """Return the megabytes of a process, and of all below it."""
    total, left = 0.0, [process]
    while left:
        number = left.pop()
        try:
            status = Path(f"/proc/{number}/status").read_text(encoding="ascii")
            below = Path(f"/proc/{number}/task/{number}/children").read_text(encoding="ascii").split()
        except OSError:  # ended meanwhile
            continue
        if children:
            left.extend(int(child) for child in below)
        total += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1e3
    return total


@dataclass(frozen=True, slots=True)
class Sample:
    """What a batch holds at a moment.

    Attributes:
        done: pictures that are painted.
        alone: megabytes of the command without its workers.
        all: megabytes of the command and its workers.
    """

    done: int
    alone: float
    all: float


def samples(process: "subprocess.Popen[bytes]", target: Path) -> Iterator[Sample]:
    """Yield what a batch holds, again and again until it ends."""
    while process.poll() is None:
        done = sum(1 for _ in target.glob("*.jpg")) if target.is_dir() else 0
        yield Sample(done, resident(process.pid, children=False), resident(process.pid))
        time.sleep(SAMPLE_SECONDS)


def growth(folder: Path, count: int, side: int) -> dict[str, object]:
    """Run a batch of this many and measure what grows; compare the memory of its second tenth with its last."""
    source, target, report = write_photos(folder / "photos", count, side), folder / "out", folder / "report"
    start = time.perf_counter()
    process = subprocess.Popen(command(source, target, "--report", str(report)))
    held = list(samples(process, target))
    assert process.wait() == 0
    seconds = time.perf_counter() - start

    def mean(low: float, high: float, part: str) -> float:
        return float(np.mean([getattr(s, part) for s in held if low * count <= s.done <= high * count]))

    early, late = mean(0.1, 0.2, "all"), mean(0.9, 1.0, "all")
    again = timed(command(source, target))
    ledger = sum(path.stat().st_size for path in (target / ".sfumato").glob("ledger-*.jsonl"))
    return {
        "pictures": count,
        "seconds": round(seconds, 1),
        "pictures_per_s": round(count / seconds, 2),
        "mb_at_10_to_20_percent": round(early),
        "mb_at_90_to_100_percent": round(late),
        "growth_percent": round(100 * (late / early - 1), 1),
        "mb_of_the_command_at_10_to_20_percent": round(mean(0.1, 0.2, "alone"), 1),
        "mb_of_the_command_at_90_to_100_percent": round(mean(0.9, 1.0, "alone"), 1),
        "bytes_of_ledger_a_picture": round(ledger / count),
        "bytes_of_report_a_picture": round(report.stat().st_size / count),
        "second_run_seconds": round(again, 1),
    }


class RequestCounter(logging.Handler):
    """Count the requests that a server logs, by method; lists apart."""

    LINE = re.compile(r'"(?:\x1b\[[0-9;]*m)*([A-Z]+) (\S+)')

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Count one line, such as: 127.0.0.1 - - [...] "PUT /gallery/out/a.jpg HTTP/1.1" 200 -."""
        if found := self.LINE.search(record.getMessage()):
            method, path = found.groups()
            self.counts["list" if "list-type" in path else method] += 1


def count_requests(folder: Path, count: int, side: int) -> dict[str, object]:
    """Paint from one folder of a bucket into another on Ray, twice, and count what is asked of the bucket."""
    from moto.server import ThreadedMotoServer  # test dependencies
    from pyarrow.fs import FileSystem

    log, counter = logging.getLogger("werkzeug"), RequestCounter()
    log.addHandler(counter)
    log.setLevel(logging.INFO)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    os.environ.update({**keys, "AWS_ENDPOINT_URL": f"http://{host}:{port}"})
    system, root = FileSystem.from_uri("s3://gallery?allow_bucket_creation=true")
    system.create_dir(root)
    for path in sorted(write_photos(folder, count, side).iterdir()):
        with system.open_output_stream(f"gallery/photos/{path.name}") as stream:
            stream.write(path.read_bytes())
    measured = {}
    for run in ("first", "second"):
        counter.counts.clear()
        addresses = (f"s3://gallery/{name}" for name in ("photos", "paintings"))
        subprocess.run([*words("batch"), *addresses, "-q", "--engine", "ray"], check=True)
        measured[run] = {kind: round(number / count, 2) for kind, number in sorted(counter.counts.items())}
    server.stop()
    return {"pictures": count, "requests_a_picture": measured}


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
    parser.add_argument("--many", type=int, nargs="*", default=[100, 1000, 5000])
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--small", type=int, default=256, help="side of the pictures of --many and --kills")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument(
        "--requests", type=int, default=0, help="pictures from bucket to bucket; needs Ray and moto"
    )
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
        for count in chosen.many:
            measured[f"growth over {count}"] = growth(folder / f"b{count}", count, chosen.small)
        if chosen.requests:
            measured["requests"] = count_requests(folder / "d", chosen.requests, chosen.small)
        if chosen.kills:
            measured["kills"] = kill_again_and_again(
                folder / "c", 20 * chosen.kills, chosen.small, chosen.kills
            )
    text = json.dumps(measured, indent=2)
    print(text)
    if chosen.out:
        chosen.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
