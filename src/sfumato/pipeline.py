"""Order the steps from photo to painting and build them from settings; each step's work is done elsewhere."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias, Unpack

import numpy as np

from sfumato.choice import choose_faces
from sfumato.clock import Clock, OnStage
from sfumato.compositing import Kept, melt, mix, paste
from sfumato.edges import EDGES, Edge
from sfumato.errors import InputError
from sfumato.geometry import align, face_affine
from sfumato.io import PictureSource, picture_from
from sfumato.keeping import cover_persons, keep_eyes, lay_in_faces, surroundings, typical_extent
from sfumato.masks import touch_up
from sfumato.opening import Stages, open_stages
from sfumato.result import Result, make_layers
from sfumato.seam import Seam, measure_seam
from sfumato.settings import Options, Settings, make_settings
from sfumato.stages.restore import FaceRestoration, enhance_faces, restore_faces
from sfumato.stages.segment import Parsing, face_extent
from sfumato.types import (
    Compare,
    Detect,
    Face,
    Image,
    Labels,
    Mask,
    Touches,
    Transform,
)

Segment: TypeAlias = Callable[[Image, Sequence[Face]], Parsing]
Restore: TypeAlias = Callable[[Image, Sequence[Face]], tuple[Image, tuple[FaceRestoration, ...]]]

STAGES = ("read", "detect", "restore", "segment", "stylize", "blend", "measure")
"""Names of the stages of `Pipeline.stylize`, in their order."""

COMPARED_SIZE = 256
"""Side in pixels of the aligned crops by which likeness is measured."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Turn portraits into paintings that keep the person; safe to share between threads.

    Attributes:
        detect, restore, paint, segment: the stages; networks load when first used.
        settings: what `build_pipeline` was given.
        models: sha256 of each model, by name.
        likeness: tells how much two aligned faces look like one person; None measures nothing.
        edges: what is tried for the edge of each face; the one that shows least is taken.
    """

    detect_faces: Detect
    restore: Restore
    paint: Transform
    segment_faces: Segment
    settings: Settings
    models: Mapping[str, str] = field(default_factory=dict)
    likeness: Compare | None = None
    edges: Sequence[Edge] = EDGES

    def __call__(self, image: Image, *, mask: Mask | None = None) -> Image:
        """Return the painted picture of an sRGB array; see `stylize` for everything else."""
        return self.stylize(image, mask=mask).image

    def stylize(
        self,
        source: PictureSource,
        *,
        mask: Mask | None = None,
        touches: Touches | None = None,
        layers: bool = False,
        on_stage: OnStage | None = None,
    ) -> Result:
        """Paint one picture and keep the person as the settings say.

        A picture without a face is no error: it is painted whole, and the result says so.

        Args:
            mask: keep the photo where this HxW mask is 1, instead of finding the face.
            touches: what a hand adds to the mask and takes from it.
            layers: also hold the picture after each step, at the cost of memory.
            on_stage: is called with the name of each stage before it begins, one of `STAGES`; what it raises ends the
                work, which is how to give up between stages.

        Raises:
            InputError: the source is no usable picture, or the mask is of another size.
            SettingsError: a face of the settings is not in the picture.
        """
        clock = Clock(on_stage)
        with clock.stage("read"):
            original = picture_from(source)
        image = original.image
        _check_mask(mask, image)
        with clock.stage("detect"):
            faces = tuple(self.detect_faces(image))
        kept = choose_faces(faces, self.settings.faces, image.shape)
        chosen = {k: faces[k] for k in kept}
        with clock.stage("restore"):
            restored, restorations = self._restored(image, list(chosen.values()))
        with clock.stage("segment"):
            seen = (
                restored if self.settings.blend == "paste" else image
            )  # the paper's section 2.1: the enhanced one
            parsing = self._parsing(seen, faces) if mask is None else None
            alpha = cover_persons(image.shape, parsing, self.settings, kept)
            if mask is not None:
                alpha = np.array(mask, np.float32)
        with clock.stage("stylize"):
            painted = self._painted(image)
        with clock.stage("blend"):
            self._finish_mask(alpha, painted, restored, parsing, chosen)
            if touches is not None:
                touch_up(alpha, touches)
            part = Kept(restored, alpha, typical_extent(list(chosen.values()), image))
            held = layers or np.may_share_memory(painted, image)
            result = self._blended(painted, part, None if held else painted)
            self._keep_eyes(result, restored, alpha, parsing, chosen)
        with clock.stage("measure"):
            seams = tuple(_seam(image, result, alpha, face) for face in chosen.values())
            alike = self._likenesses(image, result, chosen.values())
        steps = make_layers(image, restored, painted, alpha, result) if layers else {}
        picture = replace(original, image=result)
        return Result(
            picture, faces, kept, restorations, alike, seams, alpha, steps, clock.timings, self.models
        )

    def detect(self, source: PictureSource) -> tuple[Face, ...]:
        """Return the faces of a picture, best score first."""
        return tuple(self.detect_faces(picture_from(source).image))

    def segment(self, source: PictureSource) -> Labels:
        """Return the EasyPortrait id 0..8 of each pixel."""
        image = picture_from(source).image
        return self.segment_faces(image, self.detect_faces(image)).labels()

    def _painted(self, image: Image) -> Image:
        """Return the painting, as strong as the settings say; at strength 0 the picture itself."""
        strength = self.settings.strength
        if strength == 0:
            return image
        painted = self.paint(image)
        return painted if strength == 1 else mix(image, painted, strength)

    def _restored(self, image: Image, faces: Sequence[Face]) -> tuple[Image, tuple[FaceRestoration, ...]]:
        if self.settings.restore == 0 or not any(self.settings.class_strengths):
            return image, ()
        return self.restore(image, faces)

    def _parsing(self, image: Image, faces: Sequence[Face]) -> Parsing | None:
        """Return the classes of the picture, or None where nothing is to be kept."""
        strengths = self.settings.class_strengths
        if not any(strengths) or not (faces or strengths[1]):
            return None
        return self.segment_faces(image, faces)

    def _finish_mask(
        self, alpha: Mask, painted: Image, photo: Image, parsing: Parsing | None, kept: Mapping[int, Face]
    ) -> None:
        """Draw the edges of the mask, in place; one of the user's own, and one that is pasted, has them already."""
        if parsing is None or self.settings.blend == "paste":
            return
        lay_in_faces(
            alpha, (painted, photo), parsing, kept, self.settings, dict.fromkeys(kept, tuple(self.edges))
        )

    def _blended(self, painted: Image, kept: Kept, out: Image | None) -> Image:
        if self.settings.blend == "paste":
            return paste(painted, kept.photo, kept.mask)
        return melt(painted, kept, paint=self.settings.paint, out=out)

    def _likenesses(self, image: Image, result: Image, faces: Iterable[Face]) -> tuple[float, ...]:
        """Return how much each face of the result looks like that of the photo; nothing where nothing can tell."""
        if self.likeness is None:
            return ()
        matrices = [face_affine(face.points, COMPARED_SIZE) for face in faces]
        crops = ([align(whole, matrix, COMPARED_SIZE) for whole in (image, result)] for matrix in matrices)
        return tuple(self.likeness(photo, painted) for photo, painted in crops)

    def _keep_eyes(
        self, result: Image, photo: Image, alpha: Mask, parsing: Parsing | None, kept: Mapping[int, Face]
    ) -> None:
        """Give the eyes that are kept the colour they had, in place; what is pasted or not painted has it already."""
        if parsing is None or self.settings.blend == "paste" or not self.settings.paint:
            return
        keep_eyes(result, photo, alpha, parsing, kept, paint=self.settings.paint)


