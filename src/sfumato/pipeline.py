"""Order the steps from photo to painting and build them from settings; each step's work is done elsewhere."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias, Unpack

import numpy as np

from sfumato.backends import check_device
from sfumato.compositing import Kept, keep_colour, melt, mix, paint_weights, paste
from sfumato.edges import EDGES, SKIN_SIDE, Edge, choose_edge
from sfumato.errors import InputError, SettingsError
from sfumato.faces import open_detector, open_recogniser
from sfumato.geometry import ALIGNED_SIZE, align, clip_box, crop_bounds, face_affine
from sfumato.io import PictureSource, picture_from
from sfumato.restorers import open_restorer
from sfumato.result import Result
from sfumato.seam import Seam, measure_seam
from sfumato.segmenters import open_segmenter
from sfumato.settings import Options, Settings, make_settings, parse_faces
from sfumato.stages.restore import FaceRestoration, enhance_faces, restore_faces
from sfumato.stages.segment import Parsing, face_extent
from sfumato.styles import open_style
from sfumato.types import CLASSES, FACE_CLASSES, Compare, Detect, Face, Image, Labels, Layers, Mask, Transform

Segment: TypeAlias = Callable[[Image, Sequence[Face]], Parsing]
Restore: TypeAlias = Callable[[Image, Sequence[Face]], tuple[Image, tuple[FaceRestoration, ...]]]

COMPARED_SIZE = 256
"""Side in pixels of the aligned crops by which likeness is measured."""

EYES = tuple(float(name in ("left_eye", "right_eye")) for name in CLASSES)
"""Strength of each class in the mask of the eyes."""

PERSON = tuple(float(name == "person") for name in CLASSES)
"""Strength of each class in the mask of what belongs to persons but to no face."""


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

    def stylize(self, source: PictureSource, *, mask: Mask | None = None, layers: bool = False) -> Result:
        """Paint one picture and keep the person as the settings say.

        A picture without a face is no error: it is painted whole, and the result says so.

        Args:
            mask: keep the photo where this HxW mask is 1, instead of finding the face.
            layers: also hold the picture after each step, at the cost of memory.

        Raises:
            InputError: the source is no usable picture, or the mask is of another size.
            SettingsError: a face number of the settings is not in the picture.
        """
        timings: dict[str, float] = {}
        with _timed(timings, "read"):
            original = picture_from(source)
        image = original.image
        _check_mask(mask, image)
        with _timed(timings, "detect"):
            faces = tuple(self.detect_faces(image))
        kept = choose_faces(faces, self.settings.faces)
        with _timed(timings, "restore"):
            restored, restorations = self._restored(image, [faces[k] for k in kept])
        pasting = self.settings.blend == "paste"
        with _timed(timings, "segment"):
            seen = restored if pasting else image  # the paper segments the enhanced picture (section 2.1)
            parsing = self._parsing(seen, faces) if mask is None else None
            alpha = self._coverage(image, parsing, kept) if mask is None else np.asarray(mask, np.float32)
        with _timed(timings, "stylize"):
            painted = self._painted(image)
        chosen = [faces[k] for k in kept]
        with _timed(timings, "blend"):
            if pasting:
                result = paste(painted, restored, alpha)
            else:
                if parsing is not None:
                    self._draw_edges(alpha, painted, restored, parsing, {k: faces[k] for k in kept})
                target = None if layers or np.may_share_memory(painted, image) else painted
                part = Kept(restored, alpha, _typical_extent(chosen, image))
                result = melt(painted, part, paint=self.settings.paint, out=target)
                if parsing is not None and self.settings.paint:
                    self._keep_eyes(result, restored, alpha, parsing, {k: faces[k] for k in kept})
        with _timed(timings, "measure"):
            seams = tuple(_seam(image, result, alpha, face) for face in chosen)
            alike = (
                () if self.likeness is None else tuple(self._alike(image, result, face) for face in chosen)
            )
        steps = _layers(image, restored, painted, alpha, result) if layers else {}
        picture = replace(original, image=result)
        return Result(picture, faces, kept, restorations, alike, seams, alpha, steps, timings, self.models)

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

    def _coverage(self, image: Image, parsing: Parsing | None, kept: Sequence[int]) -> Mask:
        """Return where and how far whole persons are kept; faces alone are laid in one by one, with their edges.

        What is pasted is kept wholly or not at all.
        """
        if parsing is not None and self.settings.blend == "paste":
            covered = parsing.coverage(self.settings.class_strengths, kept)
            return np.asarray(covered >= 0.5, dtype=np.float32)
        if parsing is None or not self.settings.class_strengths[1]:
            return np.zeros(image.shape[:2], np.float32)
        return parsing.coverage(self.settings.class_strengths, kept)

    def _draw_edges(
        self, alpha: Mask, painted: Image, photo: Image, parsing: Parsing, kept: Mapping[int, Face]
    ) -> None:
        """Draw the edges of the mask, in place: of each face as it shows least, of persons as those of the picture."""
        strengths = self.settings.class_strengths
        edges = [replace(edge, feather=edge.feather * self.settings.feather) for edge in self.edges]
        if strengths[1] > 0:
            whole = Kept(photo, alpha, _typical_extent(tuple(kept.values()), photo))
            alpha[...] = edges[0].draw(whole)
            return
        entire = all(strengths[k] == 1 for k in FACE_CLASSES)  # or skin beyond a part would be another part
        for index, face in kept.items():
            place = _surroundings(face, photo)
            here = parsing.within(place)
            part = Kept(photo[place], here.coverage(strengths, (index,)), face_extent(face))
            beyond = here.reduced(SKIN_SIDE / max(here.shape)).coverage(PERSON) if entire else None
            edge = choose_edge(painted[place], part, beyond, paint=self.settings.paint, edges=edges)
            np.maximum(alpha[place], edge.draw(part, beyond), out=alpha[place])

    def _alike(self, image: Image, result: Image, face: Face) -> float:
        """Return how much a face of the result looks like that of the photo."""
        assert self.likeness is not None  # asked for only then
        matrix = face_affine(face.points, COMPARED_SIZE)
        return self.likeness(align(image, matrix, COMPARED_SIZE), align(result, matrix, COMPARED_SIZE))

    def _keep_eyes(
        self, result: Image, photo: Image, alpha: Mask, parsing: Parsing, kept: Mapping[int, Face]
    ) -> None:
        """Give the eyes that are kept the colour they had, in place."""
        _, grain = paint_weights(self.settings.paint)
        for index, face in kept.items():
            place = _around_eyes(face, photo)
            eyes = parsing.within(place).coverage(EYES, (index,))
            keep_colour(result[place], photo[place], (1 - grain) * alpha[place] * eyes)


def _surroundings(face: Face, image: Image) -> tuple[slice, slice]:
    """Return the part of the picture that the face's aligned crop lies in."""
    x0, y0, x1, y1 = clip_box(crop_bounds(face_affine(face.points), ALIGNED_SIZE), image.shape)
    return slice(y0, y1), slice(x0, x1)


