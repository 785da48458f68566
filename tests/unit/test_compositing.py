"""Laws of masks and blending."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sfumato.compositing import feather_mask, lay_over, melt, paint_weights, refine_mask
from sfumato.types import Image, Mask

sides = st.integers(20, 90)
seeds = st.integers(0, 2**31)


def picture(seed: int, height: int, width: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(seeds, sides, sides)
def test_laying_over_is_exact_at_zero_and_one(seed: int, height: int, width: int) -> None:
    base, top = picture(seed, height, width), picture(seed + 1, height, width)
    mask = np.random.default_rng(seed).integers(0, 2, (height, width)).astype(np.float32)
    laid = lay_over(base, top, mask)
    np.testing.assert_array_equal(laid[mask == 0], base[mask == 0])
    np.testing.assert_array_equal(laid[mask == 1], top[mask == 1])


@given(seeds, arrays(np.float32, (30, 40), elements=st.floats(0, 1, width=32)))
def test_laid_pixels_lie_between_their_sources(seed: int, mask: Mask) -> None:
    base, top = picture(seed, 30, 40), picture(seed + 1, 30, 40)
    laid = lay_over(base, top, mask)
    assert (laid >= np.minimum(base, top)).all()
    assert (laid <= np.maximum(base, top)).all()


@given(seeds, sides, sides, st.floats(0, 1), st.floats(10, 200))
@settings(max_examples=40)
def test_melting_leaves_the_painting_where_the_mask_is_zero(
    seed: int, height: int, width: int, paint: float, extent: float
) -> None:
    painted, photo = picture(seed, height, width), picture(seed + 1, height, width)
    mask = (np.random.default_rng(seed).random((height, width)) < 0.3).astype(np.float32)
    melted = melt(painted, photo, mask, paint=paint, extent=extent)
    np.testing.assert_array_equal(melted[mask == 0], painted[mask == 0])


@given(seeds, sides, sides)
@settings(max_examples=40)
def test_no_paint_keeps_the_photo_and_full_paint_the_painting(seed: int, height: int, width: int) -> None:
    painted, photo = picture(seed, height, width), picture(seed + 1, height, width)
    mask = np.ones((height, width), np.float32)
    np.testing.assert_array_equal(melt(painted, photo, mask, paint=0.0, extent=40), photo)
    np.testing.assert_array_equal(melt(painted, photo, mask, paint=1.0, extent=40), painted)


def test_melting_by_strips_equals_melting_at_once() -> None:
    painted, photo = picture(0, 700, 64), picture(1, 700, 64)
    mask = np.ones((700, 64), np.float32)
    whole = melt(painted, photo, mask, paint=0.4, extent=60)
    rows = np.zeros_like(mask)
    rows[200:300] = 1
    np.testing.assert_array_equal(melt(painted, photo, rows, paint=0.4, extent=60)[200:300], whole[200:300])


def test_melting_in_place_gives_the_same_picture() -> None:
    painted, photo = picture(0, 300, 64), picture(1, 300, 64)
    mask = np.random.default_rng(2).random((300, 64)).astype(np.float32)
    expected = melt(painted, photo, mask, paint=0.4, extent=60)
    other = np.zeros_like(painted)
    np.testing.assert_array_equal(melt(painted, photo, mask, paint=0.4, extent=60, out=other), expected)
    assert melt(painted, photo, mask, paint=0.4, extent=60, out=painted) is painted
    np.testing.assert_array_equal(painted, expected)


def test_paint_draws_the_colour_of_the_face_to_that_of_the_painting() -> None:
    photo = np.full((120, 120, 3), (200, 150, 130), np.uint8)
    painted = np.full((120, 120, 3), (120, 140, 200), np.uint8)
    melted = melt(painted, photo, np.ones((120, 120), np.float32), paint=0.3, extent=60)
    colour, _ = paint_weights(0.3)
    expected = np.array([200, 150, 130]) + colour * (np.array([120, 140, 200]) - [200, 150, 130])
    np.testing.assert_allclose(melted[60, 60], expected, atol=1)


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_paint_never_paints_less(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert paint_weights(low)[0] <= paint_weights(high)[0]
    assert paint_weights(low)[1] <= paint_weights(high)[1]
    assert (
        0 <= paint_weights(a)[1] <= paint_weights(a)[0] + 1e-12 <= 1 + 2e-12
    )  # one rounding of 1 - (1 - p)^3


@given(seeds, st.floats(0.5, 30))
@settings(max_examples=30)
def test_a_feathered_mask_stays_between_zero_and_one(seed: int, sigma: float) -> None:
    mask = (np.random.default_rng(seed).random((130, 120)) < 0.5).astype(np.float32)
    feathered = feather_mask(mask, sigma=sigma)
    assert feathered.min() >= 0
    assert feathered.max() <= 1
    assert feathered.mean() == pytest.approx(mask.mean(), abs=0.1)


def test_a_feather_of_zero_changes_nothing() -> None:
    mask = np.random.default_rng(0).random((50, 60)).astype(np.float32)
    np.testing.assert_array_equal(feather_mask(mask, sigma=0), mask)


def test_feathering_a_step_gives_the_gaussian_integral() -> None:
    from scipy.special import ndtr

    mask = np.zeros((400, 60), np.float32)
    mask[200:] = 1
    feathered = feather_mask(mask, sigma=12)
    np.testing.assert_allclose(feathered[:, 30], ndtr((np.arange(400) - 199.5) / 12), atol=0.02)


def test_a_rough_mask_is_drawn_to_the_edge_of_the_picture() -> None:
    image = np.full((200, 200, 3), 40, np.uint8)
    image[:, 100:] = 210
    rough = np.zeros((200, 200), np.float32)
    rough[:, 108:] = 1
    refined = refine_mask(rough, image, radius=16)
    step = np.diff(refined[100])
    assert int(step.argmax()) == 99
    assert step[99] > 2 * step[107]
    assert refined[100, 20] == 0
    assert refined[100, 180] == 1


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_constant_mask_is_not_refined_away(value: float) -> None:
    mask = np.full((80, 80), value, np.float32)
    np.testing.assert_array_equal(refine_mask(mask, picture(3, 80, 80), radius=8), mask)


def test_no_function_writes_to_its_arguments() -> None:
    painted, photo = picture(0, 60, 60), picture(1, 60, 60)
    mask = np.random.default_rng(2).random((60, 60)).astype(np.float32)
    copies = painted.copy(), photo.copy(), mask.copy()
    melt(painted, photo, mask, paint=0.5, extent=20)
    refine_mask(mask, photo, radius=5)
    feather_mask(mask, sigma=3)
    for array, copy in zip((painted, photo, mask), copies, strict=True):
        np.testing.assert_array_equal(array, copy)
