"""Run one job from its files to its result; whatever happens, it ends as a job that says how."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from sfumato.errors import (
    CancelledJobError,
    OutputError,
    PictureTooLargeError,
    SfumatoError,
    StoppingError,
    TimeLimitError,
)
from sfumato.jobs.bounds import Bounds
from sfumato.jobs.job import Job, Refusal
from sfumato.jobs.painting import STEPS, perform
from sfumato.jobs.store import Store
from sfumato.pipeline import Pipeline
from sfumato.settings import Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Runner:
    """Run jobs; safe to share between threads.

    Attributes:
        store: holds the uploads and takes the results.
        bounds: what is allowed.
        pipeline: hands out the pipeline of settings.
        enter: is told the job and the name of each stage before it begins; what it raises ends the job.
    """

    store: Store
    bounds: Bounds
    pipeline: Callable[[Settings], Pipeline]
    enter: Callable[[str, str], None]

    def run(self, job: Job) -> Job | None:
        """Do a job and return how it ended, or None where it is left to the next server."""
        try:
            if not job.waited_for:
                self.store.put(job)
            return self._done(job)
        except CancelledJobError:
            return replace(job, state="cancelled")
        except StoppingError:
            self._leave(job)
            return None
        except SfumatoError as error:
            return _failed(job, error)
        except MemoryError:
            return _failed(
                job, PictureTooLargeError("the picture needs more memory than there is; scale it down")
            )
        except Exception:  # one picture must never end the server
            _log.exception("a job failed")
            return _failed(job, SfumatoError("the server failed at this picture; its log says why"))

    def _leave(self, job: Job) -> None:
        """Leave a job to the next server as if it had not been begun: an orderly stop is no fault of its picture."""
        if not job.waited_for:
            with suppress(OutputError):
                self.store.put(replace(job, state="queued", started=None, attempts=job.attempts - 1))

    def _done(self, job: Job) -> Job:
        deadline = time.monotonic() + self.bounds.seconds

        def on_stage(stage: str) -> None:
            if time.monotonic() > deadline:
                raise TimeLimitError(
                    f"the job took longer than the {self.bounds.seconds:g} seconds allowed; scale the picture down"
                )
            self.enter(job.id, stage)

        made = perform(
            job.work,
            partial(self.store.file_of, job.id),
            self.pipeline(job.work.settings),
            self.bounds.limits,
            on_stage,
        )
        on_stage(STEPS[job.work.kind][-1])  # the last chance to be cancelled
        if made.data:
            self.store.keep_result(job.id, made.data, made.layers)
        return replace(
            job, state="done", report=made.report, media_type=made.media_type, layers=tuple(made.layers)
        )


def _failed(job: Job, error: SfumatoError) -> Job:
    return replace(job, state="failed", error=Refusal(str(error), error.http_status, type(error).__name__))
