"""Laws of fits, crops and tiles, and a check against scikit-image."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from skimage.transform import SimilarityTransform

from sfumato.geometry import (
    FFHQ_TEMPLATE,
    affine_scale,
    align,
    clip_box,
    compose,
    crop_bounds,
    face_affine,
    fit_similarity,
    invert_affine,
    scale_affine,
    tiles,
    transform_points,
    unalign,
)
from sfumato.types import Affine, FloatImage

similarities = st.builds(
    lambda scale, turn, x, y: np.array(
        [[scale * np.cos(turn), -scale * np.sin(turn), x], [scale * np.sin(turn), scale * np.cos(turn), y]]
    ),
    st.floats(0.2, 5),
    st.floats(-3, 3),
    st.floats(-300, 300),
    st.floats(-300, 300),
)


@given(similarities)
def test_a_similarity_is_recovered_from_points_that_it_moved(matrix: Affine) -> None:
    fitted = fit_similarity(FFHQ_TEMPLATE, transform_points(matrix, FFHQ_TEMPLATE))
    np.testing.assert_allclose(fitted, matrix, atol=2e-3)  # float32 points of some hundred pixels


@given(arrays(np.float32, (5, 2), elements=st.floats(0, 500, width=32)))
def test_the_fit_equals_scikit_image(points: NDArray[np.float32]) -> None:
    if np.linalg.matrix_rank(points - points.mean(axis=0), tol=1.0) < 2:
        return
    theirs = SimilarityTransform.from_estimate(points, FFHQ_TEMPLATE)
    assert theirs
    if np.linalg.det(theirs.params[:2, :2]) <= 1e-4:
        return
    np.testing.assert_allclose(fit_similarity(points, FFHQ_TEMPLATE), theirs.params[:2], rtol=1e-2, atol=0.05)


def test_equal_points_have_no_similarity() -> None:
    with pytest.raises(ValueError, match="all source points are the same"):
        fit_similarity(np.ones((5, 2), np.float32), FFHQ_TEMPLATE)


@given(similarities)
def test_a_matrix_followed_by_its_inverse_changes_nothing(matrix: Affine) -> None:
    np.testing.assert_allclose(compose(invert_affine(matrix), matrix), np.eye(2, 3), atol=1e-6)


@given(similarities, st.floats(0.1, 4))
def test_scaling_keeps_pixel_edges(matrix: Affine, scale: float) -> None:
    corner = transform_points(invert_affine(matrix), np.array([[-0.5, -0.5]], np.float32))
    np.testing.assert_allclose(
        transform_points(scale_affine(matrix, scale), corner), [[-0.5, -0.5]], atol=2e-2
    )
    assert affine_scale(scale_affine(matrix, scale)) == pytest.approx(scale * affine_scale(matrix))


@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(8, 120),
    st.integers(0, 50),
)
def test_inner_tiles_cover_each_pixel_once(height: int, width: int, core: int, margin: int) -> None:
    count = np.zeros((height, width), np.uint8)
    for tile in tiles((height, width), core=core, margin=margin):
        y0, y1, x0, x1 = tile.inner
        count[y0:y1, x0:x1] += 1
        assert tile.outer == (y0 - margin, y1 + margin, x0 - margin, x1 + margin)
        assert max(y1 - y0, x1 - x0) <= core
    assert (count == 1).all()


@given(
    st.tuples(*[st.floats(-50, 150)] * 4),
    st.integers(1, 100),
    st.integers(1, 100),
)
def test_a_clipped_box_is_never_empty(
    box: tuple[float, float, float, float], height: int, width: int
) -> None:
    x0, y0, x1, y1 = clip_box(box, (height, width))
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height


def waves(height: int, width: int) -> FloatImage:
    """Return a smooth picture in which a shift of a tenth of a pixel shows."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack(
        [128 + 90 * np.sin(x / 9), 128 + 90 * np.cos(y / 7), 128 + 60 * np.sin((x + y) / 11)], axis=-1
    )


@pytest.mark.parametrize("turn", [0.0, 0.3, -0.7])
@pytest.mark.parametrize("scale", [0.8, 1.0, 2.5])
def test_laying_a_crop_back_meets_the_picture_without_a_shift(turn: float, scale: float) -> None:
    picture = waves(300, 320)
    image = np.rint(picture).astype(np.uint8)
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    linear = np.array([[c, -s], [s, c]])
    matrix = np.column_stack([linear, np.array([127.5, 127.5]) - linear @ [160.0, 150.0]])
    crop = align(image, matrix, 256)
    x0, y0, x1, y1 = clip_box(crop_bounds(matrix, 256, margin=-12), image.shape)
    back = unalign(crop.astype(np.float32), matrix, (x0, y0, x1, y1))
    inside = unalign(np.ones((256, 256), np.float32), matrix, (x0, y0, x1, y1)) > 0.999
    difference = np.abs(back - picture[y0:y1, x0:x1])[inside]
    assert difference.mean() < 1.5  # a shift of 0.1 px alone would be 0.6 of the steepest wave
    assert np.abs((back - picture[y0:y1, x0:x1])[inside].mean()) < 0.2


def test_landmarks_on_the_template_give_the_identity() -> None:
    np.testing.assert_allclose(face_affine(FFHQ_TEMPLATE), np.eye(2, 3), atol=1e-4)


def test_a_shrinking_crop_averages_instead_of_aliasing() -> None:
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = align(stripes, np.array([[0.125, 0, 0], [0, 0.125, 0]]), 50)
    assert np.abs(crop[5:-5, 5:-5].astype(int) - 127).max() <= 3
