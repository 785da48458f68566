"""Name the options of each request and turn them into work; no request is read here."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from sfumato.jobs.job import Kind, Part, View, Work
from sfumato.registry import Task
from sfumato.resolve import find_named
from sfumato.segmenters import AUTO
from sfumato.settings import Blend, Options, Settings, find_preset

NAMED: Mapping[str, Task] = {
    "style": "stylizer",
    "restorer": "restorer",
    "segmenter": "segmenter",
    "detector": "detector",
    "recogniser": "recogniser",
}
"""Options that name a model; a path among them is refused, so that nobody reads the server's files."""

Format = Literal["jpeg", "png", "webp", "tiff", "avif"]


def _range(highest: float) -> dict[str, Any]:
    """Return the range for the documentation; `Settings` refuses what lies outside, in its own words."""
    return {"minimum": 0, "maximum": highest}


class Fields(BaseModel):
    """The options of a request; an unknown one is an error."""

    model_config = ConfigDict(extra="forbid")
    kind: ClassVar[Kind]
    parts: ClassVar[Mapping[Part, str]] = {
        "image": "The picture: JPEG, PNG, WebP, TIFF, AVIF or HEIC, told by its content."
    }


class NetworkFields(Fields):
    """The options of all that looks for faces."""

    detector: str | None = Field(None, description="What finds faces; a name of /v1/models.")
    exact: bool | None = Field(None, description="Compute in float32 on every processor.")


class DetectFields(NetworkFields):
    """The options of `detect`."""

    kind: ClassVar[Kind] = "detect"


class SegmentFields(NetworkFields):
    """The options of `segment`."""

    kind: ClassVar[Kind] = "segment"
    segmenter: str | None = Field(None, description="What tells the classes; a name of /v1/models, or auto.")
    view: View = Field("labels", description="A grey PNG of the ids 0 to 8, or colours over the picture.")


class ThumbnailFields(Fields):
    """The options of `thumbnail`."""

    kind: ClassVar[Kind] = "thumbnail"
    side: int = Field(768, ge=16, le=20_000, description="Longest side in pixels.")


class StylizeFields(NetworkFields):
    """The options of `stylize`, which mean what they mean on the command line."""

    kind: ClassVar[Kind] = "stylize"
    parts: ClassVar[Mapping[Part, str]] = {
        **Fields.parts,
        "mask": "A mask of the picture's size: white stays a photo, black is painted; instead of finding the face.",
        "touches": "White and black strokes on a clear ground, of any size: white keeps the photo, black paints.",
        "palette": "A painting whose colours the result takes.",
    }
    preset: str | None = Field(None, description="Settings that go together: paper or paper-plus.")
    style: str | None = Field(None, description="Style of the painting; a name of /v1/models.")
    strength: float | None = Field(None, description="How far it is painted.", json_schema_extra=_range(1))
    preserve: str | None = Field(
        None, description="What stays a photo: face, person, none, or eyes=1,skin=0.6."
    )
    segmenter: str | None = Field(None, description="What finds the face; a name of /v1/models, or auto.")
    restorer: str | None = Field(None, description="What restores faces; a name of /v1/models.")
    restore: float | None = Field(
        None, description="How far blurred faces are restored.", json_schema_extra=_range(1)
    )
    recogniser: str | None = Field(None, description="What measures the likeness.")
    blend: Blend | None = Field(None, description="melt, or the paper's hard edge: paste.")
    paint: float | None = Field(
        None, description="How far kept faces are painted.", json_schema_extra=_range(1)
    )
    feather: float | None = Field(None, description="Softness of the edge.", json_schema_extra=_range(10))
    faces: str | None = Field(
        None, description="all, largest, numbers such as 1,3, or places in the picture such as 0.25:0.4."
    )
    side: int | None = Field(
        None, ge=16, le=20_000, description="Reduce the picture to this longest side first."
    )
    format: Format | None = Field(None, description="Format of the result; by default that of the picture.")
    quality: int = Field(92, ge=1, le=100, description="Of JPEG, WebP and AVIF.")
    metadata: Literal["keep", "strip"] = Field("keep", description="Whether EXIF and XMP go along.")
    layers: bool = Field(False, description="Also keep the picture after each step.")


def to_work(fields: Fields, base: Settings) -> Work:
    """Return what the options ask for, over the server's own settings.

    Raises:
        SettingsError: one names no model of the registry, or is out of range.
    """
    given = fields.model_dump(exclude_none=True)
    for option, task in NAMED.items():
        if option in given:
            given[option] = _check_names(option, task, given[option])
    preset: Options = find_preset(given["preset"]) if "preset" in given else {}
    options = {name: value for name, value in given.items() if name in Settings.__dataclass_fields__}
    settings = replace(base, **{**preset, **options})
    asked = {name: value for name, value in given.items() if name in Work.__dataclass_fields__}
    if "format" in asked:
        asked["format"] = asked["format"].upper()
    return Work(kind=fields.kind, settings=settings, **asked)


def _check_names(option: str, task: Task, text: str) -> str:
    """Return the names of models that an option gives, if there are such."""
    names = [name.strip() for name in text.split(",")] if option == "segmenter" else [text]
    for name in names:
        if (option, name) != ("segmenter", AUTO):
            find_named(name, task)
    return ",".join(names)


def describe_form(fields: type[Fields]) -> dict[str, Any]:
    """Return the OpenAPI description of a form."""
    schema = fields.model_json_schema()
    files = {
        part: {"type": "string", "format": "binary", "description": text}
        for part, text in fields.parts.items()
    }
    schema["properties"] = {**files, **{k: _plain(v) for k, v in schema["properties"].items()}}
    schema["required"] = ["image"]
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an option that may be left out but never be null: a form has no null."""
    options = [option for option in schema.get("anyOf", []) if option.get("type") != "null"]
    plain = {name: value for name, value in schema.items() if name not in ("anyOf", "title")}
    if plain.get("default", "") is None:
        del plain["default"]
    return {**(options[0] if options else {}), **plain}
