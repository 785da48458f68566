"""Damage done to training faces: repeatable, documented, of the same shape."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.training.degradation import (
    Degradation,
    DegradationRanges,
    compress,
    degrade,
    draw_degradation,
    gaussian_kernel,
)
from sfumato.types import Image

_SIZES = st.integers(24, 70)


def _picture(height: int, width: int, seed: int) -> Image:
    coarse = np.random.default_rng(seed).integers(
        0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8
    )
    return np.ascontiguousarray(coarse.repeat(8, 0).repeat(8, 1)[:height, :width])


@settings(max_examples=30, deadline=None)
@given(height=_SIZES, width=_SIZES, seed=st.integers(0, 2**31))
def test_damage_depends_on_the_seed_alone_and_keeps_the_shape(height: int, width: int, seed: int) -> None:
    picture = _picture(height, width, seed)
    before = picture.copy()

    def damaged() -> Image:
        rng = np.random.default_rng(seed)
        return degrade(picture, draw_degradation(DegradationRanges(), rng), rng)

    first, second = damaged(), damaged()
    assert first.shape == picture.shape and first.dtype == np.uint8
    assert np.array_equal(first, second)
    assert np.array_equal(picture, before)


@given(seed=st.integers(0, 2**31))
def test_every_draw_lies_in_the_documented_ranges(seed: int) -> None:
    ranges = DegradationRanges(clean=0.0, nearly_clean=0.0)
    drawn = draw_degradation(ranges, np.random.default_rng(seed))
    assert all(ranges.blur[0] <= sigma <= ranges.blur[1] for sigma in drawn.blur)
    assert ranges.shrink[0] <= drawn.shrink <= ranges.shrink[1]
    assert ranges.noise[0] <= drawn.noise <= ranges.noise[1]
    assert drawn.quality is not None and ranges.quality[0] <= drawn.quality <= ranges.quality[1]


def test_the_clean_share_of_the_faces_stays_untouched() -> None:
    rng = np.random.default_rng(0)
    draws = [draw_degradation(DegradationRanges(clean=0.3, nearly_clean=0.0), rng) for _ in range(2000)]
    assert sum(drawn == Degradation() for drawn in draws) / 2000 == pytest.approx(0.3, abs=0.04)


def test_no_damage_returns_an_equal_picture() -> None:
    picture = _picture(40, 48, 1)
    assert np.array_equal(degrade(picture, Degradation(), np.random.default_rng(0)), picture)


@settings(deadline=None)
@given(first=st.floats(0.2, 6), second=st.floats(0.2, 6), angle=st.floats(0, np.pi))
def test_a_kernel_sums_to_one_and_is_symmetric(first: float, second: float, angle: float) -> None:
    kernel = gaussian_kernel((first, second), angle)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert np.allclose(kernel, kernel[::-1, ::-1], atol=1e-7)


def test_the_first_width_of_a_kernel_lies_along_its_angle() -> None:
    kernel = gaussian_kernel((3.0, 1.0), 0.0)
    place = np.arange(kernel.shape[0]) - kernel.shape[0] // 2
    assert np.sqrt((kernel.sum(0) * place**2).sum()) == pytest.approx(3, abs=0.1)
    assert np.sqrt((kernel.sum(1) * place**2).sum()) == pytest.approx(1, abs=0.1)


def test_noise_has_the_asked_standard_deviation() -> None:
    grey = np.full((128, 128, 3), 128, dtype=np.uint8)
    noisy = degrade(grey, Degradation(noise=10.0), np.random.default_rng(0))
    assert noisy.std() == pytest.approx(10, abs=0.2)


def test_shrinking_does_not_shift_the_picture() -> None:
    ramp = np.arange(64, dtype=np.uint8)[None, :, None].repeat(64, 0).repeat(3, 2) * np.uint8(3)
    small = degrade(ramp, Degradation(shrink=4.0, up="linear"), np.random.default_rng(0))
    inner = slice(8, -8)
    assert np.abs(small[inner, inner].astype(int) - ramp[inner, inner]).max() <= 1


def test_compression_keeps_the_order_of_the_channels() -> None:
    red = np.zeros((16, 16, 3), dtype=np.uint8)
    red[..., 0] = 200
    assert compress(red, 95)[8, 8].astype(int) == pytest.approx([200, 0, 0], abs=4)
    assert compress(red, None) is red
