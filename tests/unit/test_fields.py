"""Reduced fields: what is broad may be computed small."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from sfumato.fields import blur, broad, crop_rows, shrink


@given(st.integers(0, 99), st.floats(0.5, 4.0))
def test_a_narrow_blur_is_computed_as_it_is(seed: int, sigma: float) -> None:
    field = np.random.default_rng(seed).random((24, 31)).astype(np.float32)
    np.testing.assert_array_equal(broad(field, sigma), blur(field, sigma))


@given(st.integers(0, 99), st.floats(5, 24), st.sampled_from([(), (3,)]))
def test_a_broad_blur_is_what_scipy_computes_in_full_size(
    seed: int, sigma: float, channels: tuple[int, ...]
) -> None:
    coarse = np.random.default_rng(seed).random((9, 7, *channels)).astype(np.float32)
    field = np.asarray(cv2.resize(coarse, (90, 120), interpolation=cv2.INTER_LINEAR), np.float32)
    wanted = gaussian_filter(field, (sigma, sigma, *[0] * len(channels)), mode="nearest", truncate=5)
    found = broad(field, sigma)
    np.testing.assert_allclose(
        found, wanted, atol=0.04
    )  # at the corners, where the coarse grid repeats its last pixel
    np.testing.assert_allclose(found[15:-15, 15:-15], wanted[15:-15, 15:-15], atol=0.01)


@given(st.floats(-5, 5))
def test_what_is_even_stays_even(value: float) -> None:
    field = np.full((60, 50), value, np.float32)
    for changed in (
        broad(field, 9.0),
        blur(field, 2.0),
        crop_rows(shrink(field, 0.3), np.s_[0:60, 0:50], (60, 50)),
    ):
        np.testing.assert_allclose(changed, field, atol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.1])
def test_shrinking_keeps_the_mean(scale: float) -> None:
    field = np.random.default_rng(1).random((40, 60)).astype(np.float32)
    small = shrink(field, scale)
    assert small.shape == (round(40 * scale), round(60 * scale))
    assert small.mean() == pytest.approx(field.mean(), abs=1e-4)
