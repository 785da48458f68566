"""Lay two pictures of the same size side by side.

Usage: python examples/before_after.py before.jpg after.jpg both.jpg
"""

import sys
from pathlib import Path

from PIL import Image, ImageOps

GAP = 12


def lay_side_by_side(before: Path, after: Path, target: Path) -> None:
    """Write `before` at the left and `after` at the right of a white strip to `target`."""
    pictures = [ImageOps.exif_transpose(Image.open(path)).convert("RGB") for path in (before, after)]
    width, height = pictures[0].size
    both = Image.new("RGB", (2 * width + GAP, height), "white")
    both.paste(pictures[0], (0, 0))
    both.paste(pictures[1].resize((width, height)), (width + GAP, 0))
    both.save(target, quality=92)


if __name__ == "__main__":
    lay_side_by_side(*(Path(name) for name in sys.argv[1:4]))
