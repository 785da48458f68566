"""Hold the jobs that have not ended, as far as they are, and those who wait for them; it runs and stores none."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from sfumato.jobs.job import Job, Refusal, State

STOPPED = Refusal("the server stopped before the job was done; send it again", 503, "StoppingError")


@dataclass(slots=True)
class _Live:
    job: Job
    stage: str | None = None
    ended: Future[Job] | None = None


class LiveJobs:
    """Jobs by id; safe to share between threads."""

    def __init__(self) -> None:
        self._held: dict[str, _Live] = {}
        self._lock = threading.Lock()

    def add(self, job: Job) -> None:
        """Hold a job that was accepted."""
        with self._lock:
            self._held[job.id] = _Live(job)

    def begin(self, job: Job) -> None:
        """Note that a job has begun to run."""
        with self._lock:
            self._held[job.id].job = job

    def enter(self, id: str, stage: str) -> None:
        """Note the stage of a job."""
        with self._lock:
            self._held[id].stage = stage

    def find(self, id: str) -> tuple[Job, str | None] | None:
        """Return a job and its stage, or None where it is not held."""
        with self._lock:
            live = self._held.get(id)
            return (live.job, live.stage) if live else None

    def wait(self, id: str) -> "Future[Job] | None":
        """Return what will hold a job once it has ended, or None where it has, or is not held."""
        with self._lock:
            live = self._held.get(id)
            if live is None or live.job.is_finished:
                return None
            live.ended = live.ended or Future()
            return live.ended

    def end(self, job: Job, *, saved: bool) -> None:
        """Tell everybody how a job ended; it is held on where it could not be noted on the disk."""
        with self._lock:
            live = self._held.setdefault(job.id, _Live(job))
            live.job = job
            if saved:
                del self._held[job.id]
        if live.ended is not None and not live.ended.done():
            live.ended.set_result(job)

    def drop(self, id: str) -> None:
        """Hold a job no more."""
        with self._lock:
            self._held.pop(id, None)

    def ended(self) -> list[Job]:
        """Return the jobs that have ended and could not be noted."""
        with self._lock:
            return [live.job for live in self._held.values() if live.job.is_finished]

    def dismiss(self, states: Sequence[State]) -> list[str]:
        """Tell the clients who wait for jobs in such a state that nothing becomes of them; return the jobs' ids."""
        with self._lock:
            waited = [
                live for live in self._held.values() if live.job.waited_for and live.job.state in states
            ]
        for live in waited:
            if live.ended is not None and not live.ended.done():
                live.ended.set_result(replace(live.job, state="failed", error=STOPPED))
        return [live.job.id for live in waited]