def _seam(image: Image, result: Image, mask: Mask, face: Face) -> Seam | None:
    place = surroundings(face, image)
    return measure_seam(image[place], result[place], mask[place], extent=face_extent(face))


def _check_mask(mask: Mask | None, image: Image) -> None:
    if mask is not None and mask.shape != image.shape[:2]:
        (h, w), (height, width) = mask.shape, image.shape[:2]
        raise InputError(
            f"the mask is {w}x{h} but the picture is {width}x{height}; give a mask of the picture's size"
        )


def build_pipeline(settings: Settings | None = None) -> Pipeline:
    """Return a pipeline for the settings; files are verified now, networks load when first used.

    Raises:
        SettingsError: a style, restorer, segmenter, detector or recogniser is unknown.
        MissingInputError: the file of one of them is missing.
        BackendMissingError: the device is not there.
        ModelError: a model is not on this machine, or its file is damaged.
    """
    chosen = settings or make_settings()
    return assemble(open_stages(chosen), chosen)


def assemble(stages: Stages, settings: Settings) -> Pipeline:
    """Return the pipeline of stages that are open; its settings need not be all that the stages were opened for."""
    restore: Restore = partial(
        restore_faces,
        restorer=stages.restorer.stage,
        strength=settings.restore,
        likeness=stages.guard.stage,
    )
    if settings.blend == "paste":
        restore = partial(enhance_faces, restorer=stages.restorer.stage, strength=settings.restore)
    return Pipeline(
        detect_faces=stages.detector.stage,
        restore=restore,
        paint=stages.style.stage,
        segment_faces=stages.segmenter.stage,
        settings=settings,
        likeness=stages.recogniser.stage,
        models=stages.models,
    )


def stylize(source: PictureSource, *, mask: Mask | None = None, **options: Unpack[Options]) -> Result:
    """Paint one picture; `options` are those of `Settings`. For many pictures build one `Pipeline`."""
    return build_pipeline(make_settings(**options)).stylize(source, mask=mask)
