"""A whole run of the detector's training: labels, steps, model and card; what an older run in its folder means."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from sfumato.errors import InputError, ModelError
from sfumato.registry import find_embedded, model_path
from sfumato.stages.face_rows import row_to_face
from sfumato.training.detector import DetectorOptions, label_pictures, teachers_of, train_detector
from sfumato.training.face_labels import LabelledFace, write_labels
from sfumato.training.loop import Schedule
from sfumato.training.scene_layers import SceneFolders, load_sources
from tests.unit.portraits import portrait, write_dataset

FACE = LabelledFace(
    row_to_face(np.array([30, 20, 98, 110, 49, 58, 79, 58, 64, 72, 52, 90, 76, 90, 0.95], np.float32)), 6
)


@pytest.fixture
def options(tmp_path: Path) -> DetectorOptions:
    """Return a training of two steps on portraits of ellipses, with teachers that are never run."""
    root = write_dataset(tmp_path / "set", ("train",), count=3)
    for name in ("people", "views"):
        (tmp_path / name).mkdir()
        for k in range(3):
            picture = portrait(k).image if name == "people" else np.full((90, 120, 3), 60 * k, np.uint8)
            cv2.imwrite(str(tmp_path / name / f"{k}.png"), picture[..., ::-1])
    for teacher in ("yunet.onnx", "scrfd.onnx"):
        (tmp_path / teacher).write_bytes(teacher.encode())
    folders = SceneFolders(root, (tmp_path / "people",), (tmp_path / "views",), held_out=3)
    return DetectorOptions(
        folders, tmp_path / "yunet.onnx", tmp_path / "scrfd.onnx", batch=2, schedule=Schedule(steps=2)
    )


def label(options: DetectorOptions, run: Path) -> None:
    """Write the labels that the teachers would give, where the run looks for theirs."""
    pictures = [*options.folders.parsed.glob("images/train/*"), *options.folders.people[0].iterdir()]
    with pytest.raises(ModelError, match=r"yunet\.onnx is damaged"):
        label_pictures(options, run)  # no labels of these teachers yet
    write_labels({str(path): [FACE] for path in pictures}, run / f"labels-{teachers_of(options)}.json")


def test_a_run_leaves_a_model_and_a_card_that_says_where_it_came_from(
    options: DetectorOptions, tmp_path: Path
) -> None:
    start = model_path(find_embedded("detector"))
    chosen = replace(options, start=start, rate=1e-4)
    label(chosen, tmp_path / "run")
    path = train_detector(chosen, tmp_path / "run", lambda _: None)
    card = path.with_suffix(".md").read_text()
    for words in (
        "sfumato train detector --portraits set --people ",
        "--yunet yunet.onnx --scrfd scrfd.onnx --start detector-light.onnx --learning-rate 0.0001",
        "--steps 2 --seed 0",
        "points settled by scrfd.onnx",
        f"started from {start.name}, sha256",
        "non-commercial, as the licence of SCRFD's weights asks",
        "against the points trained on (SCRFD's)",
    ):
        assert words in card
    with pytest.raises(InputError, match=r"holds a run that started from .*detector-light\.onnx"):
        train_detector(options, tmp_path / "run", lambda _: None)


def test_labels_of_other_teachers_are_not_taken_for_ours(options: DetectorOptions, tmp_path: Path) -> None:
    label(options, tmp_path / "run")
    assert set(label_pictures(options, tmp_path / "run")) >= {
        str(p) for p in options.folders.people[0].iterdir()
    }
    with pytest.raises(ModelError, match=r"yunet\.onnx is damaged"):
        label_pictures(replace(options, scrfd=None), tmp_path / "run")


def test_points_are_taken_from_the_masks_only_where_no_better_ones_are_known(
    options: DetectorOptions, tmp_path: Path
) -> None:
    label(options, tmp_path / "run")
    labels = label_pictures(options, tmp_path / "run")
    given, sharpened = (load_sources(options.folders, labels, sharpen=sharpen) for sharpen in (False, True))
    np.testing.assert_allclose(given.cuts[0].rows[0, 4:14].reshape(5, 2), FACE.face.points)
    assert np.abs(sharpened.cuts[0].rows - given.cuts[0].rows).max() > 0.2
