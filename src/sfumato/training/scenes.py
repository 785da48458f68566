"""Compose synthetic scenes with labelled faces from layers; it reads no file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import atan2, cos, hypot, pi, sin

import cv2
import numpy as np

from sfumato.geometry import compose, transform_points
from sfumato.stages.face_rows import mirror_rows
from sfumato.training.scene_layers import NO_BOXES, NO_ROWS, Array, Layer, SceneSources
from sfumato.training.scene_looks import change_look, change_tone
from sfumato.training.scene_occluders import occlude_face
from sfumato.types import Affine, Image

SIDE = 256
"""Width and height of a scene in pixels."""

SMALLEST, LARGEST = 15.0, 200.0
"""Faces of this size (root of the box area, in pixels) are learned; beyond, training looks away."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture with its faces.

    Attributes:
        image: HxWx3.
        rows: Nx15 faces (box, points, score); boxes may reach over the border.
        ignored: Mx4 boxes that count neither as face nor as ground.
    """

    image: Image
    rows: Array = field(default_factory=lambda: NO_ROWS)
    ignored: Array = field(default_factory=lambda: NO_BOXES)


def draw_scene(
    sources: SceneSources, rng: np.random.Generator, *, side: int = SIDE, decoys: Sequence[Layer] = ()
) -> Scene:
    """Return one training scene: real pictures, cut faces on a ground, or no face at all; then a look.

    Three scenes in ten also show some of the `decoys`, which are no faces.
    """
    scene = Scene(_draw_ground(sources.grounds, rng, side))
    kind = rng.random()
    if kind < 0.55:
        scene = _add_wholes(scene, sources, rng)
    elif kind < 0.88:
        scene = _add_cuts(scene, sources, rng)
    elif kind < 0.94:
        scene = _add_bodies(scene, sources, rng)
    if decoys and rng.random() < 0.3:
        scene = _add_decoys(scene, decoys, rng)
    image = scene.image
    for row in scene.rows:
        if rng.random() < 0.12:
            image = occlude_face(image, row, rng)
    return settle(Scene(change_look(image, rng), scene.rows, scene.ignored))


def _draw_ground(grounds: Sequence[Image], rng: np.random.Generator, side: int) -> Image:
    """Return a random, perhaps mirrored cut of a random ground, or now and then one plain colour."""
    if rng.random() < 0.08:
        return np.full((side, side, 3), rng.integers(0, 256, 3), dtype=np.uint8)
    image = grounds[int(rng.integers(len(grounds)))]
    cut = max(16, int(min(image.shape[:2]) * rng.uniform(0.5, 1)))
    y = rng.integers(image.shape[0] - cut + 1)
    x = rng.integers(image.shape[1] - cut + 1)
    ground = cv2.resize(image[y : y + cut, x : x + cut], (side, side), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(ground[:, :: -1 if rng.random() < 0.5 else 1], dtype=np.uint8)


def draw_size(rng: np.random.Generator, low: float = 17, high: float = 190) -> float:
    """Return a face size in pixels, evenly spread over its logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def draw_angle(rng: np.random.Generator) -> float:
    """Return a rotation in radians: mostly slight, a third of the time anything up to 52 degrees."""
    if rng.random() < 0.33:
        return float(np.deg2rad(rng.uniform(-52, 52)))
    return float(np.deg2rad(np.clip(rng.normal(0, 10), -45, 45)))


def row_size(row: Array) -> float:
    """Return the root of the box area in pixels."""
    return float(np.sqrt(max((row[2] - row[0]) * (row[3] - row[1]), 0.0)))


def placement(row: Array, centre: tuple[float, float], size: float, angle: float) -> Affine:
    """Return the similarity that brings the box of `row` to `centre` with `size`, turned by `angle`."""
    scale = size / max(row_size(row), 1.0)
    c, s = scale * cos(angle), scale * sin(angle)
    middle = np.array([row[0] + row[2], row[1] + row[3]], dtype=np.float64) / 2
    linear = np.array([[c, -s], [s, c]])
    return np.column_stack([linear, np.asarray(centre) - linear @ middle])


def mirror_layer(layer: Layer) -> Layer:
    """Return the layer as a mirror shows it."""
    width = layer.image.shape[1]
    boxes = layer.doubtful.copy()
    boxes[:, [0, 2]] = width - 1 - layer.doubtful[:, [2, 0]]
    alpha = None if layer.alpha is None else layer.alpha[:, ::-1]
    return Layer(layer.image[:, ::-1], alpha, mirror_rows(layer.rows, width), boxes)


