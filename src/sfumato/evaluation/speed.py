"""Time one network on this processor; it measures no quality."""

import statistics
import time
from dataclasses import dataclass

import numpy as np

from sfumato.backends import Backend


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds of single runs after three that are not counted."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.1f} ms ({self.least:.1f} to {self.most:.1f})"


def time_network(backend: Backend, side: int, *, runs: int = 20, seed: int = 0) -> Timing:
    """Return how long one picture of `side` x `side` takes, noise for a picture."""
    picture = np.random.default_rng(seed).random((1, 3, side, side), dtype=np.float32)
    seconds = []
    for _ in range(runs + 3):
        start = time.perf_counter()
        backend.run({"input": picture})
        seconds.append(1000 * (time.perf_counter() - start))
    counted = seconds[3:]
    return Timing(statistics.median(counted), min(counted), max(counted))
