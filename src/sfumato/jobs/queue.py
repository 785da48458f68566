"""Hold the jobs that wait and run, within bounds of number and memory; it runs none and stores none."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sfumato.errors import BusyError, CancelledJobError, StoppingError
from sfumato.jobs.job import Job
from sfumato.jobs.turns import Turns, choose_next, in_turn, take_turn

RETRY_AFTER = 2.0
"""Seconds after which a full queue is worth asking again, at least."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much there is to do.

    Attributes:
        waiting, running: numbers of jobs.
        memory: bytes that the running jobs are estimated to take.
    """

    waiting: int
    running: int
    memory: int


class JobQueue:
    """Jobs in turn between clients; safe to share between threads.

    Attributes:
        length: how many jobs may wait.
        budget: bytes that running jobs may take together; a job that needs more runs alone.
    """

    def __init__(self, length: int, budget: int) -> None:
        self.length = length
        self.budget = budget
        self._changed = threading.Condition()
        self._waiting: list[Job] = []
        self._running: dict[str, Job] = {}
        self._cancelled: set[str] = set()
        self._passed: dict[str, int] = {}
        self._turns: Turns = {}
        self._places = 0
        self._seconds = RETRY_AFTER
        self._accepting = True
        self._closed = False

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place in the queue for a job that is being accepted.

        Raises:
            BusyError: the queue is full.
            StoppingError: the server is about to stop.
        """
        with self._changed:
            if not self._accepting:
                raise StoppingError("the server is stopping; try again in a minute", 60)
            if len(self._waiting) + self._places >= self.length:
                raise BusyError(
                    f"the queue is full ({self.length} jobs are waiting); try again later", self._wait()
                )
            self._places += 1
        try:
            yield
        finally:
            with self._changed:
                self._places -= 1

    def add(self, job: Job) -> None:
        """Let a job wait for its turn."""
        with self._changed:
            self._waiting.append(job)
            self._changed.notify()

    def take(self) -> Job | None:
        """Return the next job as soon as it may run, or None once the queue is closed."""
        with self._changed:
            while not self._closed:
                job = self._choose()
                if job is not None:
                    self._start(job)
                    return job
                self._changed.wait()
            return None

    def finish(self, id: str, seconds: float) -> None:
        """Take a job that ran off the queue.

        Args:
            seconds: how long it took; by them the waiting time of others is estimated.
        """
        with self._changed:
            self._running.pop(id, None)
            self._cancelled.discard(id)
            self._seconds += 0.2 * (seconds - self._seconds)
            self._changed.notify_all()

    def cancel(self, id: str) -> Job | None:
        """Take a waiting job off the queue and return it; a running one ends before its next stage."""
        with self._changed:
            for job in self._waiting:
                if job.id == id:
                    self._waiting.remove(job)
                    self._changed.notify_all()
                    return job
            if id in self._running:
                self._cancelled.add(id)
            return None

    def check(self, id: str) -> None:
        """Raise if a running job is to end before it is done.

        Raises:
            CancelledJobError: it was cancelled.
            StoppingError: the queue was closed.
        """
        with self._changed:
            if self._closed:
                raise StoppingError("the server stopped before the job was done; send it again", 60)
            if id in self._cancelled:
                raise CancelledJobError("the job was cancelled; send it again if you want it after all")

    def position(self, id: str) -> int | None:
        """Return how many jobs will be served up to this one, 1 for the next; None where it does not wait."""
        with self._changed:
            order = [job.id for job in in_turn(self._waiting, self._turns)]
        return order.index(id) + 1 if id in order else None

    def load(self) -> Load:
        """Return how much there is to do."""
        with self._changed:
            need = sum(job.need for job in self._running.values())
            return Load(len(self._waiting), len(self._running), need)

    def refuse_new(self) -> None:
        """Take no more jobs in; those that wait and run are still done."""
        with self._changed:
            self._accepting = False

    def wait_until_empty(self, seconds: float) -> bool:
        """Wait until no job waits or runs, or the queue is closed, and return whether it came to that in time."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._closed or not (self._waiting or self._running), seconds
            )

    def close(self) -> None:
        """Hand out no more jobs, and end those that run before their next stage."""
        with self._changed:
            self._accepting, self._closed = False, True
            self._changed.notify_all()

    @property
    def is_accepting(self) -> bool:
        """Return whether new jobs are taken in."""
        return self._accepting

    def _choose(self) -> Job | None:
        free = self.budget - sum(job.need for job in self._running.values()) if self._running else None
        most = max((job.need for job in self._waiting), default=0)
        return choose_next(self._waiting, self._turns, most if free is None else free, self._passed)

    def _start(self, job: Job) -> None:
        for other in in_turn(self._waiting, self._turns):
            if other.id == job.id:
                break
            self._passed[other.id] = self._passed.get(other.id, 0) + 1
        self._waiting.remove(job)
        self._passed.pop(job.id, None)
        self._running[job.id] = job
        self._turns = take_turn(self._turns, job.client)

    def _wait(self) -> float:
        """Return the seconds until a place is free, by how long jobs took of late."""
        return max(RETRY_AFTER, self._seconds / max(1, len(self._running)))
