"""Tell groups of portraits apart - pose, size, skin tone, glasses, hat - so that each is measured; pure."""

from collections.abc import Mapping, Sequence
from math import atan2, degrees
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.training.parsing_samples import Sample
from sfumato.types import FACE_CLASSES, Face, Image, Labels

SKIN = 2
GLASSES, HAT = 3, 14
"""Ids of CelebAMask-HQ's own 19 classes."""

LEAST_SHARE = 0.002
"""Part of the picture that glasses or a hat cover at least."""

TONES: Sequence[tuple[float, str]] = ((41.0, "light"), (28.0, "intermediate"), (10.0, "tan"), (-90.0, "dark"))
"""Lower ends of the individual typology angle in degrees (Chardon et al., 1991; very light counts as light, and brown
as dark)."""


def find_groups(
    sample: Sample, faces: Sequence[Face], details: NDArray[np.uint8] | None
) -> Mapping[str, str]:
    """Return the group of a portrait in each respect that can be told.

    Args:
        faces: found in it; the largest tells the pose.
        details: its mask in CelebAMask-HQ's 19 classes, or None.
    """
    groups = {"face size": size_of(sample.labels), "skin tone": tone_of(sample.image, sample.labels)}
    groups["pose"] = pose_of(max(faces, key=lambda face: face.size)) if faces else "no face found"
    if details is not None:
        for name, label in (("glasses", GLASSES), ("hat", HAT)):
            groups[name] = "yes" if (details == label).mean() >= LEAST_SHARE else "no"
    return groups


def pose_of(face: Face) -> str:
    """Return how far a head is turned aside: how far the nose lies from the middle of the eyes, along their line.

    >>> pose_of(Face((0, 0, 9, 9), ((30, 30), (70, 30), (65, 50), (35, 70), (65, 70)), 1.0))
    'turned'
    """
    left, right, nose = face.points[:3].astype(np.float64)
    along = right - left
    distance = float(np.linalg.norm(along))
    aside = abs(float((nose - (left + right) / 2) @ along)) / distance**2 if distance else 1.0
    return "frontal" if aside < 0.15 else "turned" if aside < 0.4 else "profile"


def size_of(labels: Labels) -> str:
    """Return how much of the picture is face: small below 5 %, large from 20 %."""
    share = float(np.isin(labels, FACE_CLASSES).mean())
    return "small" if share < 0.05 else "medium" if share < 0.2 else "large"


def tone_of(image: Image, labels: Labels) -> str:
    """Return the bucket of the skin's median individual typology angle, atan((L* - 50) / b*).

    Chardon et al., "Skin colour typology and suntanning pathways", 1991. It is the tone as photographed: light and
    white balance move it.
    """
    skin = labels == SKIN
    if not skin.any():
        return "unknown"
    levels = (image[skin][None] / np.float32(255)).astype(np.float32)
    lightness, _, yellow = np.median(cv2.cvtColor(levels, cv2.COLOR_RGB2LAB)[0], axis=0)
    angle = degrees(atan2(float(lightness) - 50, max(float(yellow), 1e-6)))
    return next(name for least, name in TONES if angle >= least)


def read_details(root: Path, split: str, name: str) -> NDArray[np.uint8] | None:
    """Return a portrait's mask in CelebAMask-HQ's 19 classes from ROOT/masks19/SPLIT, or None where there is none."""
    path = root / "masks19" / split / f"{name}.png"
    if not path.is_file():
        return None
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    return None if mask is None else np.asarray(mask, dtype=np.uint8)
