"""Say what a service allows; nothing is counted or refused here."""

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


def count_workers(processors: int) -> int:
    """Return how many jobs run at once by default: two at least, for one alone leaves processors idle.

    >>> [count_workers(processors) for processors in (1, 2, 4, 16)]
    [1, 2, 2, 8]
    """
    return min(processors, max(2, processors // 2))


def count_threads(processors: int, workers: int) -> int:
    """Return how many threads the networks of each job take: twice their share, as no job is always busy.

    >>> [count_threads(16, workers) for workers in (1, 2, 8, 16, 64)]
    [16, 16, 4, 2, 1]
    """
    return min(processors, max(1, 2 * processors // workers))
