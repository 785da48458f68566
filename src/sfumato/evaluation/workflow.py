"""Run a pipeline on one picture and note which stages ran, on which picture and what came out; it draws nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sfumato.evaluation.figure_pictures import before_and_after, mark_faces, overlay_classes
from sfumato.io import PICTURE_SUFFIXES
from sfumato.pipeline import Pipeline
from sfumato.registry import Task
from sfumato.resolve import find_named, is_path
from sfumato.restorers import WEIGHTS
from sfumato.result import Result
from sfumato.settings import Settings
from sfumato.stages.restore import FaceRestoration
from sfumato.stages.segment import Parsing
from sfumato.styles import GENERATORS
from sfumato.types import Face, Image

CALLED = ("detect", "restore", "segment", "stylize")
"""Steps that are stages of a pipeline, which the settings may leave out; the others are always taken."""


PAIRS = ("restore", "measure")
"""Steps of which a face is shown before and after, where there is one."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run.

    Attributes:
        name: as in the timings of a `Result`.
        model: what ran, or "" where no network did.
        found: what came of it, in a few words each.
        picture: to be shown.
        pair: whether that is a face before and after.
        sources: names of the steps whose pictures it worked on.
    """

    name: str
    model: str
    found: tuple[str, ...]
    picture: Image
    pair: bool
    sources: tuple[str, ...]


@dataclass(slots=True)
class _Trace:
    """What the stages of a pipeline were called with and returned.

    Attributes:
        seen: the picture that each stage was given, by its step.
        parsing: what the segmenter returned.
    """

    seen: dict[str, Image] = field(default_factory=dict)
    parsing: Parsing | None = None

    def watch(self, pipeline: Pipeline) -> Pipeline:
        """Return the pipeline with each stage noted as it is called."""

        def detect(image: Image) -> Sequence[Face]:
            self.seen["detect"] = image
            return pipeline.detect_faces(image)

        def restore(image: Image, faces: Sequence[Face]) -> tuple[Image, tuple[FaceRestoration, ...]]:
            self.seen["restore"] = image
            restored, report = pipeline.restore(image, faces)
            return restored.view(), report  # told apart from the photo, even where nothing was restored

        def segment(image: Image, faces: Sequence[Face]) -> Parsing:
            self.seen["segment"] = image
            self.parsing = pipeline.segment_faces(image, faces)
            return self.parsing

        def paint(image: Image) -> Image:
            self.seen["stylize"] = image
            return pipeline.paint(image)

        return replace(pipeline, detect_faces=detect, restore=restore, segment_faces=segment, paint=paint)


def trace_workflow(pipeline: Pipeline, image: Image, segmenter: str) -> tuple[Step, ...]:
    """Return the steps that the pipeline takes on a picture, in the order in which it takes them.

    Args:
        segmenter: what the pipeline's segmenter is called.
    """
    trace = _Trace()
    result = trace.watch(pipeline).stylize(image, layers=True)
    ran = [name for name in result.timings if name not in CALLED or name in trace.seen]
    models = {**name_models(pipeline.settings), "segment": segmenter}
    pictures = _pictures(result, trace.parsing)
    found, sources = _findings(result, pipeline.settings), _sources(trace.seen, result)
    return tuple(
        Step(
            name,
            models.get(name, ""),
            found[name],
            pictures[name],
            name in PAIRS and bool(result.kept),
            sources[name],
        )
        for name in ran
    )


def name_models(settings: Settings) -> Mapping[str, str]:
    """Return the model's name of each step but the segmenter's with these settings; of a file, the file's."""
    return {
        "detect": _model(settings.detector, "detector", ()),
        "restore": _model(settings.restorer, "restorer", (*WEIGHTS, ".onnx")),
        "stylize": _model(settings.style, "stylizer", (*GENERATORS, *PICTURE_SUFFIXES)),
        "measure": _model(settings.recogniser, "recogniser", ()),
    }


def _model(text: str, task: Task, suffixes: Sequence[str]) -> str:
    return Path(text).name if is_path(text, task, suffixes) else find_named(text, task).name


def _sources(seen: Mapping[str, Image], result: Result) -> Mapping[str, tuple[str, ...]]:
    """Return whose pictures each step worked on; what needs faces gets the photo from the detector."""
    restored = result.layers["restored"]

    def origin(step: str) -> tuple[str, ...]:
        if "restore" in seen and seen.get(step) is restored:
            return ("restore",)
        return ("read",) if step == "stylize" else ("detect",)

    painted = "stylize" if "stylize" in seen else "read"
    kept = ("restore" if "restore" in seen else "detect", "segment") if "segment" in seen else ()
    return {
        "read": (),
        "detect": ("read",),
        **{step: origin(step) for step in ("restore", "segment", "stylize")},
        "blend": (painted, *kept),
        "measure": ("blend",),
    }


def _findings(result: Result, settings: Settings) -> Mapping[str, tuple[str, ...]]:
    height, width = result.image.shape[:2]
    weights = [restoration.weight for restoration in result.restorations]
    seams = [seam.score for seam in result.seams if seam is not None]
    measured = {"likeness": result.likeness, "seam": seams}
    manner = "paste" if settings.blend == "paste" else f"melt, paint {settings.paint:g}"
    return {
        "read": (f"{width} x {height} pixels",),
        "detect": ("1 face" if len(result.faces) == 1 else f"{len(result.faces) or 'no'} faces",),
        "restore": (f"weight {_span(weights)}" if any(weights) else "left as it is",),
        "segment": (f"{100 * result.mask.mean():.0f} % is kept",),
        "stylize": (f"strength {settings.strength:g}",),
        "blend": (manner if result.mask.any() else "nothing is kept",),
        "measure": tuple(f"{name} {_span(values)}" for name, values in measured.items() if values),
    }


def _span(values: Sequence[float]) -> str:
    """Return the least and the greatest of some values.

    >>> _span([0.7]), _span([0.2, 0.7, 0.1])
    ('0.70', '0.10-0.70')
    """
    least, most = f"{min(values):.2f}", f"{max(values):.2f}"
    return least if least == most else f"{least}-{most}"


def _pictures(result: Result, parsing: Parsing | None) -> Mapping[str, Image]:
    """Return what is shown of each step; of what works on faces, the first that is kept."""
    layers = result.layers
    photo = layers["original"]
    first = [result.faces[k] for k in result.kept[:1]]
    segmented = layers["mask"]
    if parsing is not None:
        segmented = overlay_classes(photo, parsing.labels())
    return {
        "read": photo,
        "detect": mark_faces(photo, result.faces),
        "restore": before_and_after(photo, layers["restored"], first),
        "segment": segmented,
        "stylize": layers["painted"],
        "blend": layers["result"],
        "measure": before_and_after(photo, layers["result"], first),
    }
