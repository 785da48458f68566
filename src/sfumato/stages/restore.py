"""Restore faces as far as they need it, and change nothing else; it knows a network only as a crop-to-crop call."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.backends import Backend
from sfumato.fields import broad, luma
from sfumato.geometry import (
    ALIGNED_SIZE,
    affine_scale,
    align,
    clip_box,
    crop_bounds,
    face_affine,
    scale_affine,
    unalign,
)
from sfumato.stages.planes import to_batch, to_picture
from sfumato.types import Affine, Compare, Face, FloatImage, Image, Mask, Transform

_SHARP, _SOFT = 0.60, 0.30
"""Sharpness from which a face is left alone, and at which it is restored in full (see docs of `need`)."""

_LARGE, _SMALL = 2.0, 6.0
"""Crop pixels for each picture pixel up to which size does not matter, and from which a face counts as small."""

_FADE = 0.16
"""Share of the crop's side over which a restoration fades in from each border."""

ALIKE = 0.7
"""Likeness of a face to its restoration below which the restoration is turned down."""

_STRIP = 256
"""Rows of the picture that are changed at a time, so that memory stays flat for very large faces."""


@dataclass(frozen=True, slots=True)
class FaceRestoration:
    """Say what was done to one face.

    Attributes:
        sharpness: of its aligned crop before restoration, 0..1.
        weight: of the restoration that was added, 0..1; 0 means that the face kept its pixels exactly.
        turned_down: whether more was asked for, but the face would have looked like somebody else.
    """

    sharpness: float
    weight: float
    turned_down: bool = False


@dataclass(frozen=True, slots=True)
class CropRestorer:
    """Restore an aligned crop by a network that maps "input", 1x3x512x512 in 0..1, to the same."""

    backend: Backend

    def __call__(self, crop: Image) -> Image:
        """Return the restored 512x512 crop."""
        return to_picture(self.backend.run({"input": to_batch([crop])})[0][0])


def restore_faces(
    image: Image,
    faces: Sequence[Face],
    restorer: Transform,
    strength: float,
    likeness: Compare | None = None,
) -> tuple[Image, tuple[FaceRestoration, ...]]:
    """Restore every face by `strength` times its own need, one after the other.

    A face with weight 0 never reaches the network; with none restored the picture itself is returned.

    Args:
        restorer: maps an FFHQ-aligned 512x512 crop to its restoration.
        strength: 0..1.
        likeness: how much two aligned crops look like one person; where a restoration falls below `ALIKE`, half of it
            is added, or a quarter, or none.
    """
    result, report = image, []
    for face in faces:
        matrix = face_affine(face.points)
        crop = align(result, matrix)
        sharpness = measure_sharpness(crop)
        weight = strength * need(sharpness, affine_scale(matrix))
        asked = weight
        if weight > 0:
            difference = face_difference(crop, restorer(crop))
            weight = weight if likeness is None else _tolerated(crop, difference, weight, likeness)
        if weight > 0:
            result = image.copy() if result is image else result
            _add_difference(result, difference, matrix, weight)
        report.append(FaceRestoration(sharpness, weight, weight < asked))
    return result, tuple(report)


def enhance_faces(
    image: Image, faces: Sequence[Face], restorer: Transform, strength: float
) -> tuple[Image, tuple[FaceRestoration, ...]]:
    """Restore every face in full, whatever its need, as the paper does (section 2.3): colours and all.

    The crops fade in from their borders, one after the other; nothing else of the picture changes.

    Args:
        restorer: maps an FFHQ-aligned 512x512 crop to its restoration.
        strength: 0..1, the part of the restored face; the rest is the photo's.
    """
    result, report = image.copy() if faces and strength > 0 else image, []
    for face in faces:
        matrix = face_affine(face.points)
        crop = align(result, matrix)
        if strength > 0:
            difference = restorer(crop).astype(np.float32) - crop.astype(np.float32)
            _add_difference(result, difference * fade_window(crop.shape[0])[..., None], matrix, strength)
        report.append(FaceRestoration(measure_sharpness(crop), strength))
    return result, tuple(report)


def _tolerated(crop: Image, difference: FloatImage, weight: float, likeness: Compare) -> float:
    """Return the weight, or the half or the quarter of it, by which the face still looks like itself, or 0."""
    for share in (1.0, 0.5, 0.25):
        restored = np.clip(np.rint(crop + share * weight * difference), 0, 255).astype(np.uint8)
        if likeness(crop, restored) >= ALIKE:
            return share * weight
    return 0.0


def measure_sharpness(crop: Image) -> float:
    """Return how crisp the eyes, brows, nose and mouth of an aligned crop are: 1 for an ideal step, towards 0 for mist.

    The energy of its gradients after blurs of sigma 1 and 3 is compared. An edge that is itself blurred by s
    gives the ratio r = sqrt((s^2 + 9) / (s^2 + 1)), whatever its contrast (after Zhuo and Sim, "Defocus map
    estimation from a single image", 2011, equation 5), and the result is (r - 1) / 2. Only the strongest
    tenth of the pixels counts, and the median energy, which is noise, is taken away first. A crop without any
    edge counts as sharp: there is nothing to restore.
    """
    height, width = crop.shape[:2]
    centre = crop[round(0.34 * height) : round(0.82 * height), round(0.25 * width) : round(0.75 * width)]
    grey = cv2.cvtColor(centre, cv2.COLOR_RGB2GRAY).astype(np.float32)
    scale = height / ALIGNED_SIZE
    fine, coarse = gradient_energy(grey, 1.0 * scale), gradient_energy(grey, 3.0 * scale)
    edges = coarse >= np.quantile(coarse, 0.9)
    total = float((coarse[edges] - np.median(coarse)).sum())
    if total < 1e-3 * edges.sum():
        return 1.0
    ratio = float((fine[edges] - np.median(fine)).sum()) / total
    return float(np.clip((ratio - 1) / 2, 0.0, 1.0))


