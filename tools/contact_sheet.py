"""Paint every picture below a folder and lay original with boxes, mask, painting and result side by side.

usage: python tools/contact_sheet.py IMAGES OUT.png [--paint X] [--restore X] [--preserve NAME]

Prints a row for each folder of pictures: pictures, faces found, median share of the picture that is kept, and
median restoration of the kept faces.
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

import sfumato
from sfumato.io import PICTURE_SUFFIXES, Picture, write_picture
from sfumato.types import Face, Image

CELL, ROWS = 320, 13
"""Side of a cell in pixels, and pictures in a column of the sheet."""


def fit(image: Image) -> Image:
    """Return the picture in the corner of a square cell."""
    scale = CELL / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    cell = np.full((CELL, CELL, 3), 40, np.uint8)
    cell[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cell


def boxed(image: Image, faces: Sequence[Face]) -> Image:
    """Return the picture with a green box and dots on each face."""
    drawn = image.copy()
    width = max(1, max(image.shape[:2]) // 200)
    for face in faces:
        x0, y0, x1, y1 = (round(v) for v in face.box)
        cv2.rectangle(drawn, (x0, y0), (x1, y1), (0, 220, 0), width)
        for x, y in face.landmarks:
            cv2.circle(drawn, (round(x), round(y)), width, (255, 60, 60), -1)
    return drawn


def row_of(result: sfumato.Result) -> Image:
    """Return original, mask, painting and result side by side."""
    layers = result.layers
    shown = (boxed(layers["original"], result.faces), layers["mask"], layers["painted"], layers["result"])
    return np.hstack([fit(image) for image in shown])


def lay_out(rows: Sequence[Image]) -> Image:
    """Return the rows in columns of `ROWS`."""
    blank = np.full_like(rows[0], 40)
    padded = [*rows, *[blank] * (-len(rows) % ROWS)]
    return np.hstack([np.vstack(padded[k : k + ROWS]) for k in range(0, len(padded), ROWS)])


def describe(folder: str, results: Sequence[sfumato.Result]) -> str:
    """Return one line of the table."""
    faces = sum(len(r.faces) for r in results)
    kept = [float(r.mask.mean()) for r in results if r.faces]
    weights = [w.weight for r in results for w in r.restorations]
    middle = (f"{100 * statistics.median(v):.1f} %" if v else "-" for v in (kept, weights))
    return f"| {folder} | {len(results)} | {faces} | {' | '.join(middle)} |"


def main() -> None:
    """Paint, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--paint", type=float, default=0.3)
    parser.add_argument("--restore", type=float, default=0.7)
    parser.add_argument("--preserve", default="face")
    arguments = parser.parse_args()
    settings = sfumato.Settings(paint=arguments.paint, restore=arguments.restore, preserve=arguments.preserve)
    pipeline = sfumato.build_pipeline(settings)
    rows: list[Image] = []
    for folder in sorted(
        {p.parent for p in arguments.images.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES}
    ):
        pictures = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
        results = [pipeline.stylize(p, layers=True) for p in pictures]
        rows += [row_of(result) for result in results]
        print(describe(folder.name, results), flush=True)
    write_picture(Picture(lay_out(rows)), arguments.out, overwrite=True)


if __name__ == "__main__":
    main()
