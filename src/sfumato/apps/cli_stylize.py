"""Paint the planned pictures one after the other with one pipeline; a bad one never stops the rest."""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sfumato.apps.cli_inputs import LAYERS, STREAM, Job, written_by
from sfumato.apps.cli_recipe import Signing
from sfumato.apps.cli_streams import explain_os_error, read_source, write_stream
from sfumato.errors import OutputError, SfumatoError

if TYPE_CHECKING:
    from sfumato.io import Picture
    from sfumato.pipeline import Pipeline
    from sfumato.recipe import Place, Recipe, UsedFile
    from sfumato.recipe import Writing as RecipeWriting
    from sfumato.result import Result
    from sfumato.types import Mask

SOME_FAILED = 1
"""Exit code when some of several pictures failed."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Writing:
    """Say with whose mask pictures are painted and how results are written, and by whom they are signed."""

    mask: Path | None = None
    overwrite: bool = False
    metadata: Literal["keep", "strip"] = "keep"
    recipe: "Place" = "embed"
    signing: Signing | None = None


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
        result, recipe = paint_source(pipeline, job, writing)
        write_result(result, recipe, job, writing)
    except SfumatoError as error:
        return Outcome(job, time.perf_counter() - start, error=str(error), exit_code=error.exit_code)
    except BrokenPipeError:
        raise
    except OSError as error:
        line = explain_os_error(error)
        return Outcome(job, time.perf_counter() - start, error=line, exit_code=OutputError.exit_code)
    return Outcome(job, time.perf_counter() - start, report=result.report())


def paint_source(pipeline: "Pipeline", job: Job, writing: Writing) -> "tuple[Result, Recipe]":
    """Paint one picture, under the user's own mask if there is one, and say how it was done."""
    from sfumato.clock import Clock
    from sfumato.io import picture_from, read_bytes
    from sfumato.recipe import make_recipe, used_file

    source, clock = read_source(job.source), Clock()
    name = None if isinstance(source, bytes) else str(source)
    with clock.stage("read"):
        data = read_bytes(source, name=name)
        picture = picture_from(data, name=name)
    tell_lost_credentials(data, name)
    height, width = picture.image.shape[:2]
    mask, used = (None, None) if writing.mask is None else read_own_mask(writing.mask, picture)
    result = pipeline.stylize(picture, mask=mask, layers=job.layers is not None)
    form = _form(job, picture, writing)
    recipe = make_recipe(pipeline.settings, result.models, used_file(data, name), (width, height), form)
    result = replace(result, timings={**result.timings, **clock.timings})
    return result, recipe if used is None else replace(recipe, parts={"mask": used})


def read_own_mask(path: Path, picture: "Picture") -> "tuple[Mask, UsedFile]":
    """Return the user's own mask of a picture, and what a recipe notes of it."""
    from sfumato.io import read_bytes, read_mask
    from sfumato.recipe import used_file

    height, width = picture.image.shape[:2]
    data = read_bytes(path)
    return read_mask(data, (height, width), name=str(path)), used_file(data, path)


def tell_lost_credentials(data: bytes, name: str | None) -> None:
    """Say that a painting does not carry the Content Credentials of its photo."""
    from sfumato.recipe_embedding import has_credentials

    if has_credentials(data):
        _log.info(
            "%s: its Content Credentials (C2PA) are not carried over, as they vouch for the photo alone",
            name or "the picture",
        )


def _form(job: Job, picture: "Picture", writing: Writing) -> "RecipeWriting":
    """Return how the result is written."""
    from sfumato.io import format_of
    from sfumato.recipe import Writing as RecipeWriting

    by_content = "JPEG" if picture.format == "HEIF" else picture.format
    format = by_content if job.target == STREAM else format_of(job.target)
    return RecipeWriting(format, metadata=writing.metadata, recipe=writing.recipe)


def write_result(result: "Result", recipe: "Recipe", job: Job, writing: Writing) -> None:
    """Write the layers, where they are kept, then the recipe, where it lies beside, and then the painted picture."""
    from sfumato.io import Picture, write_bytes, write_picture
    from sfumato.recipe import sidecar_bytes, sidecar_of
    from sfumato.recipe_embedding import encode_painting

    if job.layers is not None:
        for name in LAYERS:
            write_picture(Picture(result.layers[name]), job.layer_path(name), overwrite=writing.overwrite)
    encoded = sign_result(encode_painting(result.picture, recipe), recipe.writing.format, writing.signing)
    if job.target == STREAM:
        write_stream(encoded)
        return
    if writing.recipe == "sidecar":
        write_bytes(sidecar_bytes(recipe), sidecar_of(job.target), overwrite=writing.overwrite)
    write_bytes(encoded, job.target, overwrite=writing.overwrite)


def sign_result(encoded: bytes, format: str, signing: Signing | None) -> bytes:
    """Return the picture, signed if there is somebody who signs."""
    if signing is None:
        return encoded
    from sfumato.signing import sign

    return sign(encoded, format, signing.certificate, signing.key)


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
