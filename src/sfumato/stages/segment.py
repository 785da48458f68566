"""Parse a picture into the nine EasyPortrait classes, whole and again face by face; it blends nothing."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.backends import Backend
from sfumato.geometry import affine_scale, align, compose, crop_bounds, face_affine
from sfumato.stages.planes import to_batch
from sfumato.types import CLASSES, MIRRORED_CLASSES, Affine, Face, Image, Labels, Mask, Probabilities

STRIP_ROWS = 256
"""Rows that are merged at a time, so that memory does not grow with the picture."""

WINDOW_FADE = 0.12
"""Part of the crop's side over which a crop's word gives way to the whole picture's."""

NEARNESS = 0.12
"""Standard deviation, in sides of the crop, of the weight by which overlapping crops are mixed."""


@dataclass(frozen=True, slots=True)
class View:
    """Class probabilities of one look at the picture.

    Attributes:
        probabilities: 9xhxw, at the size the network saw.
        matrix: maps picture pixels to pixels of `probabilities`.
    """

    probabilities: Probabilities
    matrix: Affine


@dataclass(frozen=True, slots=True)
class Parsing:
    """Class probabilities of a picture at any place, merged from a whole view and one view per face.

    Attributes:
        shape: (h, w) of the picture.
        whole: the view of the whole picture.
        faces: the views of the aligned faces, in the order of the faces.
    """

    shape: tuple[int, int]
    whole: View
    faces: tuple[View, ...]

    def within(self, place: tuple[slice, slice]) -> "Parsing":
        """Return the parsing of one place of the picture, rows and columns."""
        y0, x0 = (side.start or 0 for side in place)
        height, width = (
            side.indices(length)[1] - start
            for side, length, start in zip(place, self.shape, (y0, x0), strict=True)
        )
        moved = np.array([[1.0, 0.0, x0], [0.0, 1.0, y0]])
        views = [replace(view, matrix=compose(view.matrix, moved)) for view in (self.whole, *self.faces)]
        return Parsing((height, width), views[0], tuple(views[1:]))

    def reduced(self, scale: float) -> "Parsing":
        """Return the parsing of the picture at a scale of 1 and less; it is never enlarged."""
        if scale >= 1:
            return self
        height, width = (max(1, round(side * scale)) for side in self.shape)
        sy, sx = self.shape[0] / height, self.shape[1] / width
        grown = np.array([[sx, 0.0, 0.5 * sx - 0.5], [0.0, sy, 0.5 * sy - 0.5]])
        views = [replace(view, matrix=compose(view.matrix, grown)) for view in (self.whole, *self.faces)]
        return Parsing((height, width), views[0], tuple(views[1:]))

    def labels(self) -> Labels:
        """Return the likeliest class of each pixel; face classes count only where a face was looked at."""
        eye = np.eye(len(CLASSES), dtype=np.float32)
        rows = [np.argmax(strip, axis=0) for strip in self._strips(eye, range(len(self.faces)))]
        return np.asarray(np.concatenate(rows), dtype=np.uint8)

    def coverage(self, strengths: Sequence[float], chosen: Collection[int] | None = None) -> Mask:
        """Return the sum of the probabilities of each pixel, each class weighted by its strength.

        Args:
            strengths: one weight in 0..1 per class.
            chosen: indices of the faces whose face classes count; None means all. The face of anybody
                else counts as person, even where the crop of a chosen face shows it.
        """
        weights = np.asarray([strengths], dtype=np.float32)
        mask = np.empty(self.shape, dtype=np.float32)
        strips = self._strips(weights, range(len(self.faces)) if chosen is None else chosen)
        for row, strip in zip(range(0, self.shape[0], STRIP_ROWS), strips, strict=True):
            np.clip(strip[0], 0.0, 1.0, out=mask[row : row + STRIP_ROWS])
        return mask

    def _strips(self, weights: NDArray[np.float32], chosen: Collection[int]) -> Iterator[NDArray[np.float32]]:
        """Yield CxRxW strips of the merged probabilities, mixed by `weights` (Cx9), from top to bottom.

        Away from the chosen faces, a face class means person: no face without a detected face.
        """
        elsewhere = weights.copy()
        elsewhere[:, 2:] = weights[:, 1:2]
        whole = _mix(elsewhere, self.whole.probabilities)
        looks = [
            _Look(_mix(weights if k in chosen else elsewhere, view.probabilities), view.matrix)
            for k, view in enumerate(self.faces)
        ]
        height, width = self.shape
        for row in range(0, height, STRIP_ROWS):
            area = (row, min(row + STRIP_ROWS, height), 0, width)
            yield _lay_looks(_render(whole, self.whole.matrix, area, cv2.BORDER_REPLICATE), looks, area)


def _mix(weights: NDArray[np.float32], probabilities: Probabilities) -> NDArray[np.float32]:
    # The threads of a BLAS go on spinning after a product this small, and take a processor from somebody else.
    mixed: NDArray[np.float32] = np.einsum("ck,khw->chw", weights, probabilities)
    return mixed


_Area: TypeAlias = tuple[int, int, int, int]
"""(y0, y1, x0, x1) in the picture, end excluded."""


