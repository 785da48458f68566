"""Flow finds known motion; paint is carried along it, without ghosts, smears or lag; flicker is a number."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.stages.restore import FaceRestoration
from sfumato.types import Image
from sfumato.video.anchoring import anchor_restorations, anchor_tints, follow_slowly, measure_tint
from sfumato.video.flicker import Flicker, warping_error
from sfumato.video.flow import Motion, carry_points, find_motion, grow_flow, reduce_frame, warp
from sfumato.video.masking import carry_mask, steady_mask
from sfumato.video.steadying import (
    FREE,
    STEADY,
    Steadiness,
    is_cut,
    steady_painting,
    to_levels,
)
from sfumato.video.tracking import Track, as_landmarks
from tests.clips import astronaut, panned, view, view_matrix
from tests.simple import FACE

STEP = 1.5


def pair() -> tuple[Image, Image]:
    former, new = panned(2, STEP)
    return former, new


def inner(field: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]  # of any kind
    return field[10:-10, 10:-10]


def still(shape: tuple[int, int]) -> Motion:
    """Return the motion of nothing."""
    nothing = np.zeros((*shape, 2), np.float32)
    return Motion(nothing, nothing, np.ones(shape, np.float32), np.zeros(shape, np.float32))


def test_a_pan_is_found_to_a_fraction_of_a_pixel() -> None:
    motion = find_motion(*pair())
    apart = inner(motion.back) - np.array([STEP, 0], np.float32)
    assert np.median(np.abs(apart)) < 0.1
    assert motion.share > 0.9


@given(st.floats(-6, 6), st.floats(-6, 6), st.floats(0.95, 1.05))
def test_points_are_carried_as_the_picture_moves(x: float, y: float, zoom: float) -> None:
    matrices = view_matrix(120, 40, 0.5), view_matrix(120 + x, 40 + y, 0.5 * zoom)
    former, new = (view(matrix) for matrix in matrices)
    points = np.array([[60, 50], [80, 70], [90, 40]], np.float32)
    in_picture = points / 0.5 + np.array([120, 40])
    expected = (in_picture - np.array([120 + x, 40 + y])) * 0.5 * zoom
    there, sure = carry_points(points, find_motion(former, new), former.shape)
    assert np.median(np.linalg.norm(there - expected, axis=1)) < 0.5
    assert sure.shape == (3,)


def test_what_is_uncovered_is_not_believed() -> None:
    former, new = (image.copy() for image in panned(2, 0.0))
    former[30:90, 40:80] = (200, 30, 40)
    new[30:90, 60:100] = (200, 30, 40)
    motion = find_motion(former, new)
    assert motion.sure[40:80, 42:56].mean() < 0.5  # where the block was
    assert motion.sure[:20].mean() > 0.9


def test_flow_of_a_reduced_frame_fits_the_frame() -> None:
    large = [np.asarray(cv2.resize(image, (1280, 960)), np.uint8) for image in pair()]
    motion = find_motion(*map(reduce_frame, large))
    assert motion.back.shape == (384, 512, 2)
    back = grow_flow(motion.back, large[1].shape)
    assert np.median(back[100:-100, 100:-100, 0]) == pytest.approx(8 * STEP, abs=0.5)


def test_another_scene_is_a_cut_and_a_moving_one_is_not() -> None:
    former, new = pair()
    other = view(view_matrix(250, 300, 1.0))
    assert not is_cut(former, new, find_motion(former, new))
    assert is_cut(former, other, find_motion(former, other))
    darker = (new * 0.9).astype(np.uint8)
    assert not is_cut(former, darker, find_motion(former, darker))


def noisy(image: Image, seed: int, amount: float = 6.0) -> Image:
    noise = np.random.default_rng(seed).normal(0, amount, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def steadied(
    count: int, step: float, steadiness: Steadiness
) -> tuple[list[Image], list[Image], list[Motion]]:
    """Return a pan, its noisy paintings steadied, and its motions."""
    frames = list(panned(count, step))
    painting = noisy(frames[0], 0).astype(np.float32)
    results, motions = [to_levels(painting)], []
    for k in range(1, count):
        motions.append(find_motion(frames[k - 1], frames[k]))
        painting = steady_painting(noisy(frames[k], k), painting, motions[-1], steadiness)
        results.append(to_levels(painting))
    return frames, results, motions


@pytest.mark.parametrize("step", [0.0, 0.4, 1.5, 4.0])
def test_flicker_falls_clearly_whatever_the_speed(step: float) -> None:
    _, ours, motions = steadied(8, step, STEADY)
    _, plain, _ = steadied(8, step, FREE)

    def flicker(images: list[Image]) -> float:
        pairs = zip(images, images[1:], motions, strict=False)
        return float(np.mean([warping_error(a, b, motion) for a, b, motion in pairs]) ** 0.5)

    assert flicker(ours) < 0.6 * flicker(plain)


def test_steadied_paint_lies_where_the_frame_is() -> None:
    frames, ours, _ = steadied(10, 1.5, STEADY)
    greys = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64) for image in (frames[-1], ours[-1])]
    shift, _ = cv2.phaseCorrelate(greys[0], greys[1])
    assert np.hypot(shift[0], shift[1]) < 0.2


def test_steadied_paint_stays_sharp() -> None:
    frames, ours, _ = steadied(20, 0.7, STEADY)

    def sharpness(image: Image) -> float:
        return float(cv2.Laplacian(cv2.GaussianBlur(image, (0, 0), 1.0), cv2.CV_32F)[10:-10, 10:-10].std())

    assert sharpness(ours[-1]) > 0.9 * sharpness(frames[-1])


def test_what_is_gone_leaves_no_ghost() -> None:
    former = np.full((80, 80, 3), 60, np.uint8)
    new = former.copy()
    former[30:50, 30:50] = 220
    motion = still((80, 80))  # the worst case: the flow saw nothing
    result = steady_painting(new, former.astype(np.float32), motion, STEADY)
    assert result.max() <= 60 + STEADY.paint * STEADY.freedom


@given(st.integers(0, 50))
def test_a_steady_painting_is_left_as_it_is(seed: int) -> None:
    image = noisy(view(view_matrix(0, 0, 0.3)), seed)
    result = steady_painting(image, image.astype(np.float32), still((120, 160)), STEADY)
    assert np.array_equal(to_levels(result), image)


def test_a_mask_moves_with_its_face() -> None:
    masks = [np.zeros((120, 160), np.float32) for _ in range(2)]
    for k, mask in enumerate(masks):
        cv2.circle(mask, (60 - 3 * k, 60), 20, 1.0, -1)
    former, new = panned(2, 3.0)
    motion = find_motion(former, new)
    moved = steady_mask(masks[1], masks[0], motion, (), STEADY)
    assert np.abs(moved - masks[1]).mean() < 0.005
    assert moved.min() >= 0 and moved.max() <= 1


def test_the_soft_border_of_a_mask_moves_with_the_face_and_not_with_the_wall() -> None:
    x0, y0, x1, y1 = FACE.box
    marks = as_landmarks(FACE.points + np.array([6, 0], np.float32))
    there = replace(FACE, box=(x0 + 6, y0, x1 + 6, y1), landmarks=marks)
    former = np.zeros((120, 160), np.float32)
    cv2.circle(former, (40, 42), 15, 1.0, -1)
    blurred = np.asarray(cv2.GaussianBlur(former, (0, 0), 3.0), np.float32)
    carried = carry_mask(blurred, still((120, 160)), [(FACE, there)])
    expected = np.roll(blurred, 6, axis=1)
    assert np.abs(carried - expected).max() < 0.02


def test_free_frames_are_not_touched() -> None:
    image = view(view_matrix(0, 0, 0.3))
    mask = np.random.default_rng(0).random((120, 160), dtype=np.float32)
    motion = still((120, 160))
    assert np.array_equal(steady_painting(image, 0.0 * image.astype(np.float32), motion, FREE), image)
    assert steady_mask(mask, 0 * mask, motion, (), FREE) is mask


def test_flicker_of_a_perfect_pan_is_small_and_of_a_pumping_one_is_what_it_pumps() -> None:
    former, new = pair()
    motion = find_motion(former, new)
    base = warping_error(former, new, motion)
    assert base**0.5 < 4  # what resampling costs
    pumped = warping_error(former, np.clip(new.astype(int) + 10, 0, 255).astype(np.uint8), motion)
    assert (pumped - base) ** 0.5 == pytest.approx(10, abs=2)


def test_flicker_is_the_root_of_the_mean_over_pairs() -> None:
    sums = Flicker().add(1.0, 100.0, 9.0).add(1.0, 100.0, 23.0)
    assert sums.levels() == {"source": 1.0, "frame_by_frame": 10.0, "steadied": 4.0}
    assert Flicker().levels() == {"source": None, "frame_by_frame": None, "steadied": None}


def test_a_former_frame_is_moved_onto_the_new_one() -> None:
    former, new = pair()
    moved = warp(former, find_motion(former, new).back)
    assert np.abs(inner(moved) - inner(new)).mean() < 2.5


def test_a_tint_that_pumps_is_held() -> None:
    photo = view(view_matrix(0, 0, 0.3))
    mask = np.zeros((120, 160), np.float32)
    mask[16:72, 20:60] = 1
    tracks: tuple[Track, ...] = (Track(0, FACE),)
    shown = []
    for k in range(40):
        painted = np.clip(photo.astype(int) // 2 + 40 + 10 * (k % 2), 0, 255).astype(np.uint8)
        result, tracks = anchor_tints(painted, photo, mask, tracks)
        shown.append(result[20:68, 24:56].mean())
        assert np.array_equal(result[:, 100:], painted[:, 100:])
    assert np.ptp(shown[-10:]) < 1.5


def test_a_tint_follows_light_that_stays() -> None:
    held = (0.0, 0.0, 0.0)
    for _ in range(100):
        held = follow_slowly(held, (20.0, 0.0, -20.0)) or held
    assert held == pytest.approx((20, 0, -20), abs=0.3)
    assert follow_slowly(None, held) == held and follow_slowly(held, None) == held


def test_no_mask_has_no_tint() -> None:
    photo = view(view_matrix(0, 0, 0.3))
    assert measure_tint(photo, photo, np.zeros((120, 160), np.float32)) is None


def test_a_restoration_that_comes_and_goes_is_evened_out() -> None:
    image = np.full((120, 160, 3), 100, np.uint8)
    tracks: tuple[Track, ...] = (Track(0, FACE),)
    shown = []
    for k in range(60):
        weight = 0.4 + 0.2 * (k % 2)
        restored = np.clip(image + 100 * weight, 0, 255).astype(np.uint8)
        result, tracks = anchor_restorations(image, restored, (FaceRestoration(0.5, weight),), tracks)
        shown.append(float(result[40, 40, 0]))
    assert np.ptp(shown[-10:]) <= 3
    assert np.mean(shown[-10:]) == pytest.approx(150, abs=3)


def test_where_nothing_is_restored_the_picture_stays_itself() -> None:
    image = astronaut()
    assert anchor_restorations(image, image, (), (Track(0, FACE),))[0] is image
