"""Paint one picture of a batch from bytes to bytes; every engine calls this, so that all make the same bytes."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

from sfumato.batch.item import Item, Outcome, key_of
from sfumato.errors import PictureTooLargeError, SfumatoError
from sfumato.io import encode_picture, picture_from
from sfumato.io.formats import format_of
from sfumato.pipeline import Pipeline
from sfumato.settings import Settings

Build: TypeAlias = Callable[[Settings], Pipeline]
"""Makes the pipeline of settings."""


@dataclass(frozen=True, slots=True)
class Painted:
    """A result that is not written yet.

    Attributes:
        data: the encoded picture; empty where it failed.
    """

    outcome: Outcome
    data: bytes = b""


class Painter:
    """Paint pictures with pipelines that are built once for each settings.

    Args:
        build: makes a pipeline.
    """

    def __init__(self, build: Build) -> None:
        self._build = build
        self._pipelines: dict[Settings, Pipeline] = {}

    def paint(self, item: Item, data: bytes) -> Painted:
        """Paint one picture; whatever is wrong with it goes into the outcome."""
        start = time.perf_counter()
        try:
            pipeline = self.pipeline(item.settings)
            encoded, report = _paint(pipeline, item, data)
        except SfumatoError as error:
            return Painted(fail(item, error, time.perf_counter() - start))
        except MemoryError:
            large = PictureTooLargeError(f"{item.name} needs more memory than there is; scale it down")
            return Painted(fail(item, large, time.perf_counter() - start))
        content = sha256(data).hexdigest()
        outcome = Outcome(
            item,
            "done",
            key=key_of(content, item, pipeline.models),
            content=content,
            sha256=sha256(encoded).hexdigest(),
            bytes=len(encoded),
            seconds=round(time.perf_counter() - start, 4),
            report=report,
        )
        return Painted(outcome, encoded)

    def pipeline(self, settings: Settings) -> Pipeline:
        """Return the pipeline of settings.

        Raises:
            SfumatoError: as `build_pipeline`.
        """
        if settings not in self._pipelines:
            self._pipelines[settings] = self._build(settings)
        return self._pipelines[settings]


def _paint(pipeline: Pipeline, item: Item, data: bytes) -> tuple[bytes, Mapping[str, object]]:
    result = pipeline.stylize(picture_from(data, name=item.name))
    format = item.writing.format or format_of_target(item.target)
    encoded = encode_picture(
        result.picture, format=format, quality=item.writing.quality, metadata=item.writing.metadata
    )
    report = dict(result.report())
    del report["models"]  # the same for all: the first line of the report names them
    return encoded, report


def format_of_target(target: str) -> str:
    """Return the format that the suffix of a path or address names.

    Raises:
        OutputError: it names none, or its encoder is not installed.
    """
    return format_of(Path(target.rsplit("/", 1)[-1]))


def fail(item: Item, error: SfumatoError, seconds: float = 0.0) -> Outcome:
    """Return the outcome of a picture that cannot be painted."""
    return Outcome(item, "failed", seconds=round(seconds, 4), error=str(error), exit_code=error.exit_code)
