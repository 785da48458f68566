"""Say how well faces are kept over a folder of photos: seam, likeness, and what it costs beyond painting.

usage: python benchmarks/bench_faces.py --images DIR --recognition FILE [--runs N] [--out FILE.json]

Every picture below the folder is painted with the defaults. Seam and likeness are those of each kept face; likeness is
measured by MobileFaceNet, which the pipeline does not know, and by the embedded recogniser, against the photo: once for
the result and once for the painting without any kept face. The cost is that of all stages but reading and painting,
for one face of 512 pixels in a picture of 1024, sharp and blurred, as a sharp face needs no restoration.
"""

import argparse
import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from bench_speed import portrait, processor, publish, spread

import sfumato
from sfumato.evaluation.identity import identity_cosine, load_mobile_face_net
from sfumato.geometry import align, face_affine
from sfumato.io import PICTURE_SUFFIXES
from sfumato.types import Compare, Image

FACE_STAGES = ("detect", "restore", "segment", "blend", "measure")


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """Return median, first and third quartile, worst (least) and number."""
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return {
        "median": round(float(middle), 3),
        "quartiles": [round(float(low), 3), round(float(high), 3)],
        "range": [round(min(values), 3), round(max(values), 3)],
        "faces": len(values),
    }


def kept_faces(paths: Sequence[Path], judges: Mapping[str, Compare]) -> dict[str, object]:
    """Return the quartiles of seam and likeness over all kept faces."""
    pipeline = sfumato.build_pipeline()
    values: dict[str, list[float]] = {"seam": [], "turned down": []}
    for path in paths:
        result = pipeline.stylize(path, layers=True)
        values["seam"] += [seam.score for seam in result.seams if seam is not None]
        values["turned down"] += [float(r.turned_down) for r in result.restorations]
        for k in result.kept:
            crops = {
                name: align(image, face_affine(result.faces[k].points))
                for name, image in result.layers.items()
            }
            for judge, compare in judges.items():
                for step in ("result", "painted"):
                    score = compare(crops["original"], crops[step])
                    values.setdefault(f"likeness by {judge}, {step}", []).append(score)
    turned = values.pop("turned down")
    return {"restorations turned down": round(sum(turned)), **{k: quartiles(v) for k, v in values.items()}}


def large_face() -> Image:
    """Return a 1024x1024 picture whose one face is 512 pixels high."""
    image = portrait(512, 512)
    (face,) = sfumato.build_pipeline().detect(image)
    x0, y0, x1, y1 = face.box
    factor = 512 / (y1 - y0)
    scaled = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    left, top = (max(0, round(factor * (a + b) / 2) - 512) for a, b in ((x0, x1), (y0, y1)))
    return np.ascontiguousarray(scaled[top : top + 1024, left : left + 1024])


def cost(image: Image, runs: int) -> dict[str, object]:
    """Return the seconds of the stages that keep faces, together and each."""
    pipeline = sfumato.build_pipeline()
    pipeline.stylize(image)
    timings = [pipeline.stylize(image).timings for _ in range(runs)]
    stages = {stage: round(statistics.median(t.get(stage, 0.0) for t in timings), 3) for stage in FACE_STAGES}
    return {**spread([sum(t.get(stage, 0.0) for stage in FACE_STAGES) for t in timings]), "stages": stages}


def measure(arguments: argparse.Namespace) -> Mapping[str, object]:
    """Return every figure."""
    judges: dict[str, Compare] = {
        "MobileFaceNet": partial(identity_cosine, load_mobile_face_net(arguments.recognition))
    }
    own = sfumato.build_pipeline().likeness
    if own is not None:
        judges["the embedded recogniser"] = own
    paths = sorted(p for p in arguments.images.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES)
    image = large_face()
    return {
        "sfumato": sfumato.__version__,
        "processor": processor(),
        "pictures": len(paths),
        **kept_faces(paths, judges),
        "seconds, sharp face of 512 pixels": cost(image, arguments.runs),
        "seconds, blurred face of 512 pixels": cost(cv2.GaussianBlur(image, (0, 0), 5), arguments.runs),
    }


def main() -> None:
    """Measure, print and, if asked, store."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("--images", "--recognition"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    publish(measure(arguments), arguments.out)


if __name__ == "__main__":
    main()