def gradient_energy(grey: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Return the squared gradient of an HxW picture blurred by `sigma` pixels."""
    smooth = cv2.GaussianBlur(grey, (0, 0), sigma)
    along_x, along_y = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    return np.asarray(along_x**2 + along_y**2, dtype=np.float32)


def need(sharpness: float, face_scale: float) -> float:
    """Return how much restoration a face gets: 0 for a sharp and large one, 1 for a soft one.

    Calibrated on 100 aligned 512x512 photos with Gaussian blur of known sigma. Sharpness (5 %, median, 95 %):
    untouched 0.61, 0.87, 1; sigma 1.5 0.39, 0.52, 0.72; sigma 2 0.31, 0.40, 0.54; sigma 3 0.20, 0.26, 0.33.
    A face that is much smaller than the crop gets at least a half: its pixels hold more noise than detail.

    Args:
        sharpness: of its crop, by `measure_sharpness`.
        face_scale: crop pixels for each picture pixel, by `affine_scale`.
    """
    softness = (_SHARP - sharpness) / (_SHARP - _SOFT)
    smallness = (face_scale - _LARGE) / (_SMALL - _LARGE)
    return max(_smooth_step(softness), 0.5 * _smooth_step(smallness))


def paste_difference(image: Image, crop: Image, restored: Image, matrix: Affine, weight: float) -> Image:
    """Return the picture with `weight` times what the restoration changed added to it.

    Only the difference travels back, so the picture keeps all detail that the crop did not hold; it fades to 0
    towards the border of the crop, and every pixel outside the crop stays as it is.

    Args:
        crop: 512x512 cut by `align(image, matrix)`.
        restored: the restorer's answer to it.
        weight: 0..1; 0 gives an equal picture.
    """
    result = image.copy()
    if weight > 0:
        _add_difference(result, face_difference(crop, restored), matrix, weight)
    return result


def face_difference(crop: Image, restored: Image) -> FloatImage:
    """Return what the restoration changed, without its changes of colour and light, faded out at the border.

    The parts of the difference that are broader than a cheek (lightness) or an iris (colour) are removed, so
    skin tone, shading and eye colour stay those of the photo. A crop without any colour gains none.
    """
    difference = restored.astype(np.float32) - crop.astype(np.float32)
    light = luma(difference)
    colour = difference - light[..., None]
    scale = crop.shape[0] / ALIGNED_SIZE
    light = light - broad(light, 24.0 * scale)
    colour = colour - broad(colour, 6.0 * scale)
    if _is_grey(crop):
        colour[:] = 0
    window = fade_window(crop.shape[0])
    return np.asarray((light[..., None] + colour) * window[..., None], dtype=np.float32)


def _is_grey(crop: Image) -> bool:
    return np.array_equal(crop[..., 0], crop[..., 1]) and np.array_equal(crop[..., 1], crop[..., 2])


def fade_window(size: int) -> Mask:
    """Return weights that are 1 in the middle of a square and fall smoothly to 0 at its border.

    >>> fade_window(50)[25, [0, 4, 25]].round(2).tolist()
    [0.0, 0.5, 1.0]
    """
    place = np.arange(size, dtype=np.float64)
    to_border = np.clip(np.minimum(place, size - 1 - place) / (_FADE * size), 0.0, 1.0)
    ramp = to_border**2 * (3 - 2 * to_border)
    return np.outer(ramp, ramp).astype(np.float32)


def _add_difference(target: Image, difference: FloatImage, matrix: Affine, weight: float) -> None:
    """Add the weighted difference to `target` in place, strip by strip."""
    size = difference.shape[0]
    factor = max(1.0, affine_scale(matrix))
    if factor > 1:
        side = max(8, round(size / factor))
        reduced = cv2.resize(difference, (side, side), interpolation=cv2.INTER_AREA)
        difference = np.asarray(reduced, dtype=np.float32)
        matrix = scale_affine(matrix, side / size)
    x0, y0, x1, y1 = clip_box(crop_bounds(matrix, difference.shape[0]), target.shape[:2])
    for top in range(y0, y1, _STRIP):
        bottom = min(top + _STRIP, y1)
        change = unalign(difference, matrix, (x0, top, x1, bottom))
        target[top:bottom, x0:x1] = _round(target[top:bottom, x0:x1] + np.float32(weight) * change)


def _smooth_step(value: float) -> float:
    inside = min(max(value, 0.0), 1.0)
    return inside * inside * (3 - 2 * inside)


def _round(values: NDArray[np.float32]) -> Image:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