@dataclass(frozen=True, slots=True)
class _Look:
    """A face's mixed probabilities (CxSxS) and where they lie in the picture."""

    mixed: NDArray[np.float32]
    matrix: Affine

    def within(self, area: _Area) -> _Area | None:
        """Return the part of `area` under the crop, or None."""
        x0, y0, x1, y1 = crop_bounds(self.matrix, self.mixed.shape[1])
        y = max(area[0], floor(y0)), min(area[1], ceil(y1) + 1)
        x = max(area[2], floor(x0)), min(area[3], ceil(x1) + 1)
        return (*y, *x) if y[0] < y[1] and x[0] < x[1] else None


def _lay_looks(strip: NDArray[np.float32], looks: Sequence[_Look], area: _Area) -> NDArray[np.float32]:
    """Return the strip with the looks laid over it; where several meet, the nearest face has its way."""
    gate = np.zeros(strip.shape[1:], np.float32)
    total = np.zeros_like(gate)
    mixture = np.zeros_like(strip)
    for look in looks:
        part = look.within(area)
        if part is None:
            continue
        place = (slice(part[0] - area[0], part[1] - area[0]), slice(part[2], part[3]))
        window, prominence = _render(_windows(look.mixed.shape[1]), look.matrix, part)
        gate[place] = np.maximum(gate[place], window)
        total[place] += prominence
        mixture[(slice(None), *place)] += prominence * _render(
            look.mixed, look.matrix, part, cv2.BORDER_REPLICATE
        )
    return np.asarray(strip * (1 - gate) + mixture * (gate / np.maximum(total, 1e-12)), dtype=np.float32)


def _windows(size: int) -> NDArray[np.float32]:
    """Return 2xSxS: how far a crop has its say at all (1, falling to 0 at its border), and that times its nearness."""
    position = (np.arange(size, dtype=np.float32) + 0.5) / size
    ramp = np.clip(np.minimum(position, 1 - position) / WINDOW_FADE, 0, 1)
    side = ramp * ramp * (3 - 2 * ramp)
    window = side[:, None] * side[None, :]
    near = np.exp(-((position - 0.5) ** 2) / (2 * NEARNESS**2))
    return np.stack([window, window * near[:, None] * near[None, :]])


def _render(
    channels: NDArray[np.float32], matrix: Affine, area: _Area, border: int = cv2.BORDER_CONSTANT
) -> NDArray[np.float32]:
    """Return an area of the picture as the channels (Cxhxw), which `matrix` relates to it, show it."""
    y0, y1, x0, x1 = area
    local = compose(matrix, np.array([[1.0, 0.0, x0], [0.0, 1.0, y0]]))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.stack(
        [cv2.warpAffine(c, local, (x1 - x0, y1 - y0), flags=flags, borderMode=border) for c in channels]
    )


@dataclass(frozen=True, slots=True)
class LightSegmenter:
    """Parse pictures by the light U-Net.

    Attributes:
        backend: maps "input", 1x3xHxW RGB in 0..1 with sides that are multiples of 32, to probabilities.
        whole_side: longer side in pixels at which the whole picture is looked at.
        crop_sides: sides in pixels at which an aligned face is looked at, plain and mirrored; the mean of all looks
            counts. A second side gains nothing measurable and costs its time.
    """

    backend: Backend
    whole_side: int = 512
    crop_sides: tuple[int, ...] = (384,)

    def __call__(self, image: Image, faces: Sequence[Face]) -> Parsing:
        """Return the class probabilities of the picture, looked at whole and at each face."""
        shape = (image.shape[0], image.shape[1])
        return Parsing(shape, self._whole(image), tuple(self._face(image, face) for face in faces))

    def _whole(self, image: Image) -> View:
        height, width = image.shape[:2]
        scale = min(1.0, self.whole_side / max(height, width))
        h, w = (max(32, 32 * round(side * scale / 32)) for side in (height, width))
        small = np.asarray(cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA), dtype=np.uint8)
        sx, sy = w / width, h / height
        matrix = np.array([[sx, 0.0, 0.5 * sx - 0.5], [0.0, sy, 0.5 * sy - 0.5]])
        return View(self._probabilities(small), matrix)

    def _face(self, image: Image, face: Face) -> View:
        finest = max(self.crop_sides)
        looks = [_resized(self._look_twice(image, face, side), finest) for side in self.crop_sides]
        return View(np.mean(looks, axis=0, dtype=np.float32), face_affine(face.points, finest))

    def _look_twice(self, image: Image, face: Face, side: int) -> Probabilities:
        """Return the mean probabilities of the aligned face and its mirror image."""
        crop = align(image, face_affine(face.points, side), side)
        plain, mirrored = self.backend.run({"input": to_batch([crop, crop[:, ::-1]])})[0]
        unmirrored = mirrored[list(MIRRORED_CLASSES)][..., ::-1]
        return np.asarray((plain + unmirrored) / 2, dtype=np.float32)

    def _probabilities(self, picture: Image) -> Probabilities:
        return np.asarray(self.backend.run({"input": to_batch([picture])})[0][0])


def _resized(probabilities: Probabilities, side: int) -> Probabilities:
    channels = [cv2.resize(c, (side, side), interpolation=cv2.INTER_LINEAR) for c in probabilities]
    return np.stack(channels).astype(np.float32, copy=False)


def face_extent(face: Face) -> float:
    """Return the height of a face from brows to chin in picture pixels, from its landmarks.

    In the 512 pixels of the aligned crop it is about 256.
    """
    return 256 / affine_scale(face_affine(face.points))
