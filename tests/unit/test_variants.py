"""Laws of the pictures by which robustness is measured."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.evaluation.variants import PERSON, VARIANTS, vary
from sfumato.types import FACE_CLASSES
from tests.unit.portraits import portrait

names = st.sampled_from(sorted(VARIANTS))


@given(names, st.integers(0, 50), st.integers(0, 3))
def test_a_variant_keeps_shapes_and_classes_and_is_drawn_alike_each_time(
    name: str, number: int, seed: int
) -> None:
    sample = portrait(number)
    before = sample.image.copy(), sample.labels.copy()
    harder = vary(sample, name, number, seed=seed)
    assert harder.image.shape == sample.image.shape
    assert harder.image.dtype == np.uint8
    assert harder.labels.shape == sample.labels.shape
    assert set(np.unique(harder.labels)) <= set(np.unique(sample.labels)) | {0, PERSON}
    again = vary(sample, name, number, seed=seed)
    assert np.array_equal(again.image, harder.image)
    assert np.array_equal(again.labels, harder.labels)
    assert np.array_equal(sample.image, before[0])
    assert np.array_equal(sample.labels, before[1])


@pytest.mark.parametrize("name", ["jpeg", "blur", "dark"])
def test_what_changes_light_alone_leaves_the_labels(name: str) -> None:
    sample = portrait(1)
    harder = vary(sample, name, 0)
    assert np.array_equal(harder.labels, sample.labels)
    assert not np.array_equal(harder.image, sample.image)


def test_plain_is_the_picture_itself() -> None:
    sample = portrait(1)
    assert vary(sample, "plain", 0) is sample


def test_dark_pictures_have_a_fifth_of_the_light() -> None:
    sample = portrait(2)
    assert vary(sample, "dark", 0).image.mean() == pytest.approx(0.2 * sample.image.mean(), rel=0.05)


def test_an_occluded_face_is_smaller_by_about_a_fifth_and_changes_only_there() -> None:
    sample = portrait(3)
    harder = vary(sample, "occlusion", 0)
    before, after = (np.isin(labels, FACE_CLASSES) for labels in (sample.labels, harder.labels))
    assert 0.7 < after.sum() / before.sum() < 0.95
    changed = (harder.image != sample.image).any(axis=2)
    assert (harder.labels[changed] == PERSON).all()


def test_a_picture_without_a_face_cannot_be_occluded() -> None:
    sample = portrait(3)
    empty = type(sample)(sample.image, np.zeros_like(sample.labels))
    assert vary(empty, "occlusion", 0) is empty


def test_a_small_face_has_a_sixteenth_of_the_pixels() -> None:
    sample = portrait(4)
    before, after = (np.isin(s.labels, FACE_CLASSES).sum() for s in (sample, vary(sample, "small", 0)))
    assert after / before == pytest.approx(1 / 16, rel=0.1)


def test_a_turned_face_keeps_its_size_and_moves_with_its_labels() -> None:
    sample = portrait(5)
    turned = vary(sample, "rotation", 0)
    before, after = (np.isin(s.labels, FACE_CLASSES).sum() for s in (sample, turned))
    assert after / before == pytest.approx(1, rel=0.02)
    colours = [np.median(s.image[s.labels == 2], axis=0) for s in (sample, turned)]
    assert np.abs(colours[0] - colours[1]).max() <= 1
