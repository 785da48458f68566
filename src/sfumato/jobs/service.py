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
    PictureTooLargeError,
    UnknownJobError,
)
from sfumato.io import measure_picture
from sfumato.jobs.bounds import Bounds
from sfumato.jobs.job import Client, Job, Part, Refusal, State, Work
from sfumato.jobs.memory import estimate_need
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


@dataclass(slots=True)
class _Live:
    """A job that has not ended yet, as far as it is."""

    job: Job
    stage: str | None = None
    ended: Future[Job] | None = None


class Service:
    """The queue, the store and the threads that do the work; safe to share between threads.

    Args:
        store: where jobs are kept.
        bounds: what is allowed.
        pipeline: hands out the pipeline of settings.
        on_finish: is told of every job that has ended.
    """

    def __init__(
        self,
        store: Store,
        bounds: Bounds,
        pipeline: Callable[[Settings], Pipeline] | None = None,
        on_finish: Callable[[Job], None] | None = None,
    ) -> None:
        self.bounds = bounds
        self._store = store
        self._queue = JobQueue(bounds.length, bounds.memory)
        self._runner = Runner(store, bounds, pipeline or Studio().pipeline, self._enter)
        self._on_finish = on_finish
        self._live: dict[str, _Live] = {}
        self._lock = threading.Lock()
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
            need = self._measure(work, uploads)
            job = Job(secrets.token_hex(16), work, client, need, time.time(), waited_for)
            self._store.add(job, uploads)
            self._enqueue(job)
        return job

    def find(self, id: str) -> Job:
        """Return a job as it is now.

        Raises:
            UnknownJobError: there is none, or its time is over.
        """
        with self._lock:
            live = self._live.get(id)
        job = live.job if live else self._store.find(id)
        if job is None:
            raise UnknownJobError(
                "there is no such job, or its time is over; results are kept for "
                f"{self.bounds.keep / 60:g} minutes"
            )
        return job

    def progress(self, id: str) -> Progress:
        """Return how far a job is."""
        with self._lock:
            live = self._live.get(id)
        if live is None:
            return Progress(None, None, 1.0)
        steps = STEPS[live.job.work.kind]
        done = steps.index(live.stage) if live.stage else 0
        return Progress(self._queue.position(id), live.stage, done / len(steps))

    def wait(self, id: str) -> "Future[Job]":
        """Return what will hold the job once it has ended."""
        with self._lock:
            live = self._live.get(id)
            if live is not None and not live.job.is_finished:
                live.ended = live.ended or Future()
                return live.ended
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
        with self._lock:
            self._live.pop(id, None)
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
        """Tell the clients who wait for jobs in such a state that nothing becomes of them, and keep no file."""
        refusal = Refusal("the server stopped before the job was done; send it again", 503, "StoppingError")
        with self._lock:
            waited = [
                live for live in self._live.values() if live.job.waited_for and live.job.state in states
            ]
        for live in waited:
            self._store.drop_files(live.job.id)
            if live.ended is not None and not live.ended.done():
                live.ended.set_result(replace(live.job, state="failed", error=refusal))

    def _measure(self, work: Work, uploads: Mapping[Part, BinaryIO]) -> int:
        """Return the memory that a job will need, after a look at the headers of all pictures."""
        shapes = {}
        for part, stream in uploads.items():
            name = "the picture" if part == "image" else f"the {part}"
            shapes[part] = measure_picture(stream, limits=self.bounds.limits, name=name)
            stream.seek(0)
        need = estimate_need(work, shapes["image"])
        if need > self.bounds.memory:
            height, width = shapes["image"]
            raise PictureTooLargeError(
                f"the picture of {width}x{height} pixels needs about {need / 1e9:.1f} GB of memory here, where "
                f"{self.bounds.memory / 1e9:.1f} GB are allowed; scale it down"
            )
        return need

    def _enqueue(self, job: Job) -> None:
        with self._lock:
            self._live[job.id] = _Live(job)
        self._queue.add(job)

    def _work(self) -> None:
        while (taken := self._queue.take()) is not None:
            began = time.monotonic()
            job = replace(taken, state="running", started=time.time(), attempts=taken.attempts + 1)
            with self._lock:
                self._live[job.id].job = job
            ended = self._runner.run(job)
            if ended is not None:
                self._end(ended)
            self._queue.finish(job.id, time.monotonic() - began)

    def _enter(self, id: str, stage: str) -> None:
        """Note the stage of a running job, unless it is to end."""
        self._queue.check(id)
        with self._lock:
            self._live[id].stage = stage

    def _end(self, job: Job) -> None:
        """Note how a job ended and tell everybody who waits for it."""
        now = time.time()
        job = replace(job, finished=now, expires=now + (self.bounds.keep or UNFETCHED))
        saved = self._save(job)  # before its upload is gone, which a new server would need
        if job.state == "done":
            self._store.drop_uploads(job.id)
        else:
            self._store.drop_files(job.id)
        with self._lock:
            live = self._live[job.id] if job.id in self._live else _Live(job)
            live.job = job
            if saved:
                self._live.pop(job.id, None)
        if live.ended is not None and not live.ended.done():
            live.ended.set_result(job)
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
            for id in self._store.expired(time.time()):
                self.forget(id)
            with self._lock:
                ended = [live.job for live in self._live.values() if live.job.is_finished]
            for job in ended:
                if self._save(job):
                    with self._lock:
                        self._live.pop(job.id, None)
