"""Laws of painting by tiles, with a local filter in place of a trained network."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sfumato.backends import Tensor
from sfumato.stages.stylize import (
    GRID,
    LightStylizer,
    WholeStylizer,
    carry_details,
    detail_slope,
    enlarged,
    halve,
    mirrored,
    reflect,
    spans,
)
from sfumato.types import Image

sides = st.integers(16, 300)


class LocalFilter:
    """Blur by 5x5 pixels, average 4x4 blocks, blur those by 3x3 and mix with the picture: radius 2 + 8."""

    def run(self, inputs: Mapping[str, Tensor]) -> Sequence[Tensor]:
        batch = inputs["input"]
        assert batch.shape[2] % GRID == batch.shape[3] % GRID == 0
        picture = np.ascontiguousarray(batch[0].transpose(1, 2, 0))
        height, width = picture.shape[:2]
        small = cv2.resize(cv2.blur(picture, (5, 5)), (width // 4, height // 4), interpolation=cv2.INTER_AREA)
        broad = cv2.resize(cv2.blur(small, (3, 3)), (width, height), interpolation=cv2.INTER_NEAREST)
        mixed = 0.3 * picture + 0.9 * broad * broad
        return [mixed.transpose(2, 0, 1)[None].astype(np.float32)]


class Bordered(LocalFilter):
    """See black beyond the border, as zero padding does: what is read must end at one place, however it is tiled."""

    def run(self, inputs: Mapping[str, Tensor]) -> Sequence[Tensor]:
        batch = np.pad(inputs["input"], ((0, 0), (0, 0), (16, 16), (16, 16)))
        (painted,) = super().run({"input": batch})
        return [painted[:, :, 16:-16, 16:-16]]


class Identity:
    """Give the input back."""

    def run(self, inputs: Mapping[str, Tensor]) -> Sequence[Tensor]:
        return [inputs["input"]]


def noise(height: int, width: int, seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@settings(deadline=None, max_examples=40)
@given(sides, sides, st.sampled_from([16, 36, 64, 100]), st.integers(0, 9))
def test_tiles_equal_the_whole_picture(height: int, width: int, core: int, seed: int) -> None:
    image = noise(height, width, seed)
    whole = LightStylizer(LocalFilter(), margin=12, core=4096, whole=0)(image)
    tiled = LightStylizer(LocalFilter(), margin=12, core=core, whole=0)(image)
    assert np.abs(whole.astype(int) - tiled.astype(int)).max() <= 1  # blurs sum in another order


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([8, 32, 1024]))
def test_a_network_that_changes_nothing_leaves_every_level_as_it_is(
    height: int, width: int, core: int
) -> None:
    image = noise(height, width, 1)
    np.testing.assert_array_equal(LightStylizer(Identity(), core=core, whole=0)(image), image)


@settings(deadline=None, max_examples=30)
@given(sides, sides, st.sampled_from([32, 64, 100]))
def test_tiles_equal_the_whole_picture_painted_from_broad_to_fine(height: int, width: int, core: int) -> None:
    image = np.asarray(cv2.blur(noise(height, width, 4), (3, 3)), dtype=np.uint8)
    whole = LightStylizer(LocalFilter(), margin=12, core=4096, whole=0, broad_from=60)(image)
    tiled = LightStylizer(LocalFilter(), margin=12, core=core, whole=0, broad_from=60)(image)
    assert np.abs(whole.astype(int) - tiled.astype(int)).max() <= 2  # one level from each layer


@settings(deadline=None, max_examples=30)
@given(sides, sides, st.sampled_from([32, 64, 100]), st.sampled_from([0, 4, 12]))
def test_tiles_equal_the_whole_picture_on_a_canvas_whatever_the_rim(
    height: int, width: int, core: int, rim: int
) -> None:
    image = noise(height, width, 8)
    whole, tiled = (
        LightStylizer(Bordered(), margin=20, core=c, whole=0, broad_from=60, grain=0.1, rim=rim)(image)
        for c in (4096, core)
    )
    assert np.abs(whole.astype(int) - tiled.astype(int)).max() <= 2  # one level from each layer


def test_a_canvas_breaks_what_is_flat() -> None:
    image: Image = np.full((40, 60, 3), 100, dtype=np.uint8)
    assert len(np.unique(LightStylizer(Identity(), grain=0.05)(image))) > 20


def test_a_large_picture_gets_broader_strokes_than_a_small_one() -> None:
    image = noise(128, 128, 5)
    fine = LightStylizer(Identity(), broad_from=129)(image)
    broad = LightStylizer(Identity(), broad_from=128)(image)
    np.testing.assert_array_equal(fine, image)
    assert cv2.Laplacian(broad, cv2.CV_64F).std() < 0.8 * cv2.Laplacian(fine, cv2.CV_64F).std()


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 9))
def test_halving_rounds_odd_sides_up_and_keeps_flat_pictures(height: int, width: int, level: int) -> None:
    image: Image = np.full((height, width, 3), level, dtype=np.uint8)
    half = halve(image)
    assert half.shape == (-(-height // 2), -(-width // 2), 3)
    assert (half == level).all()


@given(st.integers(0, 20), st.integers(1, 15), st.integers(5, 40))
def test_a_part_enlarged_alone_is_the_part_of_the_enlarged_whole(start: int, count: int, side: int) -> None:
    image = noise(side, side, 6)
    whole = enlarged(image, (-40, 2 * side + 60), (0, 2 * side))
    part = enlarged(image, (2 * start, 2 * (start + count)), (0, 2 * side))
    np.testing.assert_allclose(part, whole[40 + 2 * start : 40 + 2 * (start + count)], atol=1e-3)


def test_the_input_is_not_written_to() -> None:
    image = noise(20, 30, 2)
    before = image.copy()
    LightStylizer(LocalFilter())(image)
    np.testing.assert_array_equal(image, before)


@given(st.integers(1, 20_000), st.integers(1, 300))
def test_spans_cover_a_side_once_by_equal_parts_on_the_grid(length: int, longest: int) -> None:
    parts = list(spans(length, GRID * longest))
    starts, lengths = [start for start, _ in parts], {side for _, side in parts}
    assert len(lengths) == 1
    side = lengths.pop()
    assert side <= GRID * longest
    assert side % GRID == 0
    assert starts == list(range(0, length, side))


@given(st.integers(2, 40), st.integers(0, 39))
def test_mirroring_is_what_numpy_pads_with(length: int, margin: int) -> None:
    margin = min(margin, length - 1)
    expected = np.pad(np.arange(length), margin, mode="reflect")
    np.testing.assert_array_equal(reflect(np.arange(-margin, length + margin), length), expected)


@given(st.integers(1, 9), st.integers(-1000, 1000))
def test_mirroring_stays_inside_however_small_the_picture(length: int, position: int) -> None:
    (index,) = reflect(np.array([position]), length)
    assert 0 <= index < length


spread = st.tuples(st.integers(-30, 60), st.integers(1, 60)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(st.integers(1, 50), st.integers(1, 50), spread, spread)
def test_a_mirrored_part_is_that_of_the_mirrored_plane(
    height: int, width: int, rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    image = noise(height, width, 7)
    expected = image[np.ix_(reflect(np.arange(*rows), height), reflect(np.arange(*columns), width))]
    np.testing.assert_array_equal(mirrored(image, rows, columns), expected)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 2), (47, 5)])
def test_a_picture_smaller_than_the_margin_is_painted(shape: tuple[int, int]) -> None:
    painted = LightStylizer(LocalFilter())(noise(*shape, 3))
    assert painted.shape == (*shape, 3)
    assert painted.dtype == np.uint8


def test_a_flat_picture_stays_flat() -> None:
    image: NDArray[np.uint8] = np.full((150, 170, 3), 90, dtype=np.uint8)
    painted = LightStylizer(LocalFilter(), core=64, whole=0)(image)
    assert len(np.unique(painted)) == 1


# --- large pictures of networks that see the whole ------------------------------------------------------------


def enlarge(image: Image, height: int, width: int) -> Image:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def shapes(height: int, width: int, seed: int) -> Image:
    """Return a picture of large shapes, which a reduction keeps."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return enlarge(coarse, height, width)


