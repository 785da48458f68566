"""Examples of the groups of portraits, each of which can be told by hand."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.color import rgb2lab

from sfumato.evaluation.groups import find_groups, pose_of, read_details, size_of, tone_of
from sfumato.types import Face
from tests.unit.portraits import portrait


def face(nose: float, width: float = 40) -> Face:
    return Face((0, 0, 100, 100), ((30, 30), (30 + width, 30), (nose, 50), (35, 70), (65, 70)), 1.0)


@pytest.mark.parametrize(
    ("nose", "pose"), [(50, "frontal"), (53, "frontal"), (60, "turned"), (40, "turned"), (72, "profile")]
)
def test_the_pose_is_told_by_the_nose(nose: float, pose: str) -> None:
    assert pose_of(face(nose)) == pose


def test_eyes_at_one_place_are_a_profile() -> None:
    assert pose_of(face(50, width=0)) == "profile"


@pytest.mark.parametrize(("rows", "size"), [(4, "small"), (10, "medium"), (30, "large")])
def test_the_size_is_the_share_of_the_picture(rows: int, size: str) -> None:
    labels = np.zeros((100, 100), np.uint8)
    labels[:rows] = 2
    assert size_of(labels) == size


@pytest.mark.parametrize(
    ("colour", "tone"),
    [
        ((245, 225, 205), "light"),
        ((190, 145, 110), "intermediate"),
        ((170, 125, 90), "tan"),
        ((90, 60, 45), "dark"),
    ],
)
def test_the_skin_tone_is_the_typology_angle(colour: tuple[int, int, int], tone: str) -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[:] = colour
    labels = np.full((8, 8), 2, np.uint8)
    assert tone_of(image, labels) == tone
    lightness, _, yellow = rgb2lab(image)[0, 0]
    angle = np.degrees(np.arctan2(lightness - 50, yellow))
    least = {"light": 41, "intermediate": 28, "tan": 10, "dark": -90}[tone]
    assert angle >= least


def test_no_skin_has_no_tone() -> None:
    assert tone_of(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8)) == "unknown"


def test_glasses_and_hats_come_from_the_finer_masks() -> None:
    details = np.zeros((128, 128), np.uint8)
    details[40:50, 30:90] = 3
    groups = find_groups(portrait(0), [face(50)], details)
    assert groups["glasses"] == "yes"
    assert groups["hat"] == "no"
    assert "glasses" not in find_groups(portrait(0), [], None)
    assert find_groups(portrait(0), [], None)["pose"] == "no face found"


def test_finer_masks_are_read_where_there_are_any(tmp_path: Path) -> None:
    (tmp_path / "masks19" / "val").mkdir(parents=True)
    details = np.full((4, 4), 14, np.uint8)
    cv2.imwrite(str(tmp_path / "masks19/val/a.png"), details)
    (tmp_path / "masks19/val/b.png").write_bytes(b"no picture")
    read = read_details(tmp_path, "val", "a")
    assert read is not None
    assert np.array_equal(read, details)
    assert read_details(tmp_path, "val", "b") is None
    assert read_details(tmp_path, "val", "c") is None
