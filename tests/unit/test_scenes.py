"""Laws of the synthetic face scenes: geometry of labels, covering, looks."""

from math import cos, pi, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sfumato.stages.face_rows import mirror_rows
from sfumato.training.scene_layers import (
    NO_BOXES,
    NO_ROWS,
    Layer,
    SceneSources,
    sharpen_points,
    turned_more_often,
)
from sfumato.training.scene_looks import change_look
from sfumato.training.scene_occluders import occlude_face
from sfumato.training.scenes import (
    LARGEST,
    SMALLEST,
    Scene,
    draw_scene,
    lay,
    placement,
    row_size,
    settle,
    transform_boxes,
    transform_rows,
)

Rows = NDArray[np.float32]
seeds = st.integers(0, 2**32 - 1)


def row(x: float = 40, y: float = 30, width: float = 60, height: float = 80) -> Rows:
    """Return an upright face with its corner at (x, y)."""
    points = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]]) * [width, height] + [
        x,
        y,
    ]
    return np.array([x, y, x + width, y + height, *points.reshape(-1), 0.9], dtype=np.float32)


def sources() -> SceneSources:
    """Return a few layers of noise with one face each."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (140, 140, 3), dtype=np.uint8)
    alpha = np.zeros((140, 140), dtype=np.uint8)
    alpha[20:120, 30:110] = 255
    cut = Layer(image, alpha, row()[None], NO_BOXES)
    bare = Layer(image, None, NO_ROWS, np.array([[5, 5, 30, 30]], dtype=np.float32))
    wholes = [Layer(image, None, row()[None], NO_BOXES), bare]
    return SceneSources([cut], wholes, [image], turned_more_often(wholes))


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_a_drawn_scene_is_square_and_its_faces_are_of_learnable_size(seed: int) -> None:
    decoys = [Layer(np.full((30, 20, 3), 7, dtype=np.uint8), None, NO_ROWS, NO_BOXES)]
    scene = draw_scene(sources(), np.random.default_rng(seed), side=128, decoys=decoys)
    assert scene.image.shape == (128, 128, 3) and scene.image.dtype == np.uint8
    assert all(SMALLEST <= row_size(face) <= LARGEST for face in scene.rows)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_the_same_seed_draws_the_same_scene(seed: int) -> None:
    first, second = (draw_scene(sources(), np.random.default_rng(seed), side=96) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.rows, second.rows)


@given(st.floats(-pi, pi), st.floats(15, 200), st.floats(0, 256), st.floats(0, 256))
def test_a_placed_face_lands_at_its_centre(angle: float, size: float, x: float, y: float) -> None:
    placed = transform_rows(row()[None], placement(row(), (x, y), size, angle))[0]
    np.testing.assert_allclose((placed[:2] + placed[2:4]) / 2, [x, y], atol=1e-3)


@given(st.floats(-pi, pi), st.floats(20, 100), st.floats(20, 100))
def test_a_turned_box_is_the_tight_box_of_the_turned_ellipse(
    angle: float, width: float, height: float
) -> None:
    turn = np.array([[cos(angle), -sin(angle), 0.0], [sin(angle), cos(angle), 0.0]])
    box = transform_boxes(
        np.array([[-width / 2, -height / 2, width / 2, height / 2]], dtype=np.float32), turn
    )[0]
    t = np.linspace(0, 2 * pi, 3601)
    ellipse = np.stack([np.cos(t) * width / 2, np.sin(t) * height / 2])
    reach = np.abs(turn[:, :2] @ ellipse).max(axis=1)
    np.testing.assert_allclose(box, [*-reach, *reach], atol=1e-3)


def test_mirroring_twice_changes_nothing() -> None:
    rows = np.stack([row(), row(10, 5)])
    np.testing.assert_allclose(mirror_rows(mirror_rows(rows, 200), 200), rows, atol=1e-4)


def test_a_mirrored_face_keeps_its_left_eye_on_the_left() -> None:
    points = mirror_rows(row()[None], 200)[0, 4:14].reshape(5, 2)
    assert points[0, 0] < points[1, 0] and points[3, 0] < points[4, 0]


@pytest.mark.parametrize(("share", "kept", "ignored"), [(0.2, 1, 0), (0.6, 0, 1), (1.2, 0, 0)])
def test_a_covered_face_is_kept_ignored_or_gone(share: float, kept: int, ignored: int) -> None:
    ground = np.zeros((160, 160, 3), dtype=np.uint8)
    sheet = Layer(np.full((200, 200, 3), 9, dtype=np.uint8), None, NO_ROWS, NO_BOXES)
    edge = 30 + 80 * share
    down = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, edge - 200]])
    scene = lay(Scene(ground, row()[None]), sheet, down)
    assert (len(scene.rows), len(scene.ignored)) == (kept, ignored)


def test_a_transparent_layer_changes_no_pixel_under_it() -> None:
    ground = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    sheet = Layer(
        np.full((64, 64, 3), 9, dtype=np.uint8), np.zeros((64, 64), dtype=np.uint8), NO_ROWS, NO_BOXES
    )
    np.testing.assert_array_equal(lay(Scene(ground), sheet, np.eye(2, 3)).image, ground)


def test_faces_outside_go_and_faces_cut_by_the_border_are_ignored() -> None:
    ground = np.zeros((160, 160, 3), dtype=np.uint8)
    rows = np.stack([row(40, 30), row(130, 30), row(158, 30), row(0, 0, 8, 8)])
    scene = settle(Scene(ground, rows))
    np.testing.assert_array_equal(scene.rows, rows[:1])
    np.testing.assert_array_equal(scene.ignored, rows[[1, 3], :4])


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_a_look_keeps_shape_and_type(seed: int) -> None:
    image = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    changed = change_look(image, np.random.default_rng(seed))
    assert changed.shape == image.shape and changed.dtype == np.uint8


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_an_occluder_leaves_the_input_alone_and_the_far_ground_too(seed: int) -> None:
    image = np.full((300, 300, 3), 120, dtype=np.uint8)
    covered = occlude_face(image, row(120, 110), np.random.default_rng(seed))
    assert (image == 120).all()
    assert (covered[-40:, -40:] == 120).all()


def test_points_are_drawn_to_what_the_mask_shows_nearby() -> None:
    classes = np.zeros((160, 160), dtype=np.uint8)
    face = row(40, 30, 80, 100)
    x, y = (round(float(v)) for v in face[4:6])
    classes[y - 3 : y + 6, x - 5 : x + 8] = 5
    classes[20:30, 100:110] = 6
    sharpened = sharpen_points(face, classes, 1.0)
    np.testing.assert_allclose(sharpened[4:6], [x + 1, y + 1], atol=1e-3)
    np.testing.assert_array_equal(sharpened[6:], face[6:])
