"""Laws and examples of the face detector's pure parts: levels, tiles, decoding, merging."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sfumato.backends import Tensor
from sfumato.geometry import transform_points
from sfumato.stages.detect import (
    GRID,
    STRIDES,
    TOP_SIDE,
    VIEW_SIDE,
    LightDetector,
    cut_tiles,
    plan_levels,
    to_input,
    view_affine,
)
from sfumato.stages.face_rows import (
    clip_rows,
    decode_map,
    encode_cell,
    face_angle,
    merge_rows,
    overlaps,
    rescale_rows,
    row_sizes,
)
from sfumato.types import Image

Rows = NDArray[np.float32]

shapes = st.tuples(st.integers(1, 9000), st.integers(1, 9000))


@st.composite
def rows(draw: st.DrawFn, most: int = 12) -> Rows:
    """Draw up to `most` rows of plausible faces with different scores."""
    count = draw(st.integers(0, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    corner, side = rng.uniform(0, 200, (count, 2)), rng.uniform(10, 80, (count, 2))
    points = corner[:, None] + side[:, None] * rng.uniform(0.2, 0.8, (count, 5, 2))
    scores = rng.permutation(np.linspace(0.3, 0.95, count))[:, None]
    return np.hstack([corner, corner + side, points.reshape(count, 10), scores]).astype(np.float32)


TEMPLATE = np.array([-9, -6, 9, -6, 0, 3, -7, 12, 7, 12], dtype=np.float32)
"""Points of a face of 48 pixels, relative to its middle."""


class DarkSquareNetwork:
    """See a face of 48 pixels wherever nine neighbouring cells of stride 16 are black."""

    def run(self, inputs: Mapping[str, Tensor]) -> Sequence[Tensor]:
        parts = [self._see(image) for image in inputs["input"].mean(axis=1)]
        return [np.concatenate([part[k] for part in parts]) for k in range(2)]

    def _see(self, image: NDArray[np.float32]) -> Sequence[Tensor]:
        maps = [
            np.zeros((1, 15, image.shape[0] // s, image.shape[1] // s), dtype=np.float32) for s in STRIDES
        ]
        around = np.pad(image[8::16, 8::16], 1, constant_values=1.0)
        lightest = sliding_window_view(around, (3, 3)).max(axis=(2, 3))
        maps[1][0, 0] = np.where(lightest < 0.1, 0.9, 0.0)
        maps[1][0, 3:5] = np.log(3)
        maps[1][0, 5:] = (TEMPLATE / 16)[:, None, None]
        return maps


scales = st.floats(0.5, 1.0)


@given(shapes, scales)
def test_levels_halve_until_the_last_is_small(shape: tuple[int, int], scale: float) -> None:
    levels = plan_levels(shape, scale)
    assert max(levels[-1].shape) <= TOP_SIDE
    for above, below in pairwise(levels):
        assert max(above.shape) > TOP_SIDE
        assert below.shape == ((above.shape[0] + 1) // 2, (above.shape[1] + 1) // 2)


@given(shapes, st.floats(10, 5000), scales)
def test_every_face_size_is_reported_by_some_level(shape: tuple[int, int], size: float, scale: float) -> None:
    levels = plan_levels(shape, scale)
    at = [size * level.shape[1] / shape[1] for level in levels]
    if max(shape) < 64 * min(shape):  # the rounding of a sliver's width would distort the scale
        longest = int(np.argmax(shape))
        at = [size * level.shape[longest] / max(shape) for level in levels]
    assert any(level.smallest <= s <= level.largest for level, s in zip(levels, at, strict=True))


@given(st.tuples(st.integers(1, 2600), st.integers(1, 2600)))
@settings(max_examples=25)
def test_tiles_report_every_pixel_once_and_read_inside_the_picture(shape: tuple[int, int]) -> None:
    count = np.zeros(shape, dtype=np.int32)
    for (y0, y1, x0, x1), (a0, a1, b0, b1) in cut_tiles(shape):
        count[y0:y1, x0:x1] += 1
        assert 0 <= a0 <= y0 < y1 <= a1 <= shape[0]
        assert 0 <= b0 <= x0 < x1 <= b1 <= shape[1]
    assert (count == 1).all()


@given(rows(most=1).filter(len), st.sampled_from(STRIDES), st.integers(0, 7), st.integers(0, 5))
def test_decoding_inverts_encoding(faces: Rows, stride: int, x: int, y: int) -> None:
    output = np.zeros((15, 6, 8), dtype=np.float32)
    output[:, y, x] = encode_cell(faces[0], stride, (x, y))
    decoded = decode_map(output, stride, 0.01)
    np.testing.assert_allclose(decoded, faces, atol=1e-3)  # float32 of exp(log(side)) at 200 pixels


@given(rows(), st.randoms(use_true_random=False))
def test_merging_does_not_depend_on_the_order(faces: Rows, random: Random) -> None:
    order = list(range(len(faces)))
    random.shuffle(order)
    np.testing.assert_array_equal(merge_rows(faces), merge_rows(faces[order]))


@given(rows())
def test_merging_keeps_the_best_score_and_leaves_no_two_alike(faces: Rows) -> None:
    merged = merge_rows(faces)
    assert len(merged) <= len(faces)
    assert (np.diff(merged[:, 14]) <= 0).all()
    if len(faces):
        assert merged[0, 14] == faces[:, 14].max()


@given(rows())
def test_merging_a_row_with_copies_of_itself_changes_nothing(faces: Rows) -> None:
    single = faces[:1]
    np.testing.assert_allclose(merge_rows(np.repeat(single, 3, axis=0)), single, rtol=1e-6)


def turned_face(angle: float) -> Rows:
    """Return a face of 48 pixels about (100, 80), turned clockwise by `angle` radians."""
    c, s = np.cos(angle), np.sin(angle)
    points = TEMPLATE.reshape(5, 2) @ np.array([[c, s], [-s, c]]) + [100, 80]
    return np.array([76, 56, 124, 104, *points.reshape(-1), 0.9], dtype=np.float32)


@given(st.floats(-3.1, 3.1))
def test_the_angle_of_a_turned_face_is_measured(angle: float) -> None:
    assert face_angle(turned_face(angle)) == pytest.approx(angle, abs=1e-4)


@given(st.floats(-3.1, 3.1))
def test_a_view_shows_the_face_upright_in_its_middle(angle: float) -> None:
    face = turned_face(angle)
    matrix = view_affine(face)
    middle, *points = transform_points(
        matrix, np.vstack([[[100, 80]], face[4:14].reshape(5, 2)]).astype(np.float32)
    )
    np.testing.assert_allclose(middle, (VIEW_SIDE - 1) / 2, atol=1e-3)
    assert points[0][1] == pytest.approx(points[1][1], abs=1e-3)
    assert points[0][0] < points[1][0]


@given(rows(most=6), st.integers(1, 300), st.integers(1, 300))
def test_clipped_boxes_lie_inside_the_picture(faces: Rows, height: int, width: int) -> None:
    clipped = clip_rows(faces, (height, width))
    assert (clipped[:, :4] >= 0).all()
    assert (clipped[:, [0, 2]] <= width - 1).all() and (clipped[:, [1, 3]] <= height - 1).all()
    np.testing.assert_array_equal(clipped[:, 4:], faces[:, 4:])


@given(rows(most=6))
def test_scaling_there_and_back_changes_nothing(faces: Rows) -> None:
    there = rescale_rows(faces, (200, 300), (100, 150))
    np.testing.assert_allclose(row_sizes(there), row_sizes(faces) / 2, rtol=1e-4)
    np.testing.assert_allclose(rescale_rows(there, (100, 150), (200, 300)), faces, atol=1e-3)


@given(st.integers(1, 70), st.integers(1, 70))
def test_the_input_is_filled_up_to_whole_cells(height: int, width: int) -> None:
    image = np.full((height, width, 3), 255, dtype=np.uint8)
    tensor = to_input(image)
    assert tensor.shape[2] % GRID == 0 and tensor.shape[3] % GRID == 0
    np.testing.assert_allclose(tensor[0, :, :height, :width], 1)
    assert tensor.sum() == pytest.approx(3 * (height * width + tensor[0, 0].size) / 2)


def test_overlap_of_known_boxes() -> None:
    faces = np.zeros((3, 15), dtype=np.float32)
    faces[:, :4] = [[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]]
    np.testing.assert_allclose(overlaps(faces[0], faces), [1, 1 / 3, 0])


def test_a_box_within_a_surer_face_is_a_part_of_it() -> None:
    faces = np.zeros((2, 15), dtype=np.float32)
    faces[:, :4] = [[0, 0, 100, 100], [40, 40, 60, 60]]
    faces[:, 14] = [0.9, 0.8]
    np.testing.assert_array_equal(merge_rows(faces), faces[:1])
    faces[:, 14] = [0.8, 0.9]
    assert len(merge_rows(faces)) == 2


def squares(height: int, width: int, *corners: tuple[int, int]) -> Image:
    """Return a white picture with black squares of 48 pixels at (x, y)."""
    image = np.full((height, width, 3), 255, dtype=np.uint8)
    for x, y in corners:
        image[y : y + 48, x : x + 48] = 0
    return image


def test_faces_are_found_across_tiles_once_and_in_place() -> None:
    corners = ((160, 320), (1008, 1008), (1600, 64))
    faces = LightDetector(DarkSquareNetwork(), first_scale=1.0)(squares(1200, 1700, *corners))
    expected = [(x - 0.5, y - 0.5, x + 47.5, y + 47.5) for x, y in corners]
    np.testing.assert_allclose(sorted(face.box for face in faces), expected, atol=1e-3)


def test_a_picture_without_faces_gives_none() -> None:
    assert LightDetector(DarkSquareNetwork())(squares(100, 90)) == ()


def test_nothing_scores_above_a_threshold_of_one() -> None:
    assert LightDetector(DarkSquareNetwork(), threshold=1.0)(squares(200, 200, (64, 64))) == ()


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (33, 2)])
def test_slivers_are_searched_without_complaint(shape: tuple[int, int]) -> None:
    assert LightDetector(DarkSquareNetwork())(squares(*shape)) == ()
