"""Paint one picture of a batch from bytes to bytes; every engine calls this, so that all make the same bytes."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

from sfumato.batch.item import Item, Outcome, key_of
from sfumato.errors import PictureTooLargeError, SfumatoError
from sfumato.io import picture_from
from sfumato.io.formats import format_of
from sfumato.pipeline import Pipeline
from sfumato.recipe import Recipe, Writing, make_recipe, sidecar_bytes, used_file
from sfumato.recipe_embedding import encode_painting, has_credentials
from sfumato.settings import Settings
from sfumato.signing import sign

Build: TypeAlias = Callable[[Settings], Pipeline]
"""Makes the pipeline of settings."""


@dataclass(frozen=True, slots=True)
class Painted:
    """A result that is not written yet.

    Attributes:
        data: the encoded picture; empty where it failed.
        sidecar: what is written beside it; empty where nothing is.
    """

    outcome: Outcome
    data: bytes = b""
    sidecar: bytes = b""

    @property
    def files(self) -> dict[str, bytes]:
        """Return what is to be written, by where it goes: the painting and, where it is asked for, the recipe."""
        return (
            dict(zip(self.outcome.item.targets, (self.data, self.sidecar), strict=False)) if self.data else {}
        )


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
            encoded, recipe, report = _paint(pipeline, item, data)
        except SfumatoError as error:
            return Painted(fail(item, error, time.perf_counter() - start))
        except MemoryError:
            large = PictureTooLargeError(f"{item.name} needs more memory than there is; scale it down")
            return Painted(fail(item, large, time.perf_counter() - start))
        content = recipe.source.sha256
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
        return Painted(outcome, encoded, sidecar_bytes(recipe) if recipe.writing.recipe == "sidecar" else b"")

    def pipeline(self, settings: Settings) -> Pipeline:
        """Return the pipeline of settings.

        Raises:
            SfumatoError: as `build_pipeline`.
        """
        if settings not in self._pipelines:
            self._pipelines[settings] = self._build(settings)
        return self._pipelines[settings]


def _paint(pipeline: Pipeline, item: Item, data: bytes) -> tuple[bytes, Recipe, Mapping[str, object]]:
    picture = picture_from(data, name=item.name)
    height, width = picture.image.shape[:2]
    result = pipeline.stylize(picture)
    source, writing = used_file(data, item.source), _writing(item)
    recipe = make_recipe(item.settings, result.models, source, (width, height), writing)
    encoded = encode_painting(result.picture, recipe)
    if item.writing.certificate and item.writing.key:
        encoded = sign(encoded, writing.format, Path(item.writing.certificate), Path(item.writing.key))
    report = dict(result.report())
    del report["models"]  # the same for all: the first line of the report names them
    return encoded, recipe, report | describe_credentials(data)


def _writing(item: Item) -> Writing:
    wanted = item.writing
    format = wanted.format or format_of_target(item.target)
    return Writing(format, wanted.quality, wanted.metadata, wanted.recipe)


def describe_credentials(data: bytes) -> dict[str, object]:
    """Return what a report says of Content Credentials of the source; nothing where there are none."""
    return {"credentials": "not carried over"} if has_credentials(data) else {}


def format_of_target(target: str) -> str:
    """Return the format that the suffix of a path or address names.

    Raises:
        OutputError: it names none, or its encoder is not installed.
    """
    return format_of(Path(target.rsplit("/", 1)[-1]))


def fail(item: Item, error: SfumatoError, seconds: float = 0.0) -> Outcome:
    """Return the outcome of a picture that cannot be painted."""
    return Outcome(item, "failed", seconds=round(seconds, 4), error=str(error), exit_code=error.exit_code)
