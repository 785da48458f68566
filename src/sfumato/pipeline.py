"""Order the steps from photo to painting and build them from settings; each step's work is done elsewhere."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias, Unpack

import numpy as np

from sfumato.backends import Backend, check_device, make_backend
from sfumato.compositing import feather_mask, melt, mix, refine_mask
from sfumato.errors import InputError, SettingsError
from sfumato.geometry import ALIGNED_SIZE, clip_box, crop_bounds, face_affine
from sfumato.io import Picture, PictureSource, picture_from, write_picture
from sfumato.registry import ModelSpec, find_embedded, model_path
from sfumato.restorers import open_restorer
from sfumato.seam import Seam, measure_seam
from sfumato.settings import Options, Settings, make_settings, parse_faces
from sfumato.stages.detect import LightDetector
from sfumato.stages.restore import FaceRestoration, restore_faces
from sfumato.stages.segment import LightSegmenter, Parsing, face_extent
from sfumato.styles import open_style
from sfumato.types import Detect, Face, Image, Labels, Layers, Mask, Transform

Segment: TypeAlias = Callable[[Image, Sequence[Face]], Parsing]
Restore: TypeAlias = Callable[[Image, Sequence[Face]], tuple[Image, tuple[FaceRestoration, ...]]]

EDGE_RADIUS = 0.05
"""Half width, in face heights, of the window in which the mask's edge follows the picture's."""

FEATHER_SIGMA = 0.015
"""Sigma of the mask's soft edge at feather 1, in face heights."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one picture.

    Attributes:
        picture: the painted picture with the alpha and metadata of the original.
        faces: every face found, in the order of `sfumato detect`.
        kept: indices of the faces that were kept.
        restorations: sharpness and restoration weight of each kept face.
        seams: how visible the edge of each kept face is; None where its mask has no edge.
        mask: 1 where the photo was kept.
        layers: original, restored, painted, mask and result; empty unless asked for.
        timings: seconds of each stage.
        models: sha256 of each model used, by name.
    """

    picture: Picture
    faces: tuple[Face, ...]
    kept: tuple[int, ...]
    restorations: tuple[FaceRestoration, ...]
    seams: tuple[Seam | None, ...]
    mask: Mask
    layers: Layers
    timings: Mapping[str, float]
    models: Mapping[str, str]

    @property
    def image(self) -> Image:
        """Return the painted pixels."""
        return self.picture.image

    @property
    def scores(self) -> Mapping[str, object]:
        """Return the measures of the result: how much is kept; each kept face's sharpness, restoration and seam."""
        return {
            "kept_area": round(float(self.mask.mean()), 4),
            "sharpness": [round(r.sharpness, 4) for r in self.restorations],
            "restoration": [round(r.weight, 4) for r in self.restorations],
            "seam": [None if seam is None else round(seam.score, 3) for seam in self.seams],
        }

    def save(
        self,
        path: Path | str,
        *,
        overwrite: bool = False,
        metadata: Literal["keep", "strip"] = "keep",
        quality: int = 92,
    ) -> None:
        """Write the painted picture; the format follows the suffix.

        Raises:
            OutputError: the file exists and `overwrite` is false, or it cannot be written.
        """
        write_picture(self.picture, Path(path), quality=quality, metadata=metadata, overwrite=overwrite)

    def report(self) -> Mapping[str, object]:
        """Return everything but pixels, ready for JSON."""
        height, width = self.image.shape[:2]
        return {
            "size": [width, height],
            "faces": [describe_face(face) | {"kept": k in self.kept} for k, face in enumerate(self.faces)],
            "scores": self.scores,
            "timings": {stage: round(seconds, 4) for stage, seconds in self.timings.items()},
            "models": dict(self.models),
        }


