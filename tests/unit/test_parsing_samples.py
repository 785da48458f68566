"""Training samples, the loss and the starting weights of the segmenter, on portraits drawn by the test."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import InputError
from sfumato.training.parsing_losses import parsing_loss
from sfumato.training.parsing_occluders import occlude_sample
from sfumato.training.parsing_samples import (
    FLIPPED_CLASS,
    NO_FACE,
    SOMEBODY,
    UNKNOWN,
    Sample,
    flip_sample,
    near_faces,
    read_people,
    read_rgb,
    read_unmasked,
)
from sfumato.training.parsing_scenes import ParsingSource, compose_sample
from sfumato.training.photometry import vary_photo
from sfumato.types import Face, Image
from tests.unit.portraits import portrait, write_surroundings

FACE = Face((10.0, 20.0, 30.0, 40.0), ((15, 25), (25, 25), (20, 30), (16, 35), (24, 35)), 0.9)


def find_one(_: Image) -> list[Face]:
    return [FACE]


def find_none(_: Image) -> list[Face]:
    return []


@pytest.fixture
def source() -> ParsingSource:
    portraits = [portrait(k) for k in range(3)]
    people = [Sample(p.image, np.where(p.labels > 0, SOMEBODY, 0).astype(np.uint8)) for p in portraits]
    return ParsingSource(
        portraits, people, [np.random.default_rng(9).integers(0, 256, (90, 110, 3), np.uint8)]
    )


@given(st.integers(0, 2**31))
def test_a_flip_swaps_the_sides_and_twice_is_the_identity(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sample = Sample(
        rng.integers(0, 256, (7, 9, 3), dtype=np.uint8), rng.integers(0, 12, (7, 9), dtype=np.uint8)
    )
    flipped = flip_sample(sample)
    for left, right in ((3, 4), (5, 6)):
        np.testing.assert_array_equal(flipped.labels == left, (sample.labels == right)[:, ::-1])
    np.testing.assert_array_equal(flip_sample(flipped).labels, sample.labels)
    np.testing.assert_array_equal(flip_sample(flipped).image, sample.image)
    assert sorted(FLIPPED_CLASS) == list(range(12))


@pytest.mark.parametrize("seed", range(25))
def test_samples_have_the_size_and_the_ids_asked_for(source: ParsingSource, seed: int) -> None:
    sample = compose_sample(source, 64, np.random.default_rng(seed))
    assert sample.image.shape == (64, 64, 3)
    assert sample.labels.shape == (64, 64)
    assert sample.image.dtype == sample.labels.dtype == np.uint8
    assert sample.labels.max() <= UNKNOWN


def test_samples_repeat_by_their_seed(source: ParsingSource) -> None:
    first, second = (compose_sample(source, 64, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.labels, second.labels)


def test_varying_a_photo_keeps_its_shape_and_its_argument() -> None:
    image = portrait(0).image
    before = image.copy()
    for seed in range(20):
        varied = vary_photo(image, np.random.default_rng(seed))
        assert varied.shape == image.shape
        assert varied.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


def test_photos_of_people_are_read_with_their_masks(tmp_path: Path) -> None:
    write_surroundings(tmp_path)
    people = read_people(tmp_path / "people", find_one)
    assert set(np.unique(people[0].labels)) == {0, 1, SOMEBODY}
    assert read_people(tmp_path / "people", find_one, longest=64)[0].image.shape == (64, 64, 3)


def test_near_a_face_is_its_box_widened_within_the_picture() -> None:
    near = near_faces(np.zeros((44, 50, 3), np.uint8), find_one)
    expected = np.zeros((44, 50), bool)
    expected[13:44, 3:37] = True
    np.testing.assert_array_equal(near, expected)


def test_people_away_from_faces_are_person_and_never_face(tmp_path: Path) -> None:
    write_surroundings(tmp_path)
    assert set(np.unique(read_people(tmp_path / "people", find_none)[0].labels)) == {0, 1}
    labels = read_unmasked(tmp_path / "photos", find_one)[0].labels
    assert set(np.unique(labels)) == {NO_FACE, UNKNOWN}
    assert labels[30, 20] == UNKNOWN and labels[60, 70] == NO_FACE


def test_a_photo_of_people_without_a_found_face_is_left_out(tmp_path: Path) -> None:
    write_surroundings(tmp_path)
    assert read_unmasked(tmp_path / "photos", find_none) == []


@given(st.integers(0, 2**31))
def test_an_occluder_turns_pixels_into_person_or_background_only(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sample, donor = portrait(seed, 64), portrait(seed + 1, 96)
    covered = occlude_sample(sample, donor, np.zeros((64, 64, 3), np.uint8), rng)
    changed = covered.labels != sample.labels
    assert set(np.unique(covered.labels[changed])) <= {0, 1}
    far = cv2.dilate((covered.labels != sample.labels).astype(np.uint8), np.ones((5, 5))) == 0
    same_label = (sample.labels == 1) | (sample.labels == 0)
    np.testing.assert_array_equal(covered.image[far & ~same_label], sample.image[far & ~same_label])


def test_a_broken_training_picture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.jpg"
    path.write_text("no picture")
    with pytest.raises(InputError, match=r"broken\.jpg cannot be decoded"):
        read_rgb(path)


def test_the_loss_is_small_only_for_the_right_labels() -> None:
    labels = torch.from_numpy(portrait(0, 64).labels.astype(np.int64))[None]
    right = 20 * torch.nn.functional.one_hot(labels, 9).movedim(-1, 1).float()
    assert parsing_loss(right, labels) < 0.01
    assert parsing_loss(right.roll(1, dims=1), labels) > 1


@pytest.mark.parametrize("chosen", [1, 4, 8])
def test_somebody_may_be_any_class_but_background(chosen: int) -> None:
    labels = torch.full((1, 8, 8), SOMEBODY)
    logits = torch.zeros(1, 9, 8, 8)
    logits[:, chosen] = 30
    assert parsing_loss(logits, labels) < 1e-3
    logits[:, 0] = 60
    assert parsing_loss(logits, labels) > 5


@pytest.mark.parametrize("chosen", [0, 1])
def test_no_face_may_be_background_or_person(chosen: int) -> None:
    labels = torch.full((1, 8, 8), NO_FACE)
    logits = torch.zeros(1, 9, 8, 8)
    logits[:, chosen] = 30
    assert parsing_loss(logits, labels) < 1e-3
    logits[:, 5] = 60
    assert parsing_loss(logits, labels) > 5


def test_unknown_pixels_ask_for_nothing() -> None:
    logits = torch.randn(1, 9, 8, 8, requires_grad=True)
    loss = parsing_loss(logits, torch.full((1, 8, 8), UNKNOWN))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert logits.grad is not None and not logits.grad.any()