def transform_rows(rows: Array, matrix: Affine) -> Array:
    """Map points by a similarity, and boxes as the tight boxes around their turned inscribed ellipses."""
    if not len(rows):
        return rows
    points = transform_points(matrix, rows[:, 4:14].reshape(-1, 2)).reshape(-1, 10)
    return np.concatenate([transform_boxes(rows[:, :4], matrix), points, rows[:, 14:]], axis=1)


def transform_boxes(boxes: Array, matrix: Affine) -> Array:
    """Return the tight boxes around the turned ellipses that the boxes enclose."""
    scale = hypot(matrix[0, 0], matrix[1, 0])
    angle = atan2(matrix[1, 0], matrix[0, 0])
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 * scale
    c, s = abs(cos(angle)), abs(sin(angle))
    reach = np.stack(
        [np.hypot(half[:, 0] * c, half[:, 1] * s), np.hypot(half[:, 0] * s, half[:, 1] * c)], axis=1
    )
    centre = transform_points(matrix, (boxes[:, :2] + boxes[:, 2:]) / np.float32(2))
    return np.asarray(np.concatenate([centre - reach, centre + reach], axis=1), dtype=np.float32)


def lay(scene: Scene, layer: Layer, matrix: Affine) -> Scene:
    """Lay a layer over the scene; faces that it covers by half are ignored, nearly wholly covered ones go."""
    top, alpha = _warp(layer, matrix, scene.image.shape[:2])
    mixed = np.asarray(cv2.blendLinear(top, scene.image, alpha, 1 - alpha), dtype=np.uint8)
    covered = np.array([_share(alpha, row) for row in scene.rows])
    kept = scene.rows[covered <= 0.45] if len(covered) else scene.rows
    hidden = scene.rows[(covered > 0.45) & (covered < 0.9), :4] if len(covered) else NO_BOXES
    rows = np.concatenate([kept, transform_rows(layer.rows, matrix)])
    ignored = np.concatenate([scene.ignored, hidden, transform_boxes(layer.doubtful, matrix)])
    return Scene(mixed, rows, ignored)


def _warp(layer: Layer, matrix: Affine, shape: tuple[int, ...]) -> tuple[Image, Array]:
    """Return the layer and its alpha on a canvas; a strongly reduced one is averaged down first."""
    image = layer.image
    alpha = layer.alpha if layer.alpha is not None else np.full(image.shape[:2], 255, dtype=np.uint8)
    factor = max(1, int(1 / max(hypot(matrix[0, 0], matrix[1, 0]), 1e-6)))
    reduced = (max(1, image.shape[1] // factor), max(1, image.shape[0] // factor))
    sx, sy = image.shape[1] / reduced[0], image.shape[0] / reduced[1]
    local = compose(matrix, np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5]]))
    top, weight = (
        cv2.warpAffine(
            cv2.resize(part, reduced, interpolation=cv2.INTER_AREA) if factor > 1 else part,
            local,
            (shape[1], shape[0]),
            flags=cv2.INTER_LINEAR,
            borderMode=border,
        )
        for part, border in ((image, cv2.BORDER_REPLICATE), (alpha, cv2.BORDER_CONSTANT))
    )
    return np.asarray(top, dtype=np.uint8), np.asarray(weight, dtype=np.float32) / np.float32(255)


def _share(alpha: Array, row: Array) -> float:
    """Return the mean of alpha over the part of a box that lies on the canvas."""
    x0, y0 = (int(max(value, 0)) for value in row[:2])
    x1, y1 = int(row[2]) + 1, int(row[3]) + 1
    part = alpha[y0:y1, x0:x1]
    return float(part.mean()) if part.size else 0.0


def settle(scene: Scene) -> Scene:
    """Drop faces mostly outside the canvas; ignore those half outside, too small or too large to learn."""
    height, width = scene.image.shape[:2]
    low = np.maximum(scene.rows[:, :2], -0.5)
    high = np.minimum(scene.rows[:, 2:4], [width - 0.5, height - 0.5])
    size = (scene.rows[:, 2:4] - scene.rows[:, :2]).clip(1e-3)
    inside = (high - low).clip(0).prod(axis=1) / size.prod(axis=1)
    root = np.sqrt(size.prod(axis=1))
    learned = (inside > 0.6) & (root >= SMALLEST) & (root <= LARGEST)
    ignored = scene.rows[~learned & (inside > 0.15), :4]
    return Scene(scene.image, scene.rows[learned], np.concatenate([scene.ignored, ignored]))


