"""Melt every face below a folder in several ways, and print how much each way shows and what is left of the person.

usage: python tools/compare_blending.py IMAGES [OUT.png]

One row for each way: the mean seam (1 is no more of a step than in the photo) in colour and in grain, the share of
faces whose seam shows clearly (above 1.15), and the mean likeness to the photo. OUT.png lays the faces side by side.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

import sfumato
from sfumato.edges import EDGES, Edge
from sfumato.io import PICTURE_SUFFIXES
from sfumato.types import Face, Image

CELL = 240
"""Side of a cell in pixels."""

PAINTS = (0.0, 0.15, 0.3, 0.45, 0.6)
NAMES = ("narrow", "narrow + neck", "wide", "wide + neck")


def ways() -> Mapping[str, tuple[float, tuple[Edge, ...]]]:
    """Return what is compared: by name, how much paint, and the edges to choose from."""
    by_edge = {f"{name} edge": (0.3, (edge,)) for name, edge in zip(NAMES, EDGES, strict=True)}
    return by_edge | {f"best edge, paint {paint:g}": (paint, EDGES) for paint in PAINTS}


def cell(image: Image, face: Face) -> Image:
    """Return the face and what is around it, as a square of `CELL` pixels."""
    x0, y0, x1, y1 = face.box
    side = round(1.6 * max(x1 - x0, y1 - y0))
    cut = cv2.getRectSubPix(image, (side, side), ((x0 + x1) / 2, (y0 + y1) / 2))
    method = cv2.INTER_AREA if side > CELL else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(cut, (CELL, CELL), interpolation=method), dtype=np.uint8)


def main() -> None:
    """Compare, print and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    arguments = parser.parse_args()
    paths = sorted(p for p in arguments.images.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES)
    columns = []
    for name, (paint, tried) in ways().items():
        pipeline = replace(sfumato.build_pipeline(sfumato.Settings(paint=paint)), edges=tried)
        seams, alike, shown = [], [], []
        for path in paths:
            result = pipeline.stylize(path)
            seams += [seam for seam in result.seams if seam is not None]
            alike += result.likeness
            shown += [cell(result.image, result.faces[k]) for k in result.kept]
        if not seams:
            raise SystemExit(f"no picture in {arguments.images} shows a face; name a folder of portraits")
        columns.append(np.vstack(shown))
        colour, grain = (np.mean([getattr(seam, part) for seam in seams]) for part in ("colour", "grain"))
        clear = np.mean([seam.score > 1.15 for seam in seams])
        likeness = np.mean(alike) if alike else np.nan
        print(f"{name:24} {colour:.3f} {grain:.3f} {clear:6.1%} {likeness:.3f}", flush=True)
    if arguments.out and not cv2.imwrite(str(arguments.out), np.hstack(columns)[..., ::-1]):
        raise SystemExit(f"{arguments.out} cannot be written")


if __name__ == "__main__":
    main()
