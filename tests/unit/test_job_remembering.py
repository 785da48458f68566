"""What is remembered of small pictures: the same answers, once computed, for a while, and nobody else's to change."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sfumato.jobs.remembering import PIXELS, SECONDS, Remembering
from sfumato.jobs.studio import Studio
from sfumato.resolve import Opened
from sfumato.types import Image

HELD = 3


class Counted:
    """Adds what is given to an image, and counts how often it is asked to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, image: Image, values: Sequence[int] = ()) -> Image:
        self.calls += 1
        return np.asarray(image + sum(values), np.uint8)


def flat(value: int, side: int = 4) -> Image:
    return np.full((side, side, 3), value, np.uint8)


@given(st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 2), max_size=2)), max_size=40))
def test_what_is_remembered_is_what_would_be_computed(calls: list[tuple[int, list[int]]]) -> None:
    counted = Counted()
    remembering = Remembering(counted, HELD)
    for value, values in calls:
        np.testing.assert_array_equal(remembering(flat(value), values), flat(value + sum(values)))
    assert counted.calls <= len(calls)


def test_equal_calls_compute_once_whatever_became_of_the_first_answer() -> None:
    counted = Counted()
    remembering = Remembering(counted, HELD)
    first = remembering(flat(1), [2])
    first[:] = 99
    np.testing.assert_array_equal(remembering(flat(1), (2,)), flat(3))
    assert counted.calls == 1


def test_pictures_of_another_shape_or_depth_are_others() -> None:
    counted = Counted()
    remembering = Remembering(counted, HELD)
    for image in (np.zeros((2, 8), np.uint8), np.zeros((8, 2), np.uint8), np.zeros((4, 4), np.uint8)):
        assert remembering(image).shape == image.shape
    remembering(np.zeros((2, 4), np.uint16))
    assert counted.calls == 4


def test_large_pictures_are_not_remembered() -> None:
    counted = Counted()
    remembering = Remembering(counted, HELD)
    side = int(PIXELS**0.5)
    for size, calls in ((side, 1), (side, 1), (side + 1, 2), (side + 1, 3)):
        remembering(flat(1, size))
        assert counted.calls == calls


def test_the_last_few_are_remembered() -> None:
    counted = Counted()
    remembering = Remembering(counted, HELD)
    for value in range(HELD + 1):
        remembering(flat(value))
    remembering(flat(HELD))
    assert counted.calls == HELD + 1
    remembering(flat(0))
    assert counted.calls == HELD + 2


def test_what_nobody_asks_for_is_forgotten_after_its_time() -> None:
    counted, now = Counted(), [0.0]
    remembering = Remembering(counted, HELD, lambda: now[0])
    remembering(flat(1))
    now[0] = 0.9 * SECONDS
    remembering(flat(1))
    now[0] = 1.8 * SECONDS
    remembering.tidy()
    remembering(flat(1))
    assert counted.calls == 1
    now[0] = 2.8 * SECONDS
    remembering.tidy()
    assert not remembering._held


def test_a_studio_tidies_all_that_it_remembers() -> None:
    studio, now = Studio(), [0.0]
    opened = studio._opened(lambda name, *_, **__: Opened(Counted(), name, "0" * 64), "a", "cpu", exact=False)
    memory = opened.stage
    assert isinstance(memory, Remembering)
    memory._clock = lambda: now[0]
    memory(flat(1))
    now[0] = 2 * SECONDS
    studio.tidy()
    assert not memory._held