def _draw_centre(rng: np.random.Generator, side: int, size: float) -> tuple[float, float]:
    """Return a place for a face: mostly inside, now and then cut by the border."""
    reach = 0.2 if rng.random() < 0.2 else 0.5
    margin = min(reach * size, 0.48 * side)
    x, y = rng.uniform(margin, side - margin, 2)
    return float(x), float(y)


def _draw_layer(layer: Layer, rng: np.random.Generator) -> Layer:
    """Return the layer, mirrored half of the time and often in another light."""
    layer = mirror_layer(layer) if rng.random() < 0.5 else layer
    if rng.random() < 0.5:
        return layer
    return Layer(change_tone(layer.image, rng), layer.alpha, layer.rows, layer.doubtful)


def _add_wholes(scene: Scene, sources: SceneSources, rng: np.random.Generator) -> Scene:
    """Lay one or several whole pictures, and sometimes a cut face over them."""
    side = scene.image.shape[0]
    size = draw_size(rng)
    count = 1 if size > 60 else int(rng.integers(1, 7))
    for _ in range(count):
        layer = _draw_whole(sources, rng)
        row = _draw_anchor(layer, rng)
        own = size * rng.uniform(0.75, 1.3)
        scene = lay(scene, layer, placement(row, _draw_centre(rng, side, own), own, draw_angle(rng)))
    return _add_cuts(scene, sources, rng, most=1) if rng.random() < 0.12 else scene


def _draw_whole(sources: SceneSources, rng: np.random.Generator) -> Layer:
    """Return a photograph with people, or one time in four the whole picture of a parsed face."""
    if rng.random() < 0.25:
        cut = sources.cuts[int(rng.integers(len(sources.cuts)))]
        return _draw_layer(Layer(cut.image, None, cut.rows, cut.doubtful), rng)
    return _draw_layer(sources.wholes[int(rng.choice(len(sources.wholes), p=sources.weights))], rng)


def _draw_anchor(layer: Layer, rng: np.random.Generator) -> Array:
    """Return the row of a random face of the layer, or of a random square where there is none."""
    if len(layer.rows):
        row: Array = layer.rows[rng.integers(len(layer.rows))]
        return row
    height, width = layer.image.shape[:2]
    side = min(height, width) * rng.uniform(0.15, 0.5)
    x, y = rng.uniform(0, width - side), rng.uniform(0, height - side)
    return np.array([x, y, x + side, y + side, *[0.0] * 11], dtype=np.float32)


def _add_cuts(scene: Scene, sources: SceneSources, rng: np.random.Generator, most: int = 6) -> Scene:
    """Lay some cut faces, smaller ones in greater number."""
    side = scene.image.shape[0]
    size = draw_size(rng, 16, 170)
    count = 1 if size > 90 else int(rng.integers(1, most + 1))
    for _ in range(count):
        layer = _draw_layer(sources.cuts[int(rng.integers(len(sources.cuts)))], rng)
        own = size * rng.uniform(0.7, 1.35)
        matrix = placement(layer.rows[0], _draw_centre(rng, side, own), own, draw_angle(rng))
        scene = lay(scene, layer, matrix)
    return scene


def _add_decoys(scene: Scene, decoys: Sequence[Layer], rng: np.random.Generator) -> Scene:
    """Lay one to four things that were mistaken for faces, at about their own size."""
    for _ in range(int(rng.integers(1, 5))):
        layer = _draw_layer(decoys[int(rng.integers(len(decoys)))], rng)
        height, width = layer.image.shape[:2]
        whole = np.array([0, 0, width, height, *[0.0] * 11], dtype=np.float32)
        size = row_size(whole) * rng.uniform(0.7, 1.4)
        x, y = rng.uniform(0, scene.image.shape[0], 2)
        scene = lay(scene, layer, placement(whole, (float(x), float(y)), size, draw_angle(rng) / 2))
    return scene


def _add_bodies(scene: Scene, sources: SceneSources, rng: np.random.Generator) -> Scene:
    """Lay a person so that what lies two to five faces below the face fills the canvas."""
    side = scene.image.shape[0]
    layer = _draw_whole(sources, rng)
    row = _draw_anchor(layer, rng).copy()
    row[[1, 3]] += (row[3] - row[1]) * rng.uniform(1.2, 4)
    size = draw_size(rng, 40, 160)
    return lay(scene, layer, placement(row, (side / 2, side / 2), size, draw_angle(rng) * 2 / pi))
