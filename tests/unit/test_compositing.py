"""Laws of masks and blending."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.color import rgb2lab

from sfumato import fields
from sfumato.compositing import CHROMA, HUE, LIGHT, Kept, keep_colour, lay_over, melt, paint_weights, seat
from sfumato.masks import feather_mask, refine_mask
from sfumato.types import FloatImage, Image, Mask

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
    melted = melt(painted, Kept(photo, mask, extent), paint=paint)
    np.testing.assert_array_equal(melted[mask == 0], painted[mask == 0])


@given(seeds, sides, sides)
@settings(max_examples=40)
def test_no_paint_keeps_the_photo_and_full_paint_the_painting(seed: int, height: int, width: int) -> None:
    painted, photo = picture(seed, height, width), picture(seed + 1, height, width)
    mask = np.ones((height, width), np.float32)
    np.testing.assert_array_equal(melt(painted, Kept(photo, mask, 40), paint=0.0), photo)
    np.testing.assert_array_equal(melt(painted, Kept(photo, mask, 40), paint=1.0), painted)


def test_melting_by_strips_equals_melting_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    painted, photo = picture(0, 700, 64), picture(1, 700, 64)
    kept = Kept(
        photo, feather_mask(np.random.default_rng(2).random((700, 64)).astype(np.float32), sigma=6), 60
    )
    by_strips = melt(painted, kept, paint=0.4)
    monkeypatch.setattr(fields, "STRIP_ROWS", 700)
    np.testing.assert_array_equal(melt(painted, kept, paint=0.4), by_strips)


def test_melting_in_place_gives_the_same_picture() -> None:
    painted, photo = picture(0, 300, 64), picture(1, 300, 64)
    mask = np.random.default_rng(2).random((300, 64)).astype(np.float32)
    expected = melt(painted, Kept(photo, mask, 60), paint=0.4)
    other = np.zeros_like(painted)
    np.testing.assert_array_equal(melt(painted, Kept(photo, mask, 60), paint=0.4, out=other), expected)
    assert melt(painted, Kept(photo, mask, 60), paint=0.4, out=painted) is painted
    np.testing.assert_array_equal(painted, expected)


def test_paint_draws_the_colour_of_the_face_to_that_of_the_painting() -> None:
    photo = np.full((120, 120, 3), (200, 150, 130), np.uint8)
    painted = np.full((120, 120, 3), (190, 150, 140), np.uint8)
    melted = melt(painted, Kept(photo, np.ones((120, 120), np.float32), 60), paint=0.3)
    colour, _ = paint_weights(0.3)
    expected = np.array([200, 150, 130]) + colour * np.array([-10, 0, 10])
    np.testing.assert_allclose(melted[60, 60], expected, atol=2.5)


levels = arrays(np.float32, (4, 4, 3), elements=st.floats(20, 235, width=32))


@given(levels, levels)
def test_skin_follows_no_further_than_it_may(photo: FloatImage, painted: FloatImage) -> None:
    """Measured in the scikit-image's CIELAB; what leaves the cube of RGB is clipped and may be off a little."""
    seated = seat(photo, painted, care=1.0)
    mine, new = (rgb2lab(np.clip(x / 255.0, 0, 1)) for x in (photo, seated))
    inside = ((seated > 1) & (seated < 254)).all(axis=-1)
    assert (np.abs(new[..., 0] - mine[..., 0])[inside] < LIGHT + 0.5).all()
    own, after = (lab[..., 1] + 1j * lab[..., 2] for lab in (mine, new))
    coloured = inside & (np.abs(own) > 12)
    assert (np.abs(np.angle(after * own.conj()))[coloured] < HUE + 0.05).all()
    ratio = np.abs(after[coloured]) / np.abs(own[coloured])
    assert ((ratio < CHROMA * 1.05) & (ratio > 0.95 / CHROMA)).all()


@given(levels, levels)
def test_without_care_skin_is_the_paintings_and_a_near_one_is_left_as_it_is(
    photo: FloatImage, painted: FloatImage
) -> None:
    np.testing.assert_array_equal(seat(photo, painted, care=0.0), painted)
    np.testing.assert_allclose(
        seat(photo, photo, care=1.0), photo, atol=1
    )  # OpenCV's CIELAB and back: 0.55 was seen


def test_a_photo_without_colour_takes_that_of_the_painting() -> None:
    photo, painted = np.full((4, 4, 3), 128, np.float32), np.full((4, 4, 3), (140, 128, 110), np.float32)
    np.testing.assert_allclose(seat(photo, painted, care=1.0), painted, atol=0.5)


@given(seeds)
def test_colour_that_is_kept_is_the_photos_in_the_light_of_the_picture(seed: int) -> None:
    base = np.random.default_rng(seed).integers(100, 156, (9, 8, 3)).astype(np.uint8)
    photo = np.random.default_rng(seed + 1).integers(100, 156, (9, 8, 3)).astype(np.uint8)
    moved = base.copy()
    share = np.zeros((9, 8), np.float32)
    share[:, 4:] = 1
    keep_colour(moved, photo, share)
    np.testing.assert_array_equal(moved[:, :4], base[:, :4])
    luma = np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose((moved @ luma)[:, 4:], (base @ luma)[:, 4:], atol=1)
    mine, wanted = (x - (x @ luma)[..., None] for x in (moved, photo))
    np.testing.assert_allclose(mine[:, 4:], wanted[:, 4:], atol=1.01)


@given(st.floats(0.2, 1))
def test_what_is_kept_in_part_is_kept_by_that_part(share: float) -> None:
    """A skin of strength 0.5 took nearly all of the painting's light under the photo's detail."""
    photo, painted = np.full((90, 90, 3), 150, np.uint8), np.full((90, 90, 3), 142, np.uint8)
    mask = np.full((90, 90), share, np.float32)
    whole = melt(painted, Kept(photo, np.ones_like(mask), 60), paint=0.3)[45, 45, 0]
    part = melt(painted, Kept(photo, mask, 60), paint=0.3)[45, 45, 0]
    assert part == pytest.approx(142 + share * (whole - 142.0), abs=1)


def test_light_and_colour_change_over_inside_of_the_edge() -> None:
    """At the edge itself both sides lie in the light of the painting."""
    photo, painted = np.full((200, 200, 3), 150, np.uint8), np.full((200, 200, 3), 142, np.uint8)
    mask = np.zeros((200, 200), np.float32)
    mask[:, 100:] = 1
    melted = melt(painted, Kept(photo, mask, 200), paint=0.3)[100, :, 0].astype(int)
    assert np.abs(np.diff(melted)).max() <= 1
    assert melted[190] > melted[101] >= melted[99]


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
    melt(painted, Kept(photo, mask, 20), paint=0.5)
    refine_mask(mask, photo, radius=5)
    feather_mask(mask, sigma=3)
    for array, copy in zip((painted, photo, mask), copies, strict=True):
        np.testing.assert_array_equal(array, copy)
