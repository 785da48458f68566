"""Laws of merging the whole view with the views of the faces."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sfumato.backends import Tensor
from sfumato.geometry import FFHQ_TEMPLATE, affine_scale, face_affine, invert_affine, transform_points
from sfumato.stages.segment import STRIP_ROWS, LightSegmenter, Parsing, View, face_extent
from sfumato.types import Affine, Face, Image


class SkinDisc:
    """Call a dark disc skin and everything else background, as a network would: a probability per pixel."""

    def run(self, inputs: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """Return probabilities of the nine classes from the brightness of the picture."""
        brightness = inputs["input"].mean(axis=1)
        probabilities = np.zeros((len(brightness), 9, *brightness.shape[1:]), np.float32)
        probabilities[:, 2] = 1 - brightness
        probabilities[:, 0] = brightness
        return [probabilities]


def face_at(x: float, y: float, scale: float) -> Face:
    """Return an upright face whose aligned crop of 512 px covers 512 * `scale` px around (x, y)."""
    points = (FFHQ_TEMPLATE - 255.5) * scale + np.array([x, y], np.float32)
    a, b, c, d, e = (tuple(map(float, p)) for p in points)
    half = 128 * scale
    return Face((x - half, y - half, x + half, y + half), (a, b, c, d, e), 0.9)  # type: ignore[arg-type]


def picture_with_discs(height: int, width: int, centres: Sequence[tuple[int, int, int]]) -> Image:
    y, x = np.mgrid[:height, :width]
    image = np.full((height, width, 3), 255, np.uint8)
    for cx, cy, radius in centres:
        image[(x - cx) ** 2 + (y - cy) ** 2 < radius**2] = 0
    return image


FACE_STRENGTHS = (0.0, 0.0, *[1.0] * 7)


def test_a_face_class_without_a_detected_face_is_not_covered() -> None:
    image = picture_with_discs(200, 300, [(150, 100, 60)])
    parsing = LightSegmenter(SkinDisc())(image, ())
    assert parsing.coverage(FACE_STRENGTHS).max() == 0
    assert set(np.unique(parsing.labels())) == {0, 1}


def test_a_detected_face_is_covered_where_its_view_shows_it() -> None:
    image = picture_with_discs(300, 300, [(150, 150, 50)])
    parsing = LightSegmenter(SkinDisc())(image, (face_at(150, 150, 0.5),))
    mask = parsing.coverage(FACE_STRENGTHS)
    assert mask[150, 150] == pytest.approx(1, abs=1e-3)
    assert mask[150, 215] < 1e-3
    assert parsing.labels()[150, 150] == 2


def test_of_two_near_faces_only_the_chosen_one_is_covered() -> None:
    image = picture_with_discs(200, 400, [(130, 100, 40), (230, 100, 40)])
    parsing = LightSegmenter(SkinDisc())(image, (face_at(130, 100, 0.5), face_at(230, 100, 0.5)))
    mask = parsing.coverage(FACE_STRENGTHS, [0])
    assert mask[100, 130] > 0.99
    assert mask[100, 230] < 0.01
    assert parsing.coverage(FACE_STRENGTHS)[100, 230] > 0.99


def test_person_strength_covers_faces_that_nobody_detected() -> None:
    image = picture_with_discs(200, 300, [(150, 100, 60)])
    parsing = LightSegmenter(SkinDisc())(image, ())
    assert parsing.coverage((0.0, *[1.0] * 8))[100, 150] == pytest.approx(1, abs=1e-3)


@given(st.integers(0, 2**31), st.integers(40, 700), st.integers(40, 120))
def test_coverage_of_all_classes_is_one_and_of_none_zero(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    parsing = Parsing(
        (height, width),
        View(_random_probabilities(rng, 16), np.array([[16 / width, 0, 0], [0, 16 / height, 0]])),
        (View(_random_probabilities(rng, 32), face_affine(face_at(width / 2, height / 2, 0.2).points, 32)),),
    )
    np.testing.assert_allclose(parsing.coverage([1.0] * 9), 1, atol=1e-4)  # float32 sums of nine
    assert parsing.coverage([0.0] * 9).max() == 0


def _random_probabilities(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    raw = rng.random((9, size, size), dtype=np.float32) + 0.01
    return np.asarray(raw / raw.sum(axis=0, keepdims=True))


def test_strips_meet_without_a_seam() -> None:
    height = 2 * STRIP_ROWS + 40
    y = np.linspace(0, 1, 64, dtype=np.float32)[:, None] * np.ones((1, 64), np.float32)
    probabilities = np.zeros((9, 64, 64), np.float32)
    probabilities[1], probabilities[0] = y, 1 - y
    whole = View(probabilities, np.array([[64 / 50, 0, 0], [0, 64 / height, 0]]))
    mask = Parsing((height, 50), whole, ()).coverage((0.0, *[1.0] * 8))
    assert np.abs(np.diff(mask, axis=0)).max() < 0.005


@pytest.mark.parametrize("shape", [(16, 16), (31, 700), (500, 33)])
def test_pictures_of_any_shape_are_parsed(shape: tuple[int, int]) -> None:
    image = np.zeros((*shape, 3), np.uint8)
    assert LightSegmenter(SkinDisc())(image, ()).labels().shape == shape


def test_a_mirrored_picture_is_parsed_mirrored() -> None:
    image = np.random.default_rng(5).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    segmenter = LightSegmenter(Sided())
    face, mirrored = face_at(100, 100, 0.3), face_at(99, 100, 0.3)
    labels = segmenter(image, (face,)).labels()
    flipped = segmenter(np.ascontiguousarray(image[:, ::-1]), (mirrored,)).labels()
    left, right = labels == 3, flipped[:, ::-1] == 4
    assert left.any()
    assert (left ^ right).mean() < 0.01  # the template of the landmarks is not quite symmetric


class Sided:
    """Call dark pixels of the image-left half a left brow, of the right half a right brow."""

    def run(self, inputs: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """Return probabilities of the nine classes."""
        dark = 1 - inputs["input"].mean(axis=1)
        probabilities = np.zeros((len(dark), 9, *dark.shape[1:]), np.float32)
        middle = dark.shape[2] // 2
        probabilities[:, 3, :, :middle] = dark[..., :middle]
        probabilities[:, 4, :, middle:] = dark[..., middle:]
        probabilities[:, 0] = 1 - dark
        return [probabilities]


@given(st.integers(0, 150), st.integers(0, 150))
def test_a_place_of_a_parsing_covers_what_the_whole_covers_there(y: int, x: int) -> None:
    image = picture_with_discs(300, 300, [(150, 150, 50)])
    parsing = LightSegmenter(SkinDisc())(image, (face_at(150, 150, 0.5),))
    place = (slice(y, y + 120), slice(x, x + 90))
    here = parsing.within(place).coverage(FACE_STRENGTHS)
    np.testing.assert_allclose(here, parsing.coverage(FACE_STRENGTHS)[place], atol=0.02)


def test_all_of_a_parsing_is_the_parsing() -> None:
    parsing = LightSegmenter(SkinDisc())(picture_with_discs(64, 80, [(40, 30, 20)]), ())
    everything = parsing.within((slice(None), slice(None)))
    assert everything.shape == (64, 80)
    np.testing.assert_array_equal(everything.labels(), parsing.labels())


def test_the_extent_of_a_face_follows_its_scale() -> None:
    assert face_extent(face_at(50, 50, 1.0)) == pytest.approx(256, rel=1e-3)
    assert face_extent(face_at(50, 50, 0.25)) == pytest.approx(64, rel=1e-3)


def test_the_view_of_a_face_lies_where_the_face_is() -> None:
    face = face_at(120, 90, 0.5)
    view = LightSegmenter(SkinDisc())(np.zeros((200, 240, 3), np.uint8), (face,)).faces[0]
    centre = transform_points(_inverse(view), np.array([[191.5, 191.5]], np.float32))
    np.testing.assert_allclose(centre, [[120, 90]], atol=0.5)
    assert affine_scale(view.matrix) == pytest.approx(384 / 256, rel=1e-3)


def _inverse(view: View) -> Affine:
    return invert_affine(view.matrix)
