"""Accept jobs, have them done by a few threads and answer what became of them; apps are built around it."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from sfumato.errors import (
    OutputError,
    UnknownJobError,
)
from sfumato.jobs.admission import measure_need
from sfumato.jobs.bounds import Bounds
from sfumato.jobs.job import Client, Job, Part, Refusal, State, Work
from sfumato.jobs.live import LiveJobs
from sfumato.jobs.painting import STEPS
from sfumato.jobs.queue import JobQueue, Load
from sfumato.jobs.running import Runner
from sfumato.jobs.store import LAYERS, RESULT, Store
from sfumato.jobs.studio import Studio
from sfumato.pipeline import Pipeline
from sfumato.settings import Settings

MOST_ATTEMPTS = 3
"""How often a job is begun; one whose picture kills the server thrice is not begun again."""

UNFETCHED = 600.0
"""Seconds for which a result that is not to be kept waits to be fetched once."""

TIDYING = 1.0
"""Seconds between two looks for jobs whose time is over."""

LAST_STAGE = 10.0
"""Seconds that a running job has to come to the end of its stage when the server stops."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is.

    Attributes:
        position: how many jobs will be served up to this one; None where it does not wait.
        stage: what is being done.
        part: 0..1, of the stages.
    """

    position: int | None
    stage: str | None
    part: float


class Service:
    """The queue, the store and the threads that do the work; safe to share between threads.

    Args:
        store: where jobs are kept.
        bounds: what is allowed.
        pipeline: hands out the pipeline of settings.
        on_finish: is told of every job that has ended.
        tidy: is called every second, to forget what others remember.
    """

    def __init__(
        self,
        store: Store,
        bounds: Bounds,
        pipeline: Callable[[Settings], Pipeline] | None = None,
        on_finish: Callable[[Job], None] | None = None,
        tidy: Callable[[], None] = lambda: None,
    ) -> None:
        self.bounds = bounds
        self._store = store
        self._queue = JobQueue(bounds.length, bounds.memory)
        self._runner = Runner(store, bounds, pipeline or Studio(remember=False).pipeline, self._enter)
        self._on_finish = on_finish
        self._tidy_others = tidy
        self._live = LiveJobs()
        self._stopped = threading.Event()
        self._refused = 0.0
        self._hurried = False
        self._threads = [
            threading.Thread(target=self._work, name=f"worker-{k}", daemon=True)
            for k in range(bounds.workers)
        ]
        self._threads.append(threading.Thread(target=self._tidy, name="tidy", daemon=True))

    def start(self) -> None:
        """Take up what a former server left undone, and begin to work."""
        for job in self._store.recover():
            if job.attempts < MOST_ATTEMPTS:
                self._enqueue(job)
            else:
                why = (
                    f"the server ended {job.attempts} times while it worked on this picture; try another one"
                )
                self._end(replace(job, state="failed", error=Refusal(why)))
        for thread in self._threads:
            thread.start()

    def accept(
        self, work: Work, uploads: Mapping[Part, BinaryIO], client: Client, *, waited_for: bool
    ) -> Job:
        """Take a job in; unless a client waits for it, it is done even if the server is killed and started anew.

        Args:
            uploads: files that can be read from their beginning; they may be closed afterwards.
            waited_for: the job is cancelled when its client goes away.

        Raises:
            BusyError: the queue is full, or the server is stopping.
            InputError: a picture cannot be used, as far as its header tells, or is beyond the limits.
            OutputError: there is no space for it.
        """
        with self._queue.place():
            need = measure_need(work, uploads, self.bounds)
            job = Job(secrets.token_hex(16), work, client, need, time.time(), waited_for)
            self._store.add(job, uploads)
            self._enqueue(job)
        return job

    def find(self, id: str) -> Job:
        """Return a job as it is now.

        Raises:
            UnknownJobError: there is none, or its time is over.
        """
        live = self._live.find(id)
        job = live[0] if live else self._store.find(id)
        if job is None:
            raise UnknownJobError(
                "there is no such job, or its time is over; results are kept for "
                f"{self.bounds.keep / 60:g} minutes"
            )
        return job

    def progress(self, id: str) -> Progress:
        """Return how far a job is."""
        live = self._live.find(id)
        if live is None:
            return Progress(None, None, 1.0)
        job, stage = live
        steps = STEPS[job.work.kind]
        return Progress(self._queue.position(id), stage, (steps.index(stage) if stage else 0) / len(steps))

    def wait(self, id: str) -> "Future[Job]":
        """Return what will hold the job once it has ended."""
        waiting = self._live.wait(id)
        if waiting is not None:
            return waiting
        ended: Future[Job] = Future()
        ended.set_result(self.find(id))
        return ended

    def cancel(self, id: str) -> None:
        """End a job that waits now and one that runs before its next stage; forget one that has ended, and its files.

        Raises:
            UnknownJobError: there is none.
        """
        job = self.find(id)
        if job.is_finished:
            self.forget(id)
            return
        waiting = self._queue.cancel(id)
        if waiting is not None:
            self._end(replace(waiting, state="cancelled"))

    def result_file(self, id: str, layer: str | None = None) -> Path:
        """Return the file of a job's result, or of one of its layers.

        Raises:
            UnknownJobError: there is no such file: the job has not ended, was not done, or kept no such layer.
        """
        job = self.find(id)
        path = self._store.folder_of(id) / (RESULT if layer is None else f"{LAYERS}/{layer}.png")
        kept = layer in job.layers or (layer is None and job.media_type is not None)
        if job.state == "done" and kept and path.is_file():
            return path
        what = "result" if layer is None else "such layer"
        raise UnknownJobError(f"the job is {job.state} and has no {what}; see its state at /v1/jobs/{id}")

    def fetched(self, id: str) -> None:
        """Forget a job whose result was handed over, where nothing is to be kept."""
        if self.bounds.keep == 0:
            self.forget(id)

    def forget(self, id: str) -> None:
        """Remove a job that has ended, and its files; for want of space its record may stay for a while."""
        self._live.drop(id)
        try:
            self._store.forget(id)
        except OutputError as error:
            _log.warning("a job could not be forgotten: %s", error)

    def load(self) -> Load:
        """Return how much there is to do."""
        return self._queue.load()

    @property
    def is_ready(self) -> bool:
        """Return whether new jobs are taken in and there are threads to do them."""
        return self._queue.is_accepting and all(thread.is_alive() for thread in self._threads)

    def refuse_new(self) -> None:
        """Take no more jobs in; what was accepted is still done."""
        self._refused = self._refused or time.monotonic()
        self._queue.refuse_new()

    def stop(self, seconds: float) -> None:
        """Finish what was accepted; what is left then is done by the next server on the same store.

        Args:
            seconds: how long that may take, from `refuse_new` on.
        """
        self.refuse_new()
        self._queue.wait_until_empty(max(0.0, self._refused + seconds - time.monotonic()))
        self._queue.close()
        self._stopped.set()
        self._dismiss("queued")
        until = time.monotonic() + (0 if self._hurried else LAST_STAGE)
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._dismiss("queued", "running")

    def hurry(self) -> None:
        """Stop at once: what runs is left to the next server, even in the middle of a stage."""
        self._hurried = True
        self._queue.close()

    @property
    def is_working(self) -> bool:
        """Return whether a thread has not ended, as one whose stage took too long for `stop`."""
        return any(thread.is_alive() for thread in self._threads)

    def _dismiss(self, *states: State) -> None:
        """Let clients who wait go, and keep no file of their jobs."""
        for id in self._live.dismiss(states):
            self._store.drop_files(id)

    def _enqueue(self, job: Job) -> None:
        self._live.add(job)
        self._queue.add(job)

    def _work(self) -> None:
        while (taken := self._queue.take()) is not None:
            began = time.monotonic()
            job = replace(taken, state="running", started=time.time(), attempts=taken.attempts + 1)
            self._live.begin(job)
            ended = self._runner.run(job)
            if ended is not None:
                self._end(ended)
            self._queue.finish(job.id, time.monotonic() - began)

    def _enter(self, id: str, stage: str) -> None:
        """Note the stage of a running job, unless it is to end."""
        self._queue.check(id)
        self._live.enter(id, stage)

    def _end(self, job: Job) -> None:
        """Note how a job ended and tell everybody who waits for it."""
        now = time.time()
        job = replace(job, finished=now, expires=now + (self.bounds.keep or UNFETCHED))
        saved = self._save(job)  # before its upload is gone, which a new server would need
        if job.state == "done":
            self._store.drop_uploads(job.id)
        else:
            self._store.drop_files(job.id)
        self._live.end(job, saved=saved)
        if self._on_finish is not None:
            self._on_finish(job)

    def _save(self, job: Job) -> bool:
        try:
            self._store.put(job)
        except OutputError as error:
            _log.warning("a job could not be noted: %s", error)
            return False
        return True

    def _tidy(self) -> None:
        """Forget jobs whose time is over, and note those that could not be noted for want of space."""
        while not self._stopped.wait(TIDYING):
            self._tidy_others()
            for id in self._store.expired(time.time()):
                self.forget(id)
            for job in self._live.ended():
                if self._save(job):
                    self._live.drop(job.id)