def _around_eyes(face: Face, image: Image) -> tuple[slice, slice]:
    """Return the part of the picture that holds the face's eyes, three fifths of their distance about both."""
    eyes = face.points[:2]
    reach = 0.6 * float(np.linalg.norm(eyes[1] - eyes[0]))
    box = (*(eyes.min(axis=0) - reach), *(eyes.max(axis=0) + reach))
    x0, y0, x1, y1 = clip_box((box[0], box[1], box[2], box[3]), image.shape)
    return slice(y0, y1), slice(x0, x1)


def _seam(image: Image, result: Image, mask: Mask, face: Face) -> Seam | None:
    place = _surroundings(face, image)
    return measure_seam(image[place], result[place], mask[place], extent=face_extent(face))


def choose_faces(faces: Sequence[Face], which: str) -> tuple[int, ...]:
    """Return the indices of the faces that `which` names: all, largest, or numbers counted from 1.

    Raises:
        SettingsError: there is no face of that number.
    """
    wanted = parse_faces(which)
    if wanted == "all":
        return tuple(range(len(faces)))
    if wanted == "largest":
        return (max(range(len(faces)), key=lambda k: faces[k].size),) if faces else ()
    for number in wanted:
        if number > len(faces):
            raise SettingsError(
                f"face {number} was asked for, but {len(faces)} were found; see: sfumato detect"
            )
    return tuple(number - 1 for number in wanted)


def _check_mask(mask: Mask | None, image: Image) -> None:
    if mask is not None and mask.shape != image.shape[:2]:
        (h, w), (height, width) = mask.shape, image.shape[:2]
        raise InputError(
            f"the mask is {w}x{h} but the picture is {width}x{height}; give a mask of the picture's size"
        )


def _typical_extent(faces: Sequence[Face], image: Image) -> float:
    """Return the median height of the kept faces, or a third of the picture where there is none."""
    extents = [face_extent(face) for face in faces]
    return float(np.median(extents)) if extents else min(image.shape[:2]) / 3


def _layers(image: Image, restored: Image, painted: Image, mask: Mask, result: Image) -> Layers:
    shown = np.rint(255 * mask).astype(np.uint8)
    grey = np.repeat(shown[..., None], 3, axis=2)
    return {"original": image, "restored": restored, "painted": painted, "mask": grey, "result": result}


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[stage] = time.perf_counter() - start


def build_pipeline(settings: Settings | None = None) -> Pipeline:
    """Return a pipeline for the settings; files are verified now, networks load when first used.

    Raises:
        SettingsError: a style, restorer, segmenter, detector or recogniser is unknown.
        MissingInputError: the file of one of them is missing.
        BackendMissingError: the device is not there.
        ModelError: a model is not on this machine, or its file is damaged.
    """
    chosen = settings or make_settings()
    device = check_device(chosen.device)
    detector = open_detector(chosen.detector, device, exact=chosen.exact)
    recogniser = open_recogniser(chosen.recogniser, device, exact=chosen.exact)
    segmenter = open_segmenter(chosen.segmenter, device, exact=chosen.exact)
    restorer = open_restorer(chosen.restorer, device, exact=chosen.exact)
    style = open_style(chosen.style, device, exact=chosen.exact)

    embedded = (
        recogniser if chosen.recogniser == "light" else open_recogniser("light", device, exact=chosen.exact)
    )
    restore: Restore = partial(
        restore_faces, restorer=restorer.stage, strength=chosen.restore, likeness=embedded.stage
    )
    if chosen.blend == "paste":
        restore = partial(enhance_faces, restorer=restorer.stage, strength=chosen.restore)
    return Pipeline(
        detect_faces=detector.stage,
        restore=restore,
        paint=style.stage,
        segment_faces=segmenter.stage,
        settings=chosen,
        likeness=recogniser.stage,
        models={
            **{
                opened.name: opened.sha256
                for opened in (detector, segmenter, restorer, recogniser, embedded, style)
            },
            **segmenter.also,
            **style.also,
        },
    )


def stylize(source: PictureSource, *, mask: Mask | None = None, **options: Unpack[Options]) -> Result:
    """Paint one picture; `options` are those of `Settings`. For many pictures build one `Pipeline`."""
    return build_pipeline(make_settings(**options)).stylize(source, mask=mask)
