"""Faces are restored in place: only where needed, without a shift, a box or a change of colour."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sfumato.geometry import FFHQ_TEMPLATE, align, clip_box, crop_bounds, face_affine
from sfumato.stages.restore import (
    CropRestorer,
    enhance_faces,
    face_difference,
    fade_window,
    measure_sharpness,
    need,
    paste_difference,
    restore_faces,
)
from sfumato.types import Affine, Face, Image, Points


def _picture(height: int = 240, width: int = 320, seed: int = 0) -> Image:
    """Return smooth random colours, so that resampling loses next to nothing."""
    noise = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 6)
    low, high = smooth.min(), smooth.max()
    return np.asarray(np.rint(20 + 215 * (smooth - low) / (high - low)), dtype=np.uint8)


def _drawn_face(blur: float = 0.0) -> Image:
    """Return a 512x512 crop with dark eyes, brows and mouth on light skin, in FFHQ's places."""
    crop = np.full((512, 512, 3), (205, 165, 140), dtype=np.uint8)
    for x, y in FFHQ_TEMPLATE[:2].astype(int).tolist():
        cv2.ellipse(crop, (x, y), (26, 12), 0, 0, 360, (245, 245, 240), -1)
        cv2.circle(crop, (x, y), 11, (50, 40, 35), -1)
        cv2.line(crop, (x - 32, y - 30), (x + 32, y - 34), (70, 50, 40), 7)
    cv2.ellipse(crop, (256, 372), (52, 14), 0, 0, 360, (165, 70, 75), -1)
    return crop if blur == 0 else np.asarray(cv2.GaussianBlur(crop, (0, 0), blur), dtype=np.uint8)


def _landmarks(centre: tuple[float, float], scale: float, angle: float) -> Points:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray((FFHQ_TEMPLATE - 256) @ turn.T * scale + np.array(centre), dtype=np.float32)


def _face(landmarks: Points) -> Face:
    (x0, y0), (x1, y1) = landmarks.min(0) - 5, landmarks.max(0) + 5
    places = [(float(x), float(y)) for x, y in landmarks]
    return Face(
        (float(x0), float(y0), float(x1), float(y1)),
        (places[0], places[1], places[2], places[3], places[4]),
        0.9,
    )


def _negative(crop: Image) -> Image:
    return np.asarray(255 - crop, dtype=np.uint8)


def _matrices() -> st.SearchStrategy[Affine]:
    return st.builds(
        lambda x, y, scale, angle: face_affine(_landmarks((x, y), scale, angle)),
        x=st.floats(-20, 340),
        y=st.floats(-20, 260),
        scale=st.floats(0.08, 1.5),
        angle=st.floats(-0.8, 0.8),
    )


@settings(max_examples=15, deadline=None)
@given(matrix=_matrices())
def test_weight_zero_returns_an_equal_picture(matrix: Affine) -> None:
    picture = _picture()
    crop = align(picture, matrix)
    assert np.array_equal(paste_difference(picture, crop, _negative(crop), matrix, 0.0), picture)


@settings(max_examples=15, deadline=None)
@given(matrix=_matrices(), weight=st.floats(0, 1))
def test_an_unchanged_crop_changes_nothing(matrix: Affine, weight: float) -> None:
    picture = _picture()
    crop = align(picture, matrix)
    assert np.array_equal(paste_difference(picture, crop, crop, matrix, weight), picture)


@settings(max_examples=15, deadline=None)
@given(matrix=_matrices(), seed=st.integers(0, 1000))
def test_pixels_outside_the_crop_stay_bit_for_bit(matrix: Affine, seed: int) -> None:
    picture = _picture()
    crop = align(picture, matrix)
    wild = np.random.default_rng(seed).integers(0, 256, crop.shape, dtype=np.uint8)
    result = paste_difference(picture, crop, wild, matrix, 1.0)
    x0, y0, x1, y1 = clip_box(crop_bounds(matrix, 512), picture.shape)
    outside = np.ones(picture.shape[:2], dtype=bool)
    outside[y0:y1, x0:x1] = False
    assert np.array_equal(result[outside], picture[outside])


