"""Laws of the seam score."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.seam import edge_of, measure_seam
from sfumato.types import Image, Mask

SIDE = 200


def disc(radius: float = 60.0, centre: tuple[float, float] = (100.0, 100.0)) -> Mask:
    y, x = np.mgrid[:SIDE, :SIDE]
    distance = np.hypot(x - centre[0], y - centre[1])
    return np.asarray(np.clip(0.5 + (radius - distance) / 6, 0, 1), dtype=np.float32)


def photo(seed: int) -> Image:
    coarse = np.random.default_rng(seed).integers(60, 200, (9, 9, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def shifted(image: Image, mask: Mask, change: tuple[float, float, float]) -> Image:
    """Return the picture with a colour added within the mask."""
    changed = np.clip(np.rint(image + mask[..., None] * np.array(change)), 0, 255)
    return np.asarray(changed, dtype=np.uint8)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99), st.floats(40, 70))
def test_what_is_not_changed_has_no_seam(seed: int, radius: float) -> None:
    seam = measure_seam(photo(seed), photo(seed), disc(radius), extent=120)
    assert seam is not None
    assert seam.score == pytest.approx(1)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99))
def test_the_more_the_colour_differs_the_higher_the_score(seed: int) -> None:
    image, mask = photo(seed), disc()
    scores = []
    for level in (0, 25, 50):
        seam = measure_seam(image, shifted(image, mask, (level, 0.0, -level)), mask, extent=120)
        assert seam is not None
        scores.append(seam.colour)
    assert scores[0] < scores[1] < scores[2]


def test_a_seam_that_the_photo_has_already_is_no_fault() -> None:
    image, mask = photo(1), disc()
    with_jaw = shifted(image, mask, (50, 40, 30))
    seam = measure_seam(with_jaw, with_jaw, mask, extent=120)
    assert seam is not None
    assert seam.score == pytest.approx(1)


def test_grain_on_one_side_alone_is_a_seam_and_on_both_is_none() -> None:
    image, mask = photo(2), disc()
    noise = np.random.default_rng(3).normal(0, 12, image.shape)
    rough = np.clip(image + noise, 0, 255).astype(np.uint8)
    outside = np.clip(image + (1 - mask[..., None]) * noise, 0, 255).astype(np.uint8)
    one, both = (measure_seam(image, result, mask, extent=120) for result in (outside, rough))
    assert one is not None
    assert both is not None
    assert one.grain > 1.5
    assert both.grain < 1.2


def test_a_large_face_is_measured_as_a_small_one() -> None:
    image, mask = photo(4), disc()
    changed = shifted(image, mask, (40, 0, -40))
    small = measure_seam(image, changed, mask, extent=120)
    size = (4 * SIDE, 4 * SIDE)
    photo_4, changed_4 = (
        np.asarray(cv2.resize(x, size, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
        for x in (image, changed)
    )
    mask_4 = np.asarray(cv2.resize(mask, size), dtype=np.float32)
    large = measure_seam(photo_4, changed_4, mask_4, extent=480)
    assert small is not None
    assert large is not None
    assert large.colour == pytest.approx(small.colour, rel=0.1)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_mask_without_an_edge_has_no_seam(level: float) -> None:
    mask = np.full((SIDE, SIDE), level, np.float32)
    assert measure_seam(photo(5), photo(6), mask, extent=120) is None


def test_the_border_of_the_picture_is_no_edge() -> None:
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[:100, :] = 1
    points, normals = edge_of(mask)
    assert set(points[:, 1].tolist()) == {99.0}
    np.testing.assert_allclose(normals, np.tile([[0.0, -1.0]], (len(points), 1)), atol=1e-5)


def test_normals_point_inwards() -> None:
    points, normals = edge_of(disc())
    towards = np.array([100.0, 100.0]) - points
    cosine = (towards * normals).sum(axis=1) / np.linalg.norm(towards, axis=1)
    assert float(cosine.min()) > 0.95
