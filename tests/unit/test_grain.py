"""Laws of the canvas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.stages.grain import PERIOD, grain

places = st.integers(-2000, 2000)


@given(places, places, st.integers(1, 40), st.integers(1, 40))
def test_a_part_is_that_of_the_whole_wherever_it_starts(y: int, x: int, height: int, width: int) -> None:
    whole = grain((y - 5, y + height + 5), (x - 7, x + width + 7))
    np.testing.assert_array_equal(grain((y, y + height), (x, x + width)), whole[5:-5, 7:-7])


def test_the_field_repeats_without_a_seam() -> None:
    field = grain((0, PERIOD), (0, PERIOD))
    inner = np.abs(np.diff(field, axis=0)).mean()
    seam = np.abs(field[0] - field[-1]).mean()
    assert seam == pytest.approx(inner, rel=0.15)
    np.testing.assert_array_equal(field, grain((PERIOD, 2 * PERIOD), (-PERIOD, 0)))


def test_the_field_has_mean_0_and_deviation_1() -> None:
    field = grain((0, PERIOD), (0, PERIOD))
    assert abs(float(field.mean())) < 1e-3
    assert float(field.std()) == pytest.approx(1, abs=1e-3)


def test_the_field_is_the_same_everywhere_and_has_no_pattern() -> None:
    """Its levels are fixed, as pictures must not change with the version of numpy; neighbours far off are unlike."""
    field = grain((0, PERIOD), (0, PERIOD)).astype(np.float64)
    assert field[0, :3].tolist() == pytest.approx([-1.8723, -1.8593, -1.3897], abs=2e-3)
    spectrum = np.abs(np.fft.ifft2(np.abs(np.fft.fft2(field)) ** 2)) / field.size
    spectrum[:24, :24] = spectrum[-24:, :24] = spectrum[:24, -24:] = spectrum[-24:, -24:] = 0
    assert spectrum.max() < 0.1
