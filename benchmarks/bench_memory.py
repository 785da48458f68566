"""Weigh the memory that jobs of `sfumato serve` take by the size of their picture, each in a new process.

usage: python benchmarks/bench_memory.py [--megapixels N ...] [--kinds NAME ...] [--out FILE.json]

Prints the resident set at the start, with all networks loaded, and the largest one of the work (VmHWM, so this runs on
Linux only), bytes per pixel as the slope between the smallest and the largest picture, and what `sfumato.jobs.memory`
estimates. The pictures are a public-domain portrait, enlarged; "two at once" is what two threads take together.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image

from sfumato.cost import peak_memory
from sfumato.io import Limits
from sfumato.jobs.job import Kind, Work
from sfumato.jobs.memory import estimate_need
from sfumato.jobs.painting import perform
from sfumato.jobs.studio import Studio, warm
from sfumato.settings import Settings

SIZES = (1, 4, 12, 24, 48)

LIMITS = Limits(pixels=100_000_000, bytes=1_000_000_000)


@dataclass(frozen=True, slots=True)
class Case:
    """Work on a file.

    Attributes:
        format: of the picture: RGB as JPEG or PNG, RGBA, or 16 bits of each sample.
        options: of the work, beside its kind.
    """

    kind: Kind
    format: str = "jpeg"
    layers: bool = False
    side: int | None = None

    def work(self) -> Work:
        """Return what is to be done."""
        return Work(self.kind, Settings(), layers=self.layers, side=self.side)


CASES: Mapping[str, Case] = {
    "stylize": Case("stylize"),
    "stylize, layers": Case("stylize", layers=True),
    "stylize, PNG": Case("stylize", "png"),
    "stylize, RGBA": Case("stylize", "rgba"),
    "stylize, 16 bits": Case("stylize", "rgb16"),
    "stylize, side 640": Case("stylize", side=640),
    "stylize, RGBA of 16 bits": Case("stylize", "rgba16"),
    "detect": Case("detect"),
    "detect, RGBA": Case("detect", "rgba"),
    "segment": Case("segment"),
    "segment, RGBA": Case("segment", "rgba"),
    "thumbnail": Case("thumbnail", side=768),
    "thumbnail, RGBA": Case("thumbnail", "rgba", side=768),
    "thumbnail, RGBA of 16 bits": Case("thumbnail", "rgba16", side=768),
}


def write_photo(megapixels: float, format: str, folder: Path) -> Path:
    """Write the portrait of Eileen Collins (NASA, public domain) with so many pixels; return the file."""
    import cv2  # here, so that its memory is not that of the measured process
    from skimage import data  # a test dependency; only this function needs it

    side = round((1e6 * megapixels) ** 0.5)
    path = folder / f"{megapixels:g}.{format}"
    if path.exists():
        return path
    image = np.asarray(
        PIL.Image.fromarray(data.astronaut()).resize((side, side), PIL.Image.Resampling.BICUBIC)
    )
    if format == "jpeg":
        PIL.Image.fromarray(image).save(path, "JPEG", quality=92)
        return path
    image = image[..., ::-1]
    if format.startswith("rgba"):
        slope = np.linspace(0, 255, side, dtype=np.uint8)
        image = np.dstack([image, np.broadcast_to(slope, (side, side))])
    if format.endswith("16"):
        image = image.astype(np.uint16) * 257
    path.write_bytes(cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())
    return path


def weigh(case: Case, photo: Path, threads: int) -> dict[str, int]:
    """Return the bytes of this process at its start, with all networks loaded, and at the peak of the work.

    The work is done by threads that have not worked before, as in the server.
    """
    work, studio = case.work(), Studio()
    start = resident()
    pipeline = studio.pipeline(work.settings)
    warm(pipeline)
    before = resident()
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of loading

    def run() -> None:
        perform(work, {"image": photo}.get, pipeline, LIMITS, lambda _: None)

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return {"start": start, "warm": before, "peak": peak_memory()}


def resident() -> int:
    """Return the bytes of memory that this process holds now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def weigh_apart(name: str, photo: Path, threads: int = 1) -> dict[str, int]:
    """Return what `weigh` does, measured in a new process."""
    words = [sys.executable, __file__, "--case", name, str(photo), str(threads)]
    said: dict[str, int] = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    return said


def measure(name: str, sizes: Sequence[float], folder: Path) -> dict[str, object]:
    """Return the memory of one kind of work for all sizes, beside what is estimated."""
    case, grown, rows = CASES[name], [], {}
    for megapixels in sizes:
        photo = write_photo(megapixels, case.format, folder)
        side = round((1e6 * megapixels) ** 0.5)
        held = weigh_apart(name, photo)
        grown.append(held["peak"] - held["warm"])
        need = estimate_need(case.work(), (side, side))
        rows[f"{megapixels:g} megapixels"] = {
            **{f"{when}_mb": round(size / 1e6) for when, size in held.items()},
            "grown_mb": round(grown[-1] / 1e6),
            "estimate_mb": round(need / 1e6),
            "estimate_to_grown": round(need / grown[-1], 2),
        }
        print(name, rows[f"{megapixels:g} megapixels"], file=sys.stderr)
    slope = (grown[-1] - grown[0]) / (1e6 * (sizes[-1] - sizes[0]))
    base = grown[0] - slope * 1e6 * sizes[0]
    return {"bytes_per_pixel": round(slope, 1), "base_mb": round(base / 1e6), **rows}


def main() -> None:
    """Measure, print and, if asked, store."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megapixels", type=float, nargs="+", default=SIZES)
    parser.add_argument("--kinds", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--case", nargs=3, help="for itself")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.case:
        name, photo, threads = arguments.case
        print(json.dumps(weigh(CASES[name], Path(photo), int(threads))))
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = {name: measure(name, arguments.megapixels, Path(folder)) for name in arguments.kinds}
        photo = write_photo(arguments.megapixels[0], "jpeg", Path(folder))
        held = weigh_apart("stylize", photo, 2)
        grown = round((held["peak"] - held["warm"]) / 1e6)
        figures["stylize, two at once"] = {"megapixels": photo.stem, "grown_mb": grown}
    text = json.dumps(figures, indent=2)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
