"""Say what a service allows; nothing is counted or refused here."""

import os
from dataclasses import dataclass

from sfumato.io import Limits


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the service allows.

    Attributes:
        length: how many jobs may wait.
        memory: bytes that running jobs may take together.
        workers: how many jobs run at once.
        limits: of every uploaded picture.
        seconds: how long a job may run.
        keep: seconds for which finished jobs and their results are kept; 0 forgets a result once it was fetched.
    """

    length: int
    memory: int
    workers: int
    limits: Limits
    seconds: float
    keep: float


def count_workers() -> int:
    """Return how many jobs run at once by default: one for every two processors, which a network keeps busy."""
    return max(1, len(os.sched_getaffinity(0)) // 2)
