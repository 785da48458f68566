"""Measure flicker and speed of painted videos: each frame for itself, and steadied.

`python benchmarks/bench_video.py CLIP... [--frames 60] [--max-side 640] [--sheet DIR]` paints the first frames of each
clip by `Pipeline.stylize`, frame by frame, and by `VideoPainter`, and prints the warping error of both and of the
source (see docs/video.md). `astronaut` instead of a file is a pan and zoom over scikit-image's portrait, with noise.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np

from sfumato.pipeline import Pipeline, build_pipeline
from sfumato.types import Image
from sfumato.video.flicker import warping_error
from sfumato.video.flow import Motion, find_motion, reduce_frame
from sfumato.video.painting import VideoPainter
from sfumato.video.reading import look_through, read_frames


def main() -> None:
    """Print one row for each clip."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--max-side", type=int)
    parser.add_argument(
        "--sheet", type=Path, help="folder for pictures: source, frame by frame, steadied, differences"
    )
    options = parser.parse_args()
    pipeline = replace(build_pipeline(), likeness=None)
    print(
        "| clip | frames | source | frame by frame | steadied | s a frame, each for itself | s a frame, steadied |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for clip in options.clips:
        frames = list(islice(read_clip(clip, options.max_side), options.frames))
        measure_clip(clip, frames, pipeline, options.sheet)


def read_clip(name: str, longest: int | None) -> Iterator[Image]:
    """Yield the frames of a file, or of the moved portrait."""
    if name == "astronaut":
        yield from moved_portrait()
        return
    for frame in read_frames(look_through(Path(name), longest=longest)):
        yield frame.image


def moved_portrait(shape: tuple[int, int] = (240, 320)) -> Iterator[Image]:
    """Yield views that pan and zoom, each with noise of its own of two levels."""
    from skimage.data import astronaut

    whole = astronaut()  # type: ignore[no-untyped-call]  # has no types
    rng = np.random.default_rng(0)
    for k in range(10_000):
        x, y, zoom = 40 + 60 * np.sin(k / 15), 5 + 10 * np.cos(k / 10), 0.7 + 0.15 * np.sin(k / 12)
        matrix = np.array([[zoom, 0, -zoom * x], [0, zoom, -zoom * y]])
        view = cv2.warpAffine(whole, matrix, shape[::-1], flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
        yield np.clip(view + rng.normal(0, 2.0, view.shape), 0, 255).astype(np.uint8)


def measure_clip(name: str, frames: list[Image], pipeline: Pipeline, sheet: Path | None) -> None:
    """Paint the frames both ways and print what was measured."""
    start = time.perf_counter()
    plain = [pipeline.stylize(frame).image for frame in frames]
    middle = time.perf_counter()
    steady, memory = [], None
    painter = VideoPainter(pipeline, measure=False)
    for frame in frames:
        step = painter.step(frame, memory)
        memory = step.memory
        steady.append(step.image)
    end = time.perf_counter()
    motions = [find_motion(*map(reduce_frame, pair)) for pair in pairwise(frames)]
    errors = [flicker(images, motions) for images in (frames, plain, steady)]
    seconds = [(b - a) / len(frames) for a, b in ((start, middle), (middle, end))]
    figures = " | ".join([*(f"{value:.2f}" for value in errors), *(f"{value:.2f}" for value in seconds)])
    print(f"| {Path(name).name} | {len(frames)} | {figures} |", flush=True)
    if sheet is not None:
        save_sheet(sheet / f"{Path(name).stem}.png", (frames, plain, steady))


def flicker(images: list[Image], motions: list[Motion]) -> float:
    """Return the root of the mean warping error in levels, over pairs that are no cuts."""
    followed = [(a, b, m) for (a, b), m in zip(pairwise(images), motions, strict=True) if m.share > 0.5]
    return float(np.sqrt(np.mean([warping_error(*pair) for pair in followed])))


def save_sheet(path: Path, rows: tuple[list[Image], ...]) -> None:
    """Write five frames of each row, and below what changed since the frame before, four times as strong."""
    places = np.linspace(1, len(rows[0]) - 1, 5).astype(int)
    pictures = [np.hstack([row[k] for k in places]) for row in rows]
    changes = [np.hstack([row[k].astype(int) - row[k - 1] for k in places]) for row in rows[1:]]
    shown = [np.clip(128 + 4 * change, 0, 255).astype(np.uint8) for change in changes]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack([*pictures, *shown]), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