@pytest.mark.parametrize("scale", [0.15, 0.4, 0.62, 1.3])
def test_a_restoration_lands_where_it_was_cut_without_a_shift(scale: float) -> None:
    picture = np.full((700, 700, 3), 120, dtype=np.uint8)
    matrix = face_affine(_landmarks((350.3, 349.6), scale, 0.3))
    crop = align(picture, matrix)
    y, x = np.mgrid[:512, :512]
    blob = 90 * np.exp(-((x - 280.0) ** 2 + (y - 230.0) ** 2) / (2 * 12.0**2))
    restored = np.clip(crop + blob[..., None], 0, 255).astype(np.uint8)
    change = paste_difference(picture, crop, restored, matrix, 1.0).astype(float)[..., 0] - 120
    change[change < 10] = 0
    rows, columns = np.mgrid[:700, :700]
    centre = np.array([(change * columns).sum(), (change * rows).sum(), change.sum()])
    there = matrix @ np.array([centre[0] / centre[2], centre[1] / centre[2], 1.0])
    assert np.abs(there - (280, 230)).max() * scale < 0.1  # in pixels of the picture


@settings(max_examples=20, deadline=None)
@given(shift=st.integers(-120, 120))
def test_a_change_of_colour_or_light_as_a_whole_is_not_pasted(shift: int) -> None:
    crop = np.full((512, 512, 3), 128, dtype=np.uint8)
    tinted = np.clip(crop.astype(int) + np.array([shift, -shift, shift // 2]), 0, 255).astype(np.uint8)
    assert np.abs(face_difference(crop, tinted)).max() < 1e-2


def test_a_photo_without_colour_gains_none() -> None:
    grey = np.asarray(_drawn_face()[..., :1].repeat(3, axis=2))
    wild = np.random.default_rng(0).integers(0, 256, grey.shape, dtype=np.uint8)
    difference = face_difference(grey, wild)
    assert np.ptp(difference, axis=2).max() < 1e-3


def test_the_window_is_zero_at_the_border_and_never_steep() -> None:
    window = fade_window(512)
    assert window[0].max() == 0 and window[:, -1].max() == 0 and window[256, 256] == 1
    assert np.abs(np.diff(window, axis=0)).max() < 0.02


@settings(max_examples=12, deadline=None)
@given(blur=st.floats(0.8, 8), more=st.floats(1.1, 2))
def test_sharpness_falls_with_blur(blur: float, more: float) -> None:
    assert measure_sharpness(_drawn_face(blur * more)) < measure_sharpness(_drawn_face(blur))


@settings(max_examples=10, deadline=None)
@given(gain=st.floats(0.3, 1.0), offset=st.integers(0, 40))
def test_sharpness_does_not_depend_on_exposure(gain: float, offset: int) -> None:
    crop = _drawn_face(2.0)
    other = np.clip(crop * gain * 0.8 + offset, 0, 255).astype(np.uint8)
    assert measure_sharpness(other) == pytest.approx(measure_sharpness(crop), abs=0.03)


def test_noise_does_not_make_a_blurred_face_sharp() -> None:
    crop = _drawn_face(4.0)
    noise = np.random.default_rng(0).normal(0, 12, crop.shape)
    noisy = np.clip(crop + noise, 0, 255).astype(np.uint8)
    assert measure_sharpness(noisy) == pytest.approx(measure_sharpness(crop), abs=0.06)


def test_a_flat_crop_asks_for_no_restoration() -> None:
    assert measure_sharpness(np.full((512, 512, 3), 90, dtype=np.uint8)) == 1.0


@given(sharpness=st.floats(0, 1), less=st.floats(0, 1), scale=st.floats(0.05, 30))
def test_need_lies_between_0_and_1_and_falls_with_sharpness(
    sharpness: float, less: float, scale: float
) -> None:
    amount = need(sharpness, scale)
    assert 0 <= amount <= 1
    assert need(sharpness * less, scale) >= amount


def test_a_sharp_large_face_keeps_its_pixels_and_never_meets_the_network() -> None:
    picture = _drawn_face()

    def refuse(crop: Image) -> Image:
        raise AssertionError("the network was run")

    result, report = restore_faces(picture, [_face(FFHQ_TEMPLATE)], refuse, 1.0)
    assert result is picture
    assert report[0].weight == 0 and report[0].sharpness > 0.6


def test_strength_zero_changes_nothing_and_never_runs_the_network() -> None:
    picture = _drawn_face(6.0)

    def refuse(crop: Image) -> Image:
        raise AssertionError("the network was run")

    result, report = restore_faces(picture, [_face(FFHQ_TEMPLATE)], refuse, 0.0)
    assert np.array_equal(result, picture) and report[0].weight == 0


def test_strength_scales_what_a_soft_face_gets_and_the_input_stays_as_it_was() -> None:
    picture = _drawn_face(6.0)
    before = picture.copy()
    half, reported = restore_faces(picture, [_face(FFHQ_TEMPLATE)], lambda _: _drawn_face(), 0.5)
    full, _ = restore_faces(picture, [_face(FFHQ_TEMPLATE)], lambda _: _drawn_face(), 1.0)
    assert np.array_equal(picture, before)
    assert reported[0].weight == 0.5
    moved = np.abs(full.astype(int) - picture).mean()
    assert 0 < np.abs(half.astype(int) - picture).mean() < moved


@pytest.mark.parametrize(("tolerated", "share"), [(99.0, 1.0), (0.6, 0.5), (0.3, 0.25), (0.1, 0.0)])
def test_a_restoration_that_makes_another_of_the_face_is_turned_down(tolerated: float, share: float) -> None:
    """Likeness is here the part of the change that was made; more than is tolerated is another person."""
    picture, faces = _drawn_face(6.0), [_face(FFHQ_TEMPLATE)]
    full, _ = restore_faces(picture, faces, lambda _: _drawn_face(), 1.0)
    whole = np.abs(full - picture.astype(float))

    def likeness(crop: Image, restored: Image) -> float:
        part = np.abs(restored - crop.astype(float)).sum() / whole.sum()
        return float(part <= tolerated)

    result, (report,) = restore_faces(picture, faces, lambda _: _drawn_face(), 1.0, likeness)
    assert report.weight == share
    assert report.turned_down == (share < 1)
    assert np.array_equal(result, picture) == (share == 0)


def test_a_face_cut_by_the_border_and_two_overlapping_faces_are_restored() -> None:
    canvas = np.full((300, 520, 3), 120, dtype=np.uint8)
    canvas[:, 140:] = _drawn_face(5.0)[100:400, 132:]
    inside = np.asarray(FFHQ_TEMPLATE + np.array([8, -100]), dtype=np.float32)
    faces = [_face(_landmarks((10.0, 150.0), 0.7, 0.0)), _face(inside), _face(inside)]
    result, report = restore_faces(canvas, faces, lambda _: _drawn_face(), 1.0)
    assert result.shape == canvas.shape and len(report) == 3
    assert not np.array_equal(result, canvas)


class _Doubling:
    """A backend whose network doubles its input, to see what reaches it."""

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> Sequence[NDArray[np.float32]]:
        return [2 * inputs["input"]]


def test_the_restorer_scales_to_0_1_and_clips_on_the_way_back() -> None:
    crop = np.full((512, 512, 3), (10, 100, 200), dtype=np.uint8)
    assert CropRestorer(_Doubling())(crop)[0, 0].tolist() == [20, 200, 255]


def test_enhancing_replaces_every_face_colours_and_all() -> None:
    picture = np.full((512, 512, 3), 90, np.uint8)
    blue = np.zeros((512, 512, 3), np.uint8)
    blue[..., 2] = 200
    result, (report,) = enhance_faces(picture, [_face(FFHQ_TEMPLATE)], lambda _: blue, 1.0)
    assert (result[256, 256] == (0, 0, 200)).all()
    assert (result[0, 0] == 90).all()  # it fades in from the border of the crop
    assert report.weight == 1.0
    half, _ = enhance_faces(picture, [_face(FFHQ_TEMPLATE)], lambda _: blue, 0.5)
    np.testing.assert_allclose(half[256, 256], (45, 45, 145), atol=1)
    assert (picture == 90).all()


def test_enhancing_by_nothing_or_nobody_changes_nothing() -> None:
    picture = np.full((64, 64, 3), 90, np.uint8)
    result, report = enhance_faces(picture, [], lambda crop: crop, 1.0)
    assert result is picture and report == ()
    result, (only,) = enhance_faces(
        picture, [_face((FFHQ_TEMPLATE / 8).astype(np.float32))], lambda crop: 255 - crop, 0.0
    )
    assert result is picture and only.weight == 0
