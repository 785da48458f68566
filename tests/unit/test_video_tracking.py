"""Faces are followed without lag, without trembling, and through frames in which they are not found."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sfumato.types import Box, Face, Points
from sfumato.video.tracking import (
    PATIENCE,
    Carry,
    Landmarks,
    Track,
    as_landmarks,
    carry_face,
    correct,
    follow,
    keep_largest,
    landmark_distance,
    match_faces,
)
from tests.simple import FACE

places = st.tuples(st.floats(-300, 300), st.floats(-300, 300))


def shifted(face: Face, x: float, y: float, scale: float = 1.0) -> Face:
    points = face.points * np.float32(scale) + np.array([x, y], np.float32)
    x0, y0, x1, y1 = (scale * side for side in face.box)
    box: Box = (x0 + x, y0 + y, x1 + x, y1 + y)
    return Face(box, as_landmarks(points), face.score)


def moving(x: float, y: float, scale: float = 1.0) -> Carry:
    """Return a motion of the whole picture."""

    def carry(points: Points) -> tuple[Points, NDArray[np.float32]]:
        there = points * np.float32(scale) + np.array([x, y], np.float32)
        return there.astype(np.float32), np.ones(len(points), np.float32)

    return carry


def trembling(face: Face, seed: int, amount: float = 1.0) -> Face:
    noise = np.random.default_rng(seed).normal(0, amount, (5, 2))
    return replace(face, landmarks=as_landmarks(face.points + noise))


STILL = moving(0, 0)


@given(places)
def test_a_face_that_is_carried_right_never_lags(step: tuple[float, float]) -> None:
    tracks: tuple[Track, ...] = (Track(0, FACE),)
    for k in range(1, 5):
        there = shifted(FACE, k * step[0], k * step[1])
        tracks = follow(tracks, (there,), moving(*step))
    assert len(tracks) == 1
    assert np.abs(tracks[0].face.points - there.points).max() < 0.05


@given(st.floats(0.9, 1.1), places)
def test_a_motion_carries_box_and_landmarks_alike(scale: float, step: tuple[float, float]) -> None:
    moved = carry_face(FACE, moving(*step, scale))
    expected = shifted(FACE, *step, scale)
    assert moved.points == pytest.approx(expected.points, abs=0.02)
    assert moved.box == pytest.approx(expected.box, abs=0.02)


def test_a_still_face_trembles_less_than_the_detector() -> None:
    tracks: tuple[Track, ...] = (Track(0, FACE),)
    found, held = [], []
    for seed in range(60):
        face = trembling(FACE, seed, 0.8)
        tracks = follow(tracks, (face,), STILL)
        found.append(face.points)
        held.append(tracks[0].face.points)
    assert np.std(held[10:], axis=0).mean() < 0.5 * np.std(found, axis=0).mean()


@given(st.floats(0.2, 0.4))
def test_a_jump_that_the_motion_missed_is_followed_at_once(jump: float) -> None:
    there = shifted(FACE, jump * FACE.size, 0)
    (track,) = follow((Track(0, FACE),), (there,), STILL)
    assert landmark_distance(track.face, there) < 0.01


@given(st.floats(0, 0.45))
def test_a_correction_lies_between_what_was_expected_and_found(jump: float) -> None:
    there = shifted(FACE, jump * FACE.size, 0)
    corrected = correct(FACE, there)
    before, after = landmark_distance(FACE, corrected), landmark_distance(corrected, there)
    assert before + after == pytest.approx(landmark_distance(FACE, there), abs=1e-3)


@given(st.permutations(range(4)))
def test_faces_are_matched_by_place_whatever_their_order(order: list[int]) -> None:
    faces = [shifted(FACE, 100 * k, 10 * k) for k in range(4)]
    found = [trembling(faces[k], k) for k in order]
    matched = match_faces(faces, found)
    assert {i: order[j] for i, j in matched.items()} == {k: k for k in range(4)}


def test_nobody_is_taken_for_two() -> None:
    near = shifted(FACE, 3, 0)
    assert match_faces((FACE, near), (near,)) == {1: 0}


def test_a_face_that_is_missed_is_carried_on_for_a_while_only() -> None:
    tracks: tuple[Track, ...] = (Track(0, FACE),)
    for k in range(PATIENCE):
        tracks = follow(tracks, (), moving(2, 0))
        assert tracks[0].face.points[0, 0] == pytest.approx(FACE.points[0, 0] + 2 * (k + 1), abs=0.05)
    assert follow(tracks, (), STILL) == ()


def test_a_face_that_comes_back_keeps_its_track() -> None:
    (track,) = follow((Track(7, FACE, tint=(1.0, 2.0, 3.0)),), (), STILL)
    (again,) = follow((track,), (FACE,), STILL)
    assert (again.number, again.missed, again.tint) == (7, 0, (1.0, 2.0, 3.0))


def test_where_nobody_looked_no_face_is_missed() -> None:
    (track,) = follow((Track(0, FACE),), None, moving(4, 0))
    assert track.missed == 0 and track.face.points == pytest.approx(shifted(FACE, 4, 0).points, abs=0.01)


def test_a_doubtful_face_counts_once_it_is_found_twice() -> None:
    doubtful = replace(FACE, score=0.62)
    (track,) = follow((), (doubtful,), STILL)
    assert not track.certain
    assert follow((track,), (), STILL) == ()
    assert follow((track,), (doubtful,), STILL)[0].certain


def test_what_cannot_be_followed_stays_where_it_is() -> None:
    def lost(points: Points) -> tuple[Points, NDArray[np.float32]]:
        return points + 50, np.zeros(len(points), np.float32)

    assert carry_face(FACE, lost).points == pytest.approx(FACE.points)


def test_a_part_that_moves_its_own_way_does_not_turn_the_face() -> None:
    def carry(points: Points) -> tuple[Points, NDArray[np.float32]]:
        hand = points[:, 1] > 60
        return points + np.where(hand[:, None], 20, 2).astype(np.float32), np.ones(len(points), np.float32)

    assert carry_face(FACE, carry).points == pytest.approx(FACE.points + 2, abs=0.1)


def test_the_largest_face_stays_until_another_is_clearly_larger() -> None:
    one = Track(0, FACE)
    slightly, clearly = (Track(1, shifted(FACE, 200, 0, scale)) for scale in (1.1, 1.4))
    assert keep_largest((one, slightly), 0) == 0
    assert keep_largest((one, clearly), 0) == 1
    assert keep_largest((slightly,), 0) == 1
    assert keep_largest((), 0) is None


def test_landmarks_are_five_points() -> None:
    marks: Landmarks = as_landmarks(FACE.points)
    assert marks == FACE.landmarks
