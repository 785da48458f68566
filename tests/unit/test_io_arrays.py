"""Arrays and other things that a program hands over: taken as they are, or refused with the remedy."""

from typing import Any

import numpy as np
import pytest

from sfumato.errors import (
    InputError,
    PictureTooLargeError,
)
from sfumato.io import (
    Limits,
    picture_from,
)


def test_an_array_with_nan_is_refused_first() -> None:
    array = np.full((32, 32, 3), np.nan, np.float32)
    with pytest.raises(InputError, match=r"^the picture holds NaN; compute it again without$"):
        picture_from(array)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, np.bool_, np.uint16])
def test_an_array_of_another_type_is_refused_with_the_remedy(kind: type) -> None:
    line = f"the picture is an array of {np.dtype(kind)}; scale it to 0..255, round it, make it uint8"
    with pytest.raises(InputError, match=line):
        picture_from(np.zeros((32, 32, 3), kind))


@pytest.mark.parametrize("shape", [(), (0,), (32, 32), (32, 32, 1), (32, 32, 4), (3, 32, 32), (1, 32, 32, 3)])
def test_an_array_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    named = "x".join(map(str, shape)) or "scalar"
    with pytest.raises(InputError, match=f"the picture is an array of shape {named}; make it HxWx3, RGB"):
        picture_from(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(0, 0, 3), (0, 32, 3)])
def test_an_empty_array_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="use a picture of at least 16 pixels a side"):
        picture_from(np.zeros(shape, np.uint8))


def test_an_array_beyond_the_limit_is_refused() -> None:
    with pytest.raises(PictureTooLargeError):
        picture_from(np.zeros((32, 32, 3), np.uint8), limits=Limits(pixels=1000))


@pytest.mark.parametrize("thing", [None, 3, ["a.jpg"]])
def test_a_thing_that_is_no_picture_is_refused_by_type(thing: Any) -> None:
    line = f"no picture in {type(thing).__name__}; pass a path, bytes, an array or a Pillow image"
    with pytest.raises(InputError, match=line):
        picture_from(thing)
