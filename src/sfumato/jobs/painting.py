"""Do the work of one job with a pipeline: read, compute, encode; it keeps nothing and serves nobody."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias, get_args

import cv2
import numpy as np

from sfumato.clock import OnStage
from sfumato.errors import SettingsError
from sfumato.io import Limits, Picture, encode_labels, encode_picture, read_mask, read_picture, read_touches
from sfumato.jobs.job import Kind, Part, Work
from sfumato.labels import colour_classes, measure_classes
from sfumato.pipeline import STAGES, Pipeline
from sfumato.recipe import Recipe, Writing, choose_place, make_recipe, used_file
from sfumato.recipe_embedding import encode_painting
from sfumato.result import Result, describe_face
from sfumato.stages.palette import InPalette, measure_palette
from sfumato.types import Mask, Touches

Files: TypeAlias = Callable[[Part], Path | None]
"""Returns where an uploaded file lies, or None where there is none."""

WRITE = "write"
"""Name of the stage in which the result is encoded."""

STEPS: Mapping[Kind, tuple[str, ...]] = {
    "stylize": (*STAGES, WRITE),
    "detect": ("read", "detect"),
    "segment": ("read", "detect", "segment", WRITE),
    "thumbnail": ("read", WRITE),
}
"""Names of the stages of each kind of work, in their order."""

MEDIA_TYPES: Mapping[str, str] = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
}

SUFFIXES: Mapping[str, str] = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/tiff": ".tiff",
    "image/avif": ".avif",
}

PREVIEW_QUALITY = 90
"""Of reduced pictures, which are looked at and painted again."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a job made.

    Attributes:
        data: the encoded result; empty where `report` is all there is.
        layers: encoded pictures by name.
    """

    report: Mapping[str, Any]
    data: bytes = b""
    media_type: str | None = None
    layers: Mapping[str, bytes] = field(default_factory=dict)


def perform(work: Work, files: Files, pipeline: Pipeline, limits: Limits, on_stage: OnStage) -> Made:
    """Do what was asked for.

    Args:
        limits: of every uploaded picture.
        on_stage: is called before each stage of `STEPS`; what it raises ends the work.

    Raises:
        InputError: a picture cannot be used.
        SettingsError: a chosen face is not there.
        ModelError, BackendMissingError: a network cannot run.
    """
    on_stage("read")
    source = files("image")
    assert source is not None, "a job without a picture was accepted"
    picture = read_picture(source, limits=limits, name="the picture")
    original = picture.image.shape[:2]
    picture = reduce_picture(picture, work.side)
    if work.kind == "thumbnail":
        on_stage(WRITE)
        return _thumbnail(picture, original)
    if work.kind == "detect":
        on_stage("detect")
        return Made(_describe_faces(pipeline, picture))
    if work.kind == "segment":
        return _segment(work, picture, pipeline, on_stage)
    result = paint(picture, files, pipeline, limits, layers=work.layers, on_stage=on_stage)
    on_stage(WRITE)
    return _encode(result, _recipe(work, result, files, original))


def reduce_picture(picture: Picture, side: int | None) -> Picture:
    """Return the picture averaged down to a longest side in pixels; a smaller one, or none given, as it is."""
    height, width = picture.image.shape[:2]
    if side is None or side >= max(height, width):
        return picture
    scale = side / max(height, width)
    size = max(16, round(width * scale)), max(16, round(height * scale))
    image = np.asarray(cv2.resize(picture.image, size, interpolation=cv2.INTER_AREA), np.uint8)
    alpha = picture.alpha
    if alpha is not None:
        alpha = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.uint8)
    return replace(picture, image=image, alpha=alpha)


def _thumbnail(picture: Picture, original: tuple[int, ...]) -> Made:
    format = "JPEG" if picture.alpha is None else "PNG"
    data = encode_picture(picture, format=format, quality=PREVIEW_QUALITY, metadata="strip")
    height, width = original
    return Made({"size": [width, height]}, data, MEDIA_TYPES[format])


def _describe_faces(pipeline: Pipeline, picture: Picture) -> Mapping[str, Any]:
    height, width = picture.image.shape[:2]
    return {"size": [width, height], "faces": [describe_face(face) for face in pipeline.detect(picture)]}


def _segment(work: Work, picture: Picture, pipeline: Pipeline, on_stage: OnStage) -> Made:
    on_stage("detect")
    faces = pipeline.detect_faces(picture.image)
    on_stage("segment")
    labels = pipeline.segment_faces(picture.image, faces).labels()
    on_stage(WRITE)
    data = (
        encode_labels(labels)
        if work.view == "labels"
        else encode_picture(Picture(colour_classes(picture.image, labels)), format="PNG")
    )
    height, width = labels.shape
    return Made({"size": [width, height], "classes": measure_classes(labels)}, data, "image/png")


def paint(
    picture: Picture,
    files: Files,
    pipeline: Pipeline,
    limits: Limits,
    *,
    layers: bool = False,
    on_stage: OnStage | None = None,
) -> Result:
    """Paint a picture under the mask, with the touches and in the palette that there are files of."""
    mask, touches = _read_mask(files, picture, limits), _read_touches(files, limits)
    palette = files("palette")
    if palette is not None:
        colours = measure_palette(read_picture(palette, limits=limits, name="the palette").image)
        pipeline = replace(pipeline, paint=InPalette(pipeline.paint, colours))
    return pipeline.stylize(picture, mask=mask, touches=touches, layers=layers, on_stage=on_stage)


def _read_mask(files: Files, picture: Picture, limits: Limits) -> Mask | None:
    path = files("mask")
    if path is None:
        return None
    height, width = picture.image.shape[:2]
    return read_mask(path, (height, width), limits=limits, name="the mask")


def _read_touches(files: Files, limits: Limits) -> Touches | None:
    path = files("touches")
    return None if path is None else read_touches(path, limits=limits, name="the picture of touches")


def _recipe(work: Work, result: Result, files: Files, original: tuple[int, ...]) -> Recipe:
    """Return the recipe of a result; names of files are not known here."""
    format = work.format or result.picture.format
    format = "JPEG" if format == "HEIF" else format
    writing = Writing(format, work.quality, work.metadata, choose_place(None, work.metadata))
    held = {part: path.read_bytes() for part in get_args(Part) if (path := files(part)) is not None}
    height, width = original
    recipe = make_recipe(work.settings, result.models, used_file(held.pop("image")), (width, height), writing)
    return replace(recipe, side=work.side, parts={part: used_file(data) for part, data in held.items()})


def _encode(result: Result, recipe: Recipe) -> Made:
    format = recipe.writing.format
    if format not in MEDIA_TYPES:
        raise SettingsError(f"unknown format '{format}'; use {', '.join(MEDIA_TYPES).lower()}")
    data = encode_painting(result.picture, recipe)
    layers = {
        name: encode_picture(Picture(layer), format="PNG", metadata="strip")
        for name, layer in result.layers.items()
    }
    return Made(result.report(), data, MEDIA_TYPES[format], layers)
