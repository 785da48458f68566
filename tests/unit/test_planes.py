"""Pictures as planes of a network and back, against plain transposition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from sfumato.stages.planes import fill_planes, to_batch, to_picture
from sfumato.types import Image

sides = st.integers(1, 12)
pictures = st.tuples(sides, sides).flatmap(lambda side: arrays(np.uint8, (*side, 3)))


@given(pictures)
def test_planes_are_the_transposed_picture_in_the_unit_range(picture: Image) -> None:
    expected = picture.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(to_batch([picture])[0], expected)


@given(pictures)
def test_there_and_back_is_the_same_picture(picture: Image) -> None:
    np.testing.assert_array_equal(to_picture(to_batch([picture])[0]), picture)


@given(pictures)
def test_a_mirrored_view_needs_no_copy_of_the_caller(picture: Image) -> None:
    plain, mirrored = to_batch([picture, picture[:, ::-1]])
    np.testing.assert_array_equal(mirrored, plain[:, :, ::-1])


@given(arrays(np.float32, (5, 4, 3), elements=st.floats(-20, 300, width=32)))
def test_levels_between_the_bytes_are_kept_and_rounded_only_on_the_way_back(
    levels: NDArray[np.float32],
) -> None:
    planes = to_batch([levels])[0]
    np.testing.assert_array_equal(planes, levels.transpose(2, 0, 1) / np.float32(255))
    exact = np.clip(planes.astype(np.float64).transpose(1, 2, 0) * 255, 0, 255)
    assert np.abs(to_picture(planes) - exact).max() <= 0.5 + 1e-4


def test_a_part_of_larger_planes_is_filled() -> None:
    planes = np.full((3, 4, 5), 0.5, np.float32)
    fill_planes(np.full((2, 3, 3), 255, np.uint8), planes[:, :2, :3])
    assert planes.sum() == pytest.approx(3 * (6 + 0.5 * 14))
