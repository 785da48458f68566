"""Paint the planned pictures one after the other with one pipeline; a bad one never stops the rest."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sfumato.apps.cli_inputs import LAYERS, STREAM, Job, written_by
from sfumato.apps.cli_streams import explain_os_error, read_source, write_stream
from sfumato.errors import OutputError, SfumatoError

if TYPE_CHECKING:
    from sfumato.pipeline import Pipeline
    from sfumato.result import Result

SOME_FAILED = 1
"""Exit code when some of several pictures failed."""


@dataclass(frozen=True, slots=True)
class Writing:
    """Say with whose mask pictures are painted and how results are written."""

    mask: Path | None = None
    overwrite: bool = False
    metadata: Literal["keep", "strip"] = "keep"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one picture.

    Attributes:
        report: what was found and measured; None for a failure.
        error, exit_code: the line that says what is wrong and its code; empty and 0 for a success.
    """

    job: Job
    seconds: float
    report: Mapping[str, object] | None = None
    error: str = ""
    exit_code: int = 0

    def describe(self) -> Mapping[str, object]:
        """Return the outcome as JSON values."""
        source = {"input": str(self.job.source)}
        if self.report is None:
            return {**source, "error": self.error, "exit_code": self.exit_code}
        layers = {name: str(self.job.layer_path(name)) for name in LAYERS} if self.job.layers else {}
        return {**source, "output": str(self.job.target), **self.report, "layers": layers}


def prepare_folders(jobs: Sequence[Job]) -> None:
    """Create the folders that will be written to, so that a bad one is known before any work is spent.

    Raises:
        OutputError: one may not be written to.
    """
    files = chain.from_iterable(written_by(job) for job in jobs)
    for folder in {path.parent for path in files if path != STREAM}:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise OutputError(f"no permission to write into {folder}; use another -o")


def paint_jobs(
    pipeline: "Pipeline", jobs: Sequence[Job], writing: Writing, done: Callable[[Outcome], None]
) -> tuple[Outcome, ...]:
    """Paint every job and call `done` after each."""
    outcomes = []
    for job in jobs:
        outcomes.append(paint_job(pipeline, job, writing))
        done(outcomes[-1])
    return tuple(outcomes)


def paint_job(pipeline: "Pipeline", job: Job, writing: Writing) -> Outcome:
    """Paint one picture and write it; what is wrong with a picture or a disk goes into the outcome."""
    start = time.perf_counter()
    try:
        result = paint_source(pipeline, job, writing.mask)
        write_result(result, job, writing)
    except SfumatoError as error:
        return Outcome(job, time.perf_counter() - start, error=str(error), exit_code=error.exit_code)
    except BrokenPipeError:
        raise
    except OSError as error:
        line = explain_os_error(error)
        return Outcome(job, time.perf_counter() - start, error=line, exit_code=OutputError.exit_code)
    return Outcome(job, time.perf_counter() - start, report=result.report())


def paint_source(pipeline: "Pipeline", job: Job, mask: Path | None) -> "Result":
    """Paint one picture, under the user's own mask if there is one."""
    from sfumato.io import picture_from, read_mask

    source = read_source(job.source)
    layers = job.layers is not None
    if mask is None:
        return pipeline.stylize(source, layers=layers)
    picture = picture_from(source)
    height, width = picture.image.shape[:2]
    return pipeline.stylize(picture, mask=read_mask(mask, (height, width)), layers=layers)


def write_result(result: "Result", job: Job, writing: Writing) -> None:
    """Write the layers, where they are kept, and then the painted picture."""
    from sfumato.io import Picture, encode_picture, write_picture

    if job.layers is not None:
        for name in LAYERS:
            write_picture(Picture(result.layers[name]), job.layer_path(name), overwrite=writing.overwrite)
    if job.target == STREAM:
        format = "JPEG" if result.picture.format == "HEIF" else result.picture.format
        write_stream(encode_picture(result.picture, format=format, metadata=writing.metadata))
        return
    result.save(job.target, overwrite=writing.overwrite, metadata=writing.metadata)


def choose_exit_code(outcomes: Sequence[Outcome]) -> int:
    """Return 0 if all went well, the error's own code for a single picture, else 1.

    >>> choose_exit_code([])
    0
    """
    codes = [outcome.exit_code for outcome in outcomes if outcome.error]
    if not codes:
        return 0
    return codes[0] if len(outcomes) == 1 else SOME_FAILED


def describe_outcomes(outcomes: Sequence[Outcome]) -> Mapping[str, object]:
    """Return the whole run as JSON values."""
    return {
        "pictures": [outcome.describe() for outcome in outcomes if not outcome.error],
        "failed": [outcome.describe() for outcome in outcomes if outcome.error],
        "seconds": round(sum(outcome.seconds for outcome in outcomes), 3),
    }
