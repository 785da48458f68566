"""Load `sfumato serve` on the loopback, beside the pipeline in one thread, on a public-domain portrait.

usage: python benchmarks/bench_server.py [--requests N] [--clients N] [--rounds N] [--out FILE.json]

Servers and pipeline are processes of their own that take turns in rounds, so that each has the machine to itself and
what else the machine does strikes all of them; what is compared are rounds that follow each other. Both turn the bytes
of a JPEG file into those of another, with the default settings. Memory is the largest resident set so far (VmHWM), so
this runs on Linux only.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from itertools import cycle, pairwise
from pathlib import Path

import numpy as np
import PIL.Image
import requests

import sfumato
from sfumato.io import encode_picture, read_picture

SIDE = 512
PREVIEW_SIDE = 640
PHOTO = (4000, 3000)
WORKERS = (1, 2)


ALBUM = 24
"""Photos that are sent in turn: a server remembers what it made of the last few small ones."""


def portrait(width: int, height: int, number: int = 0) -> bytes:
    """Return a crop of the portrait of Eileen Collins (NASA, public domain) of this size as a JPEG file."""
    from skimage import data  # a test dependency; only this function needs it

    encoded, edge = BytesIO(), number % 32
    photo = PIL.Image.fromarray(data.astronaut()).crop((edge, edge, 480 + edge, 480 + edge))
    photo.resize((width, height)).save(encoded, "JPEG", quality=92)
    return encoded.getvalue()


def album(side: int) -> list[bytes]:
    """Return photos that are all others."""
    return [portrait(side, side, number) for number in range(ALBUM)]


@dataclass(slots=True)
class Server:
    """A running server and what was measured of it."""

    url: str
    process: int
    latencies: list[float] = field(default_factory=list)
    rounds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    memory: dict[int, float] = field(default_factory=dict)
    failed: int = 0

    def peak_megabytes(self) -> float:
        """Return the largest resident set so far in MB (10^6 bytes)."""
        lines = Path(f"/proc/{self.process}/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1e6


@contextmanager
def serving(folder: Path, workers: int | None) -> Iterator[Server]:
    """Run a server whose networks are loaded; None leaves the number of workers to it."""
    options = [] if workers is None else ["--workers", str(workers)]
    words = ["serve", "--port", "0", "--state", str(folder), "--rate", "1000000", "-q", *options]
    process = subprocess.Popen([sys.executable, "-m", "sfumato", *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        server = Server(process.stdout.readline().split()[2].rstrip("/"), process.pid)
        load(server, album(SIDE), clients=4, count=8)  # every worker opens its networks
        yield Server(server.url, server.process)
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def paint(session: requests.Session, server: Server, photo: bytes, **options: str) -> bytes:
    """Have a photo painted."""
    files = {"image": ("a.jpg", photo)}
    answer = session.post(f"{server.url}/v1/stylize", files=files, data=options, timeout=600)
    answer.raise_for_status()
    return bytes(answer.content)


def load(server: Server, photos: Sequence[bytes], clients: int, count: int) -> None:
    """Send requests from many clients at once and note what became of them."""
    left = iter(range(count))
    lock = threading.Lock()

    def ask(client: int) -> None:
        with requests.Session() as session:
            session.headers["Sfumato-Client"] = f"client{client}"
            while True:
                with lock:
                    number = next(left, None)
                if number is None:
                    return
                start = time.perf_counter()
                try:
                    whole = is_whole(paint(session, server, photos[number % len(photos)]))
                except requests.RequestException:
                    whole = False
                with lock:
                    server.latencies.append(time.perf_counter() - start)
                    server.failed += not whole

    start, used = time.perf_counter(), processor_seconds(server.process)
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(ask, range(clients)))
    server.rounds.append((time.perf_counter() - start) / count)
    server.processor.append((processor_seconds(server.process) - used) / count)
    server.memory[len(server.latencies)] = round(server.peak_megabytes())


def processor_seconds(process: int) -> float:
    """Return the seconds for which a process has kept processors busy, which others on the machine hardly change."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_whole(picture: bytes) -> bool:
    """Return whether a picture decodes to the size of the photo."""
    with PIL.Image.open(BytesIO(picture)) as opened:
        opened.load()
        return opened.size == (SIDE, SIDE)


def paint_alone() -> None:
    """Paint so many photos, of those in the first line of standard input, as each further line says; print seconds."""
    pipeline = sfumato.build_pipeline(sfumato.Settings())
    photos = [bytes.fromhex(word) for word in sys.stdin.readline().split()]
    for line in sys.stdin:
        start = time.perf_counter()
        for number in range(int(line)):
            result = pipeline.stylize(read_picture(photos[number % len(photos)]))
            encode_picture(result.picture, format="JPEG", quality=92)
        print((time.perf_counter() - start) / int(line), flush=True)


