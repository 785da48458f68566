"""The detection metric against brute force and cases made by hand."""

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage

from sfumato.evaluation.detection import (
    Rule,
    evaluate_folder,
    is_frontal,
    landmark_error,
    match_faces,
    overlap_matrix,
    pair_faces,
    sum_matches,
)
from sfumato.types import Face, Image


def face(x: float, y: float, side: float = 80, score: float = 0.9) -> Face:
    """Return an upright face with its corner at (x, y)."""
    a, b, c, d, e = (
        (x + u * side, y + v * side)
        for u, v in ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
    )
    return Face((x, y, x + side, y + side), (a, b, c, d, e), score)


faces = st.lists(
    st.builds(face, st.floats(0, 100), st.floats(0, 100), st.floats(50, 90), st.floats(0.4, 1)), max_size=4
)


def most_pairs(references: list[Face], detections: list[Face], overlap: float) -> int:
    """Count the pairs of the best assignment by trying all."""
    if len(references) > len(detections):
        references, detections = detections, references
    good = overlap_matrix(references, detections) >= overlap
    trials = permutations(range(len(detections)), len(references))
    return max((sum(bool(good[r, c]) for r, c in enumerate(trial)) for trial in trials), default=0)


@given(faces, faces, st.floats(0.1, 0.9))
@settings(max_examples=60)
def test_as_many_faces_are_paired_as_any_assignment_can(a: list[Face], b: list[Face], overlap: float) -> None:
    assert len(pair_faces(a, b, overlap)) == most_pairs(a, b, overlap)


@given(faces)
def test_a_detector_that_repeats_the_reference_is_perfect(found: list[Face]) -> None:
    scores = sum_matches([match_faces(found, found)])
    assert scores.recall == scores.precision == 1
    assert all(error == 0 for error in scores.landmark_errors)


@given(faces, faces)
def test_due_faces_are_found_or_missed_and_never_both(references: list[Face], detections: list[Face]) -> None:
    rule = Rule()
    match = match_faces(references, detections, rule)
    assert len(match.pairs) + len(match.missed) == sum(rule.counts(reference) for reference in references)
    assert len(match.pairs) + len(match.false) <= len(detections)


def test_a_missed_and_an_invented_face_are_counted() -> None:
    match = match_faces([face(0, 0), face(200, 0)], [face(2, 3), face(0, 300)])
    assert match.missed == (face(200, 0),)
    assert match.false == (face(0, 300),)


def test_a_second_box_on_one_face_is_a_false_alarm() -> None:
    assert len(match_faces([face(0, 0)], [face(0, 0), face(4, 4)]).false) == 1


@pytest.mark.parametrize("doubtful", [face(0, 0, score=0.5), face(0, 0, side=60)])
def test_finding_a_doubtful_or_small_face_is_neither_right_nor_wrong(doubtful: Face) -> None:
    match = match_faces([doubtful], [face(0, 0, side=70)])
    assert not (match.pairs or match.missed or match.false)


def test_small_or_unsure_detections_are_no_false_alarms() -> None:
    assert match_faces([], [face(0, 0, side=63), face(300, 0, score=0.59)]).false == ()


def test_a_slightly_small_detection_still_finds_a_due_face() -> None:
    assert len(match_faces([face(0, 0, side=66)], [face(1, 1, side=62)]).pairs) == 1


@given(st.floats(-0.4, 0.4), st.floats(-40, 40))
def test_a_face_is_frontal_by_its_nose_however_it_is_turned(beside: float, degrees: float) -> None:
    assume(abs(abs(beside) - 0.15) > 0.01)
    upright = np.array([[-20, 0], [20, 0], [40 * beside, 22], [-15, 40], [15, 40]], dtype=np.float64)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    points = upright @ np.array([[c, s], [-s, c]]) + 100
    turned = Face((60, 60, 140, 160), tuple((float(x), float(y)) for x, y in points), 0.9)  # type: ignore[arg-type]  # five
    assert is_frontal(turned) == (abs(beside) < 0.15)


def test_landmark_error_is_measured_in_eye_distances() -> None:
    true, moved = face(0, 0, side=100), face(0, 4, side=100)
    assert landmark_error(true, moved) == pytest.approx(4 / 40)


def test_a_folder_is_measured_without_what_is_left_out(tmp_path: Path) -> None:
    reference = {}
    for name, level in (("good/a.png", 10), ("good/b.png", 200), ("paintings/c.png", 10)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        PilImage.new("RGB", (120, 100), (level,) * 3).save(tmp_path / name)
        dark = [{"box": face(5, 5).box, "landmarks": face(5, 5).landmarks, "score": 0.9}]
        reference[name] = dark
    (tmp_path / "faces.json").write_text(json.dumps(reference), encoding="utf-8")

    def find_in_dark(image: Image) -> tuple[Face, ...]:
        return (face(5, 5),) if np.mean(image) < 100 else ()

    scores, matches = evaluate_folder(find_in_dark, tmp_path, leave_out=("paintings",))
    assert set(matches) == {"good/a.png", "good/b.png"}
    assert (scores.recall, scores.precision) == (0.5, 1.0)
