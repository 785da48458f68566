"""Laws of the style measure, beside scipy's and scikit-image's independent computations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")
import torch
from scipy import linalg
from skimage.metrics import structural_similarity

from sfumato.evaluation.style import (
    Judges,
    Rows,
    frechet_distance,
    lite_statistics,
    luminance_ssim,
    picture_statistics,
    score_painted,
)
from sfumato.nets.segmenter import Encoder
from sfumato.nets.vgg import VggFeatures
from sfumato.types import Image


def rows(count: int, columns: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, columns)) @ rng.normal(size=(columns, columns)) + rng.normal(size=columns)


def scipy_frechet(a: Rows, b: Rows, ridge: float) -> float:
    extra = ridge * np.eye(a.shape[1])
    cov_a, cov_b = np.cov(a.T) + extra, np.cov(b.T) + extra
    root = linalg.sqrtm(cov_a @ cov_b)
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a + cov_b - 2 * root.real))


def pictures(count: int, side: int, seed: int) -> list[Image]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(count)]


@settings(deadline=None, max_examples=25)
@given(st.integers(3, 30), st.integers(2, 12), st.integers(0, 99))
def test_the_distance_is_what_scipy_computes(count: int, columns: int, seed: int) -> None:
    a, b = rows(count, columns, seed), rows(count + 3, columns, seed + 1)
    expected = scipy_frechet(a, b, 1e-3)
    # sqrtm of a nearly singular product keeps about half of the digits
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-4, abs=1e-4)


@given(st.integers(3, 20), st.integers(2, 8), st.integers(0, 99))
def test_the_distance_to_itself_is_zero(count: int, columns: int, seed: int) -> None:
    a = rows(count, columns, seed)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)


def test_a_shift_costs_its_square() -> None:
    a = rows(40, 6, 5)
    assert frechet_distance(a, a + 2.0) == pytest.approx(6 * 4, rel=1e-6)


@pytest.mark.parametrize("noise", [5, 40, 120])
def test_similarity_is_what_scikit_image_computes(noise: int) -> None:
    rng = np.random.default_rng(1)
    a = np.repeat(rng.integers(0, 256, (96, 80, 1), dtype=np.uint8), 3, axis=2)
    b = np.clip(a + rng.normal(0, noise, (96, 80, 1)), 0, 255).astype(np.uint8)
    expected = structural_similarity(  # type: ignore[no-untyped-call]  # scikit-image has no stubs
        a[:, :, 0].astype(float),
        b[:, :, 0].astype(float),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
    )
    assert luminance_ssim(a, b) == pytest.approx(expected, abs=1e-6)


def test_one_row_of_statistics_per_picture_holds_mean_and_deviation_of_every_channel() -> None:
    torch.manual_seed(0)
    assert picture_statistics(pictures(2, 256, 0), VggFeatures().eval()).shape == (2, 512)


def test_the_second_judge_sees_mean_and_deviation_of_forty_channels() -> None:
    torch.manual_seed(0)
    assert lite_statistics(pictures(2, 256, 0), Encoder().eval()).shape == (2, 80)


def test_a_stylizer_that_changes_nothing_keeps_all_and_comes_no_nearer() -> None:
    torch.manual_seed(0)
    judges = Judges(VggFeatures().eval(), Encoder().eval())
    photos = pictures(2, 256, 1)
    scores = score_painted(photos, photos, pictures(3, 256, 2), judges, held_out=2)
    assert scores.fraction == scores.unseen_fraction == scores.second_fraction == 1
    assert scores.ssim == pytest.approx(1)