@given(st.integers(20, 90), st.integers(20, 90), st.floats(1.1, 5), st.integers(0, 99))
def test_where_the_photo_lost_nothing_the_painting_is_enlarged_alone(
    height: int, width: int, scale: float, seed: int
) -> None:
    painted, reduced = noise(height, width, seed), shapes(height, width, seed + 1)
    size = round(height * scale), round(width * scale)
    image = enlarge(reduced, *size)
    carried = carry_details(painted, reduced, image)
    assert carried.shape == image.shape
    # OpenCV places warped pixels to a 32nd: on noise, whose levels change by all of 255, that is up to 8 of them
    assert np.abs(carried.astype(int) - enlarge(painted, *size)).max() <= 8


@given(st.integers(20, 60), st.integers(20, 60), st.integers(0, 99))
def test_a_painting_that_hides_the_photo_gains_no_detail(height: int, width: int, seed: int) -> None:
    flat = np.full((height, width, 3), 90, np.uint8)
    image = noise(3 * height, 3 * width, seed)
    reduced = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    assert (carry_details(flat, reduced, image) == 90).all()


def test_a_painting_that_shows_the_photo_gets_its_details_back() -> None:
    image = shapes(480, 400, 4)
    cv2.rectangle(
        image, (100, 100), (260, 300), (250, 240, 30), 2
    )  # two pixels wide: lost at a sixth of the size
    image[::2, :200] = np.clip(image[::2, :200].astype(int) + 30, 0, 255)
    reduced = np.asarray(cv2.resize(image, (66, 80), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    carried = carry_details(reduced, reduced, image)
    plain = enlarge(reduced, 480, 400)
    lost, left = (np.abs(image - made.astype(float)).mean() for made in (plain, carried))
    assert left < 0.35 * lost


def test_the_slope_is_that_of_a_straight_line() -> None:
    reduced = noise(60, 60, 3)
    half = (reduced // 2 + 60).astype(np.uint8)
    assert np.median(detail_slope(half, reduced)) == pytest.approx(0.5, abs=0.02)
    assert np.median(detail_slope(reduced, reduced)) == pytest.approx(1, abs=0.02)
    assert detail_slope(255 - reduced, reduced).max() == 0  # what is reversed is no detail of the photo
    assert detail_slope(reduced, np.full_like(reduced, 70)).max() < 0.1  # nothing there to carry


def test_a_large_picture_is_painted_reduced_and_gets_its_details() -> None:
    paint = WholeStylizer(Identity(), longest=64)
    image = shapes(200, 160, 1)
    cv2.line(image, (20, 20), (140, 180), (255, 255, 255), 1, cv2.LINE_AA)
    painted = paint(image)
    assert painted.shape == image.shape
    reduced = np.asarray(cv2.resize(image, (51, 64), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    np.testing.assert_array_equal(painted, carry_details(reduced, reduced, image))
    small = shapes(60, 50, 2)
    np.testing.assert_array_equal(paint(small), small)
