"""Painters of videos that need no network: one whose paint flickers, and a face that is where a red patch is."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.pipeline import Pipeline
from sfumato.settings import Settings
from sfumato.stages.segment import LightSegmenter
from sfumato.types import Face, Image
from sfumato.video import parts, run
from sfumato.video.painting import VideoPainter
from sfumato.video.steadying import FREE, STEADY
from sfumato.video.tracking import as_landmarks
from tests.simple import FACE, build


def flickering(image: Image) -> Image:
    """Paint a negative whose light and grain are others for every frame, but the same for the same frame."""
    rng = np.random.default_rng(int(sha256(image.tobytes()).hexdigest()[:8], 16))
    light = rng.normal(0, 5, 3)
    return np.clip(255 - image + light + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


def face_at_red(image: Image) -> Sequence[Face]:
    """Find a face around the middle of what is red, a little beside it, as detectors do."""
    levels = image.astype(int)
    red = (levels[..., 0] > 180) & (levels[..., 1:].max(axis=2) < 90)
    if red.sum() < 20:
        return ()
    noise = np.random.default_rng(int(levels.sum()) % 2**32).normal(0, 0.4, (5, 2))
    y, x = (axis.mean() for axis in np.nonzero(red))
    points = FACE.points - FACE.points.mean(axis=0) + np.array([x, y]) + noise
    box = (x - 20.0, y - 28.0, x + 20.0, y + 28.0)
    return (Face(box, as_landmarks(points), 0.9),)


class SkinInside:
    """A network that sees skin in the middle of a square crop, and background elsewhere."""

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> Sequence[NDArray[np.float32]]:
        batch, _, height, width = inputs["input"].shape
        probabilities = np.zeros((batch, 9, height, width), np.float32)
        skin = np.zeros((height, width), np.float32)
        if batch == 2:
            cv2.circle(skin, (width // 2, round(0.6 * height)), round(0.25 * width), 1.0, -1)
        probabilities[:, 2], probabilities[:, 0] = skin, 1 - skin
        return [probabilities]


def flickering_pipeline(settings: Settings | None = None) -> Pipeline:
    simple, segment = build(settings or Settings()), LightSegmenter(SkinInside(), crop_sides=(96,))
    return replace(simple, paint=flickering, detect_faces=face_at_red, segment_faces=segment)


def flickering_painter(settings: Settings | None = None, *, steady: bool = True) -> VideoPainter:
    return VideoPainter(flickering_pipeline(settings), STEADY if steady else FREE)


def shorten_parts(frames: int) -> None:
    """Make the parts of a video shorter, in this process."""
    parts.PART_FRAMES = frames


def peak_memory() -> int:
    """Return the most memory that this process had, in kilobytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def main() -> None:
    """Paint SOURCE into TARGET by parts of some frames, slowly if wanted, and print the peak of memory."""
    source, target, frames, pause = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    shorten_parts(frames)
    painter = flickering_painter()
    plan = run.plan_video(run.Order(source, target), painter)
    run.paint_video(plan, painter, lambda _done, _total: time.sleep(pause))
    sys.stdout.write(f"{peak_memory()}\n")


if __name__ == "__main__":
    main()
