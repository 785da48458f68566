"""Laws of the palette of a picture and of painting in it."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from sfumato import fields
from sfumato.stages.palette import GAIN, NOISE, InPalette, Palette, measure_palette, transfer
from sfumato.types import Image

SEEDS = st.integers(0, 10_000)


def palette(seed: int, spread: float = 12.0) -> Palette:
    rng = np.random.default_rng(seed)
    factor = rng.normal(0, spread, (3, 3))
    return Palette(rng.uniform((20, -30, -30), (90, 30, 30)), factor @ factor.T)


def picture(seed: int, height: int = 60, width: int = 80) -> Image:
    rng = np.random.default_rng(seed)
    tone = rng.integers(60, 190, 3)
    return np.clip(tone + rng.normal(0, 18, (height, width, 3)), 0, 255).astype(np.uint8)


@given(SEEDS)
def test_a_palette_moved_to_itself_stays(seed: int) -> None:
    np.testing.assert_allclose(transfer(palette(seed), palette(seed)), np.eye(3), atol=1e-6)


@given(SEEDS, SEEDS)
def test_the_map_is_symmetric_and_stretches_no_more_than_it_may(a: int, b: int) -> None:
    matrix = transfer(palette(a), palette(b))
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-9)
    gains = np.linalg.eigvalsh(matrix)
    assert GAIN[0] - 1e-9 <= gains.min() <= gains.max() <= GAIN[1] + 1e-9


@given(SEEDS)
def test_within_those_limits_the_covariance_becomes_the_wanted_one(seed: int) -> None:
    """By the matrix square root of SciPy."""
    own = palette(seed)
    small = 0.2 * np.random.default_rng(seed).normal(0, 1, (3, 3))
    root = np.eye(3) + small @ small.T
    assume(np.linalg.eigvalsh(root).max() < GAIN[1])
    noisy = own.covariance + NOISE * np.eye(3)
    wanted = Palette(own.mean, root @ noisy @ root - NOISE * np.eye(3))
    matrix = transfer(own, wanted)
    np.testing.assert_allclose(matrix @ noisy @ matrix.T, root @ noisy @ root, rtol=1e-4, atol=1e-3)
    half = np.real(sqrtm(noisy))
    expected = np.linalg.inv(half) @ np.real(sqrtm(half @ root @ noisy @ root @ half)) @ np.linalg.inv(half)
    np.testing.assert_allclose(matrix, expected, atol=1e-4)


@settings(deadline=None, max_examples=20)
@given(SEEDS, SEEDS)
def test_a_painting_gets_the_mean_colour_of_the_picture(a: int, b: int) -> None:
    wanted = measure_palette(picture(b))
    painted = InPalette(lambda image: image.copy(), wanted)(picture(a))
    np.testing.assert_allclose(measure_palette(painted).mean, wanted.mean, atol=3)


def test_a_painting_in_its_own_palette_stays_and_strips_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    source = picture(3, 300, 40)
    own = InPalette(lambda image: image.copy(), measure_palette(source))(source)
    assert np.abs(own.astype(int) - source).max() <= 1
    wanted = palette(1)
    by_strips = InPalette(lambda image: image.copy(), wanted)(source)
    monkeypatch.setattr(fields, "STRIP_ROWS", 300)
    np.testing.assert_array_equal(InPalette(lambda image: image.copy(), wanted)(source), by_strips)


def test_an_even_picture_has_a_palette() -> None:
    grey = np.full((5, 7, 3), 128, np.uint8)
    assert np.abs(measure_palette(grey).covariance).max() < 1e-6
    painted = InPalette(lambda image: image.copy(), measure_palette(picture(0)))(grey)
    assert np.ptp(painted, axis=(0, 1)).max() == 0
