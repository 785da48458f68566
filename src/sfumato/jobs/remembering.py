"""Remember what networks made of small pictures, so that a preview computes only what a change calls for."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Made = TypeVar("Made")

Argument: TypeAlias = NDArray[Any] | Sequence[Hashable]
"""A picture, or values such as faces."""

PIXELS = 640 * 640
"""Of the largest picture of which anything is remembered: that of a preview."""

SECONDS = 300.0
"""For which a result is remembered that nobody asks for again."""


@dataclass(frozen=True, slots=True)
class _Memory(Generic[Made]):
    made: Made
    until: float


class Remembering(Generic[Made]):
    """A function of pictures that answers equal calls with what it made before; safe to share between threads.

    Args:
        compute: makes the same of the same. An array that it returns is copied for each caller; anything else must be
            changed by none.
        most: how many results are remembered.
        clock: seconds that only grow.
    """

    def __init__(
        self, compute: Callable[..., Made], most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._compute = compute
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._held: OrderedDict[Hashable, _Memory[Made]] = OrderedDict()

    def __call__(self, *args: Argument) -> Made:
        """Return what the function makes of images and sequences of values."""
        if any(_is_large(each) for each in args):
            return self._compute(*args)
        key = tuple(_fingerprint(each) for each in args)
        with self._lock:
            memory = self._held.get(key)
        made = self._compute(*args) if memory is None else memory.made
        with self._lock:
            self._held[key] = _Memory(made, self._clock() + SECONDS)
            self._held.move_to_end(key)
            if len(self._held) > self._most:
                self._held.popitem(last=False)
        return made.copy() if isinstance(made, np.ndarray) else made

    def tidy(self) -> None:
        """Forget what nobody asked for in the last minutes."""
        now = self._clock()
        with self._lock:
            for key in [key for key, memory in self._held.items() if memory.until <= now]:
                del self._held[key]


def _is_large(value: Argument) -> bool:
    return isinstance(value, np.ndarray) and value.shape[0] * value.shape[1] > PIXELS


def _fingerprint(value: Argument) -> Hashable:
    """Return what is the same for equal values only."""
    if isinstance(value, np.ndarray):
        content = np.ascontiguousarray(value)
        return value.shape, value.dtype.str, blake2b(content.data, digest_size=32).digest()
    return tuple(value)
