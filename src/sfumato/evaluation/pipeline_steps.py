"""Take a picture through the steps of the paper one by one, from painting to our blending; it measures none.

Section 3 and figure 4 of the paper: direct stylization, enhancement, the mask of Segment Anything, that of the U-Net.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from sfumato.choice import choose_faces
from sfumato.pipeline import Pipeline, Segment
from sfumato.result import Result
from sfumato.seam import Seam
from sfumato.settings import Settings
from sfumato.types import Face, Image

Answer = TypeVar("Answer")

DIRECT, RESTORED, BY_SAM, BY_UNET, OURS = (
    "direct stylization",
    "+ restoration",
    "+ SAM mask",
    "+ U-Net mask",
    "ours",
)
STEPS: Mapping[str, str] = {
    DIRECT: "the whole picture painted, nothing kept",
    RESTORED: "the painting's faces restored in full, at the landmarks of the photo",
    BY_SAM: "the photo's faces restored in full, cut out by Segment Anything and pasted at a hard edge",
    BY_UNET: "the same, cut out by the U-Net",
    OURS: "the photo's faces restored as far as they need it, cut out by the same U-Net and melted into the painting",
}
"""What is compared, in the order in which the paper comes to it."""

PARTS = ("detect", "restore", "segment", "stylize", "blend")
"""Stages whose seconds count; reading and measuring are left out."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step made of a picture.

    Attributes:
        seams: of each kept face; empty where there is no mask.
        timings: seconds of each of `PARTS` that the step needs, also where another step shared the work.
    """

    image: Image
    timings: Mapping[str, float]
    seams: tuple[Seam | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """What became of one picture.

    Attributes:
        faces: those that are kept.
        steps: what each step made of it; empty where there is no face to keep.
    """

    faces: tuple[Face, ...]
    steps: Mapping[str, Step]


@dataclass(frozen=True, slots=True)
class Ablation:
    """The pipelines that the steps come from.

    Attributes:
        ours: melts; its detector, style and segmenter are those of every step but one.
        paper: pastes; its restorer is that of the paper's steps.
        sam: the segmenter of Segment Anything, or None, which leaves its step out.
    """

    ours: Pipeline
    paper: Pipeline
    sam: Segment | None

    def run(self, image: Image) -> Run:
        """Take every step with a picture; what several steps need - faces, painting, enhanced photo - is made once."""
        faces, finding = _clocked(lambda: tuple(self.ours.detect_faces(image)))
        kept = tuple(faces[k] for k in choose_faces(faces, self.ours.settings.faces, image.shape))
        if not kept:
            return Run((), {})
        painted, painting = _clocked(lambda: self.ours.paint(image))
        (repainted, _), mending = _clocked(lambda: self.paper.restore(painted, kept))
        enhanced, enhancing = _clocked(lambda: self.paper.restore(image, kept))
        known = {"detect": finding, "stylize": painting}
        ours = _reusing(self.ours, faces, painted)
        paper = replace(_reusing(self.paper, faces, painted), restore=lambda *_: enhanced)
        masks = {BY_SAM: self.sam, BY_UNET: self.ours.segment_faces}
        pasted = {
            step: replace(paper, segment_faces=mask).stylize(image)
            for step, mask in masks.items()
            if mask is not None
        }
        return Run(
            kept,
            {
                DIRECT: Step(painted, {"stylize": painting}),
                RESTORED: Step(repainted, {**known, "restore": mending}),
                **{step: _step(result, {**known, "restore": enhancing}) for step, result in pasted.items()},
                OURS: _step(ours.stylize(image), known),
            },
        )


def _reusing(pipeline: Pipeline, faces: tuple[Face, ...], painted: Image) -> Pipeline:
    """Return a pipeline that neither detects, paints nor compares faces.

    The painting is copied, as the pipeline may melt the faces into it in place.
    """
    return replace(pipeline, detect_faces=lambda _: faces, paint=lambda _: painted.copy(), likeness=None)


def ablation_settings(settings: Settings) -> tuple[Settings, Settings]:
    """Return the settings of our blending and of the paper's, both painted in full; the paper restores in full too."""
    ours = replace(settings, strength=1.0, blend="melt")
    return ours, replace(ours, blend="paste", restore=1.0)


def _step(result: Result, shared: Mapping[str, float]) -> Step:
    timings = {stage: seconds for stage, seconds in result.timings.items() if stage in PARTS}
    return Step(result.image, {**timings, **shared}, result.seams)


def _clocked(run: Callable[[], Answer]) -> tuple[Answer, float]:
    start = time.perf_counter()
    answer = run()
    return answer, time.perf_counter() - start