class Alone:
    """The pipeline in one thread of another process."""

    def __init__(self, photos: Sequence[bytes]) -> None:
        words = [sys.executable, __file__, "--alone"]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._said, self._asked = self._process.stdout, self._process.stdin
        self.processor: list[float] = []
        self._asked.write(" ".join(photo.hex() for photo in photos) + "\n")
        self.paint(8)
        self.processor.clear()

    def paint(self, count: int) -> float:
        """Paint so many pictures and return the seconds of one."""
        used = processor_seconds(self._process.pid)
        self._asked.write(f"{count}\n")
        self._asked.flush()
        seconds = float(self._said.readline())
        self.processor.append((processor_seconds(self._process.pid) - used) / count)
        return seconds

    def close(self) -> None:
        """End the process."""
        self._asked.close()
        self._process.wait(60)
        self._said.close()


def compare(photos: Sequence[bytes], clients: int, count: int, rounds: int) -> dict[str, object]:
    """Let the pipeline and servers of each number of workers take turns."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        servers = {k: stack.enter_context(serving(Path(folder, str(k)), k)) for k in WORKERS}
        alone, seconds = Alone(photos), []
        stack.callback(alone.close)
        for _ in range(rounds):
            seconds.append(alone.paint(count // rounds))
            for server in servers.values():
                load(server, photos, clients, count // rounds)
        seconds.append(alone.paint(count // rounds))
        beside = [(a + b) / 2 for a, b in pairwise(seconds)]
        return {
            "pipeline in one thread": {
                "pictures_per_s": rate(seconds),
                "rounds_s": rounded(seconds),
                "processor_s": rounded(alone.processor),
            },
            **{
                f"server, workers {k}": describe(server, beside, alone.processor)
                for k, server in servers.items()
            },
        }


def describe(server: Server, beside: Sequence[float], processor: Sequence[float]) -> dict[str, object]:
    """Return what was measured of a server, against the pipeline in the rounds before and after each of its own.

    Args:
        processor: seconds of processors that the pipeline took for a picture, in each of its rounds.
    """
    more = statistics.median(server.processor) / statistics.median(processor) - 1
    overheads = [100 * (mine / its - 1) for mine, its in zip(server.rounds, beside, strict=True)]
    return {
        "requests": len(server.latencies),
        "lost": server.failed,
        "pictures_per_s": rate(server.rounds),
        "rounds_s": rounded(server.rounds),
        "seconds_more_than_alone_percent": {
            "median": round(statistics.median(overheads), 1),
            "rounds": [round(overhead, 1) for overhead in overheads],
        },
        "processor_s": rounded(server.processor),
        "processor_seconds_more_than_alone_percent": round(100 * more, 1),
        "latency_s": percentiles(server.latencies),
        "peak_mb_after_requests": server.memory,
    }


def rate(seconds: Sequence[float]) -> float:
    """Return pictures per second, by the median round."""
    return round(1 / statistics.median(seconds), 2)


def rounded(seconds: Sequence[float]) -> list[float]:
    """Return seconds of one picture of each round."""
    return [round(value, 3) for value in seconds]


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return median, 95th percentile and maximum."""
    return {
        "median": round(statistics.median(seconds), 3),
        "p95": round(float(np.percentile(seconds, 95)), 3),
        "max": round(max(seconds), 3),
    }


def preview(runs: int) -> dict[str, object]:
    """Time what the page does: reduce a photo of 12 megapixels, paint a small picture, and again as a slider moves."""
    photo, small = portrait(*PHOTO), portrait(PREVIEW_SIDE, PREVIEW_SIDE)
    others, paints = cycle(album(PREVIEW_SIDE)), cycle(range(100))
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(serving(Path(folder), None))
        session = stack.enter_context(requests.Session())

        def reduce_photo() -> None:
            files = {"image": ("a.jpg", photo)}
            session.post(f"{server.url}/v1/thumbnail", files=files, timeout=600).raise_for_status()

        calls: Mapping[str, Callable[[], object]] = {
            "thumbnail of 12 megapixels": reduce_photo,
            f"first preview, {PREVIEW_SIDE}x{PREVIEW_SIDE}": lambda: paint(session, server, next(others)),
            "preview of the same with another --paint": lambda: paint(
                session, server, small, paint=str(next(paints) / 100)
            ),
        }
        return {name: percentiles([seconds_of(call) for _ in range(runs)]) for name, call in calls.items()}


def seconds_of(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


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
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--previews", type=int, default=20)
    parser.add_argument("--alone", action="store_true", help="for itself")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.alone:
        paint_alone()
        return
    before = os.getloadavg()[0]
    figures = compare(album(SIDE), arguments.clients, arguments.requests, arguments.rounds)
    publish(
        {
            "sfumato": sfumato.__version__,
            "cores": len(os.sched_getaffinity(0)),
            "load_before": round(before, 2),
            **figures,
            "preview": preview(arguments.previews),
        },
        arguments.out,
    )


if __name__ == "__main__":
    main()
