"""Portraits of ellipses with their labels, and folders of them, for the tests of trainings and measurements."""

from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np

from sfumato.training.parsing_samples import Sample
from sfumato.types import MIRRORED_CLASSES, Labels


def portrait(seed: int, size: int = 128) -> Sample:
    """Draw a face of ellipses with its labels."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 90, (size, size, 3), dtype=np.uint8)
    labels = np.zeros((size, size), np.uint8)
    parts = [(1, 0.5, 0.55, 0.42, 0.45), (2, 0.5, 0.5, 0.25, 0.33), (3, 0.38, 0.38, 0.08, 0.02)]
    parts += [(4, 0.62, 0.38, 0.08, 0.02), (5, 0.38, 0.45, 0.06, 0.03), (6, 0.62, 0.45, 0.06, 0.03)]
    parts += [(7, 0.5, 0.7, 0.1, 0.05), (8, 0.5, 0.7, 0.06, 0.02)]
    for label, x, y, a, b in parts:
        centre, axes = (int(x * size), int(y * size)), (int(a * size), int(b * size))
        cv2.ellipse(labels, centre, axes, 0, 0, 360, label, -1)
        cv2.ellipse(image, centre, axes, 0, 0, 360, (25 * label, 255 - 25 * label, 120), -1)
    return Sample(image, labels)


def swap_sides(labels: Labels) -> Labels:
    """Return labels as an annotator leaves them who mixes up left and right."""
    return np.array(MIRRORED_CLASSES, dtype=np.uint8)[labels]


def write_dataset(root: Path, splits: tuple[str, ...] = ("train", "val"), count: int = 2) -> Path:
    """Write portraits in EasyPortrait's layout, as folders, with a meta.csv, and return the folder."""
    rows = ["image_name,user_id,height,width,set,brightness"]
    for place, split in enumerate(splits):
        for kind in ("images", "annotations"):
            (root / kind / split).mkdir(parents=True)
        for k in range(count):
            sample, name = portrait(10 * place + k), f"{split}{k}"
            cv2.imwrite(str(root / f"images/{split}/{name}.png"), sample.image[..., ::-1])
            cv2.imwrite(str(root / f"annotations/{split}/{name}.png"), sample.labels)
            rows.append(f"{name},user-{split}{k},128,128,{split},100")
    (root / "meta.csv").write_text("\n".join(rows) + "\n")
    return root


def write_surroundings(root: Path) -> Path:
    """Write people with masks, and photos without people, beside a data set; return the folder."""
    for name in ("people/images", "people/masks", "photos"):
        (root / name).mkdir(parents=True)
    for k in range(2):
        sample = portrait(k)
        cv2.imwrite(str(root / f"people/images/{k}.jpg"), sample.image[..., ::-1])
        cv2.imwrite(str(root / f"people/masks/{k}.png"), 255 * (sample.labels > 0).astype(np.uint8))
    cv2.imwrite(str(root / "photos/a.png"), np.full((80, 80, 3), 90, np.uint8))
    return root


def pack(root: Path, target: Path, *, inner_folder: bool) -> Path:
    """Pack a data set as it is published: images.zip and annotations.zip, the table as meta.zip within the latter."""
    target.mkdir()
    with ZipFile(target / "meta.zip", "w") as archive:
        archive.write(root / "meta.csv", "meta.csv")
    for kind in ("images", "annotations"):
        with ZipFile(target / f"{kind}.zip", "w") as archive:
            for path in sorted((root / kind).rglob("*.png")):
                archive.write(path, path.relative_to(root if inner_folder else root / kind))
            if kind == "annotations":
                archive.write(target / "meta.zip", "meta.zip")
    (target / "meta.zip").unlink()
    return target
