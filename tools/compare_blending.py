"""Melt every face below a folder in several ways, and print how much each way shows and what is left of the person.

usage: python tools/compare_blending.py IMAGES [OUT.png]

One row for each way: the mean seam (1 is no more of a step than in the photo) in colour and in grain, the share of
faces whose seam shows clearly (above 1.15), and the mean likeness to the photo. OUT.png lays the faces side by side.
"""

import sys
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
    half = 0.8 * max(x1 - x0, y1 - y0)
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    matrix = np.array([[1.0, 0, half - centre[0]], [0, 1, half - centre[1]]]) * (CELL / (2 * half))
    cut = cv2.warpAffine(image, matrix, (CELL, CELL), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, dtype=np.uint8)


def main() -> None:
    """Compare, print and draw."""
    paths = sorted(p for p in Path(sys.argv[1]).rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES)
    columns = []
    for name, (paint, tried) in ways().items():
        pipeline = replace(sfumato.build_pipeline(sfumato.Settings(paint=paint)), edges=tried)
        seams, alike, shown = [], [], []
        for path in paths:
            result = pipeline.stylize(path)
            seams += [seam for seam in result.seams if seam is not None]
            alike += result.likeness
            shown += [cell(result.image, result.faces[k]) for k in result.kept[:1]]
        columns.append(np.vstack(shown))
        colour, grain = (np.mean([getattr(seam, part) for seam in seams]) for part in ("colour", "grain"))
        clear = np.mean([seam.score > 1.15 for seam in seams])
        likeness = np.mean(alike) if alike else np.nan
        print(f"{name:24} {colour:.3f} {grain:.3f} {clear:6.1%} {likeness:.3f}", flush=True)
    if len(sys.argv) > 2:
        cv2.imwrite(sys.argv[2], np.hstack(columns)[..., ::-1])


if __name__ == "__main__":
    main()
