"""Draw the paper's figures of any pictures, segmenters and runs; it writes no file and measures nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from matplotlib.figure import Figure

from sfumato.evaluation.figure_loss import Curves, draw_loss
from sfumato.evaluation.figure_material import Material, Model, Subject, short_title
from sfumato.evaluation.figure_panels import Panels, draw_panels
from sfumato.evaluation.figure_pictures import class_colours, overlay_classes, surroundings
from sfumato.evaluation.figure_style import WIDTH, listed, reduce_to_print
from sfumato.evaluation.figure_workflow import draw_workflow
from sfumato.evaluation.workflow import trace_workflow
from sfumato.pipeline import Pipeline
from sfumato.types import Image, Transform

DIRECT, TRUE, OURS = "direct stylization and enhancement", "true mask", "ours"
"""Titles of columns that are no model's."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure.

    Attributes:
        panels: the names of what it shows, in its order.
        caption: what stands after "Fig. 1."
    """

    figure: Figure
    panels: tuple[str, ...]
    caption: str


def draw_method(material: Material) -> Drawing:
    """Return Fig. 1: the steps of the pipeline as they run on the first picture."""
    subject, model = material.subjects[0], material.models[0]
    steps = trace_workflow(material.pipeline, subject.image, Path(model.name).name)
    caption = (
        f"Work flow of the proposed method as it runs on {subject.name}. Numbers give the order of the steps"
    )
    pairs = [step.name for step in steps if step.pair]
    shows = "shows" if len(pairs) == 1 else "show"
    caption += f"; {listed(pairs)} {shows} a face before and after." if pairs else "."
    caption += _apology(material)
    return Drawing(draw_workflow(1, steps, caption), tuple(step.name for step in steps), caption)


def draw_run(curves: Curves, run: str) -> Drawing:
    """Return Fig. 2: the loss of a run of this name."""
    last = max(int(points[-1, 0]) for points in curves.values())
    caption = f"Change of loss with the training process (run {run}, to step {last:,})."
    return Drawing(draw_loss(2, curves, caption), tuple(curves), caption)


def draw_segmentations(material: Material) -> Drawing:
    """Return Fig. 3: the photo around its faces, what each model finds there, and the truth where it is known."""
    annotated = any(subject.true is not None for subject in material.subjects)
    columns = ("photo", *material.titles, *([TRUE] if annotated else []))
    rows = [_segmented(subject, material.models, annotated=annotated) for subject in material.subjects]
    caption = f"Visual comparison of {listed(material.titles)} segmentation results"
    caption += ", beside the true mask where the data set has one." if annotated else "."
    caption += _apology(material)
    panels = Panels(columns, tuple(rows), caption, class_colours())
    return Drawing(draw_panels(3, panels), columns, caption)


def _segmented(subject: Subject, models: Sequence[Model], *, annotated: bool) -> tuple[Image | None, ...]:
    place = surroundings(subject.image, subject.faces)
    photo = subject.image[place]
    labels = [model.segment(subject.image, subject.faces).labels() for model in models]
    shown: list[Image | None] = [photo, *(overlay_classes(photo, found[place]) for found in labels)]
    if annotated:
        shown.append(None if subject.true is None else overlay_classes(photo, subject.true[place]))
    return tuple(None if image is None else reduce_to_print(image, WIDTH, WIDTH) for image in shown)


def draw_results(material: Material) -> Drawing:
    """Return Fig. 4: the photo, painted whole, pasted as the paper does by each model, and melted as we do."""
    settings = material.pipeline.settings
    paste = material.build(replace(settings, blend="paste", restore=1.0))
    melt = replace(
        material.build(replace(settings, blend="melt")), segment_faces=material.pipeline.segment_faces
    )
    columns = ("original", DIRECT, *material.titles, OURS)
    rows = tuple(_results(subject, material.models, paste, melt) for subject in material.subjects)
    caption = (
        "Results comparison. From left to right: the original image, direct stylization and enhancement, segmentation "
        f"using {listed(material.titles)} with the paper's blending, and ours, which melts the face that "
        f"{material.titles[0]} finds into the painting." + _apology(material)
    )
    return Drawing(draw_panels(4, Panels(columns, rows, caption)), columns, caption)


def _results(subject: Subject, models: Sequence[Model], paste: Pipeline, melt: Pipeline) -> tuple[Image, ...]:
    """Return a row of Fig. 4; the picture is painted once for all of it, and enhanced once."""
    image, faces = subject.image, subject.faces
    paint = _paint_once(melt.paint)
    ours = replace(melt, detect_faces=lambda _: faces, paint=paint, likeness=None).stylize(image, layers=True)
    enhanced = paste.restore(image, [faces[k] for k in ours.kept])
    direct, _ = paste.restore(ours.layers["painted"], faces)
    once = replace(
        paste, detect_faces=lambda _: faces, paint=paint, restore=lambda *_: enhanced, likeness=None
    )
    pasted = [replace(once, segment_faces=model.segment).stylize(image).image for model in models]
    return tuple(reduce_to_print(shown, WIDTH, WIDTH) for shown in (image, direct, *pasted, ours.image))


def _paint_once(paint: Transform) -> Transform:
    """Return what paints its first picture, and returns a new copy of that painting ever after."""
    paintings: list[Image] = []

    def paint_once(image: Image) -> Image:
        if not paintings:
            paintings.append(paint(image))
        return paintings[0].copy()

    return paint_once


def _apology(material: Material) -> str:
    """Return a sentence that names the models that are missing, or nothing."""
    names = [short_title(name) for name in material.missing]
    return f" Could not be opened and so not shown: {listed(names)}." if names else ""