def describe_face(face: Face) -> dict[str, object]:
    """Return a face as JSON shows it: box, landmarks and score."""
    return {
        "box": [round(v, 2) for v in face.box],
        "landmarks": [[round(x, 2), round(y, 2)] for x, y in face.landmarks],
        "score": round(face.score, 4),
    }


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Turn portraits into paintings that keep the person; safe to share between threads.

    Attributes:
        detect, restore, paint, segment: the stages; networks load when first used.
        settings: what `build_pipeline` was given.
        models: sha256 of each model, by name.
    """

    detect_faces: Detect
    restore: Restore
    paint: Transform
    segment_faces: Segment
    settings: Settings
    models: Mapping[str, str] = field(default_factory=dict)

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
        with _timed(timings, "segment"):
            alpha = self._alpha(image, faces, kept) if mask is None else mask
        with _timed(timings, "stylize"):
            painted = self._painted(image)
        with _timed(timings, "blend"):
            extent = _typical_extent([faces[k] for k in kept], image)
            target = None if layers or np.may_share_memory(painted, image) else painted
            result = melt(painted, restored, alpha, paint=self.settings.paint, extent=extent, out=target)
        with _timed(timings, "measure"):
            seams = tuple(_seam(image, result, alpha, faces[k]) for k in kept)
        steps = _layers(image, restored, painted, alpha, result) if layers else {}
        picture = replace(original, image=result)
        return Result(picture, faces, kept, restorations, seams, alpha, steps, timings, self.models)

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

    def _alpha(self, image: Image, faces: Sequence[Face], kept: Sequence[int]) -> Mask:
        """Return where and how far the photo is kept, with edges drawn to the picture's and softened."""
        strengths = self.settings.class_strengths
        if not any(strengths) or not (faces or strengths[1]):
            return np.zeros(image.shape[:2], np.float32)
        mask = self.segment_faces(image, faces).coverage(strengths, kept)
        for place, extent in _edge_places(image, [faces[k] for k in kept], whole=strengths[1] > 0):
            refined = refine_mask(mask[place], image[place], radius=EDGE_RADIUS * extent)
            mask[place] = feather_mask(refined, sigma=FEATHER_SIGMA * extent * self.settings.feather)
        return mask


def _edge_places(
    image: Image, faces: Sequence[Face], *, whole: bool
) -> Iterator[tuple[tuple[slice, slice], float]]:
    """Yield where a mask has edges, and the height of a face there: the whole picture, or each face's crop."""
    if whole:
        yield (slice(None), slice(None)), _typical_extent(faces, image)
        return
    for face in faces:
        yield _surroundings(face, image), face_extent(face)


def _surroundings(face: Face, image: Image) -> tuple[slice, slice]:
    """Return the part of the picture that the face's aligned crop lies in."""
    x0, y0, x1, y1 = clip_box(crop_bounds(face_affine(face.points), ALIGNED_SIZE), image.shape)
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
        SettingsError: the style is unknown.
        MissingInputError: the file of the style or of the restorer is missing.
        BackendMissingError: the device is not there.
        ModelError: a model file is missing or damaged.
    """
    chosen = settings or make_settings()
    device = check_device(chosen.device)
    specs = {task: find_embedded(task) for task in ("detector", "segmenter")}
    restorer = open_restorer(chosen.restorer, device, exact=chosen.exact)
    style = open_style(chosen.style, device, exact=chosen.exact)

    def backend(spec: ModelSpec) -> Backend:
        return make_backend(model_path(spec), device, exact=chosen.exact)

    return Pipeline(
        detect_faces=LightDetector(backend(specs["detector"])),
        restore=partial(restore_faces, restorer=restorer.restore, strength=chosen.restore),
        paint=style.paint,
        segment_faces=LightSegmenter(backend(specs["segmenter"])),
        settings=chosen,
        models={
            **{spec.name: spec.sha256 for spec in specs.values()},
            **{opened.name: opened.sha256 for opened in (restorer, style)},
        },
    )


def stylize(source: PictureSource, *, mask: Mask | None = None, **options: Unpack[Options]) -> Result:
    """Paint one picture; `options` are those of `Settings`. For many pictures build one `Pipeline`."""
    return build_pipeline(make_settings(**options)).stylize(source, mask=mask)
