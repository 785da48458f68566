"""Hold the labelled pictures that synthetic face scenes are made of; it composes nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from sfumato.errors import InputError, MissingInputError
from sfumato.stages.face_rows import face_to_row
from sfumato.training.face_labels import LabelledFace, read_labels, write_labels
from sfumato.types import Image, Labels

Array = NDArray[np.float32]
NO_ROWS: Array = np.zeros((0, 15), dtype=np.float32)
Label: TypeAlias = Callable[[Image], list[LabelledFace]]
"""Find the faces of a picture to train on."""

NO_BOXES: Array = np.zeros((0, 4), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Layer:
    """A picture that can be laid into a scene.

    Attributes:
        image: HxWx3 RGB.
        alpha: HxW uint8, 0 where nothing is laid; None for a whole rectangle.
        rows: Nx15 faces (box, five points, score) in pixels of `image`.
        doubtful: Mx4 boxes that may be faces; training looks away from them.
    """

    image: Image
    alpha: NDArray[np.uint8] | None
    rows: Array
    doubtful: Array


@dataclass(frozen=True, slots=True)
class SceneSources:
    """The layers by kind.

    Attributes:
        cuts: faces with the masks of their heads and of their bare faces.
        wholes: photographs with people in their own surroundings.
        grounds: pictures without faces.
        weights: how often each of `wholes` is drawn; sums to 1.
    """

    cuts: Sequence[Layer]
    wholes: Sequence[Layer]
    grounds: Sequence[Image]
    weights: NDArray[np.float64]


def turned_more_often(layers: Sequence[Layer]) -> NDArray[np.float64]:
    """Return weights that sum to 1 and draw turned heads up to three times as often as frontal ones."""
    raw = np.array([1 + max((turn(row) for row in layer.rows), default=0.1) * 30 for layer in layers])
    return np.asarray(raw / raw.sum(), dtype=np.float64)


def turn(row: Array) -> float:
    """Return how far the nose lies beside the middle of the eyes, in box widths, at most 0.25."""
    points = row[4:14].reshape(5, 2)
    return float(min(abs(points[2, 0] - points[:2, 0].mean()) / max(row[2] - row[0], 1.0), 0.25))


@dataclass(frozen=True, slots=True)
class SceneFolders:
    """Where the pictures lie.

    Attributes:
        parsed: a folder in EasyPortrait's layout (images/train, annotations/train).
        people: folders of photographs with people, labelled by YuNet.
        grounds: folders of pictures without faces.
        held_out: one in this many pictures of `people` is kept for validation.
    """

    parsed: Path
    people: tuple[Path, ...]
    grounds: tuple[Path, ...]
    held_out: int = 6


def list_pictures(folder: Path) -> list[Path]:
    """Return the JPEG and PNG files of a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))


def split_people(folders: SceneFolders, *, held_out: bool) -> list[Path]:
    """Return the photographs with people of one side of the split."""
    return [
        path
        for folder in folders.people
        for k, path in enumerate(list_pictures(folder))
        if (k % folders.held_out == 0) == held_out
    ]


def read_picture(path: Path, long_side: int | None = None) -> tuple[Image, float]:
    """Return the picture as RGB, reduced to `long_side` if it is larger, and the scale of that.

    Raises:
        InputError: OpenCV cannot decode the file.
    """
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise InputError(f"{path} is no picture that OpenCV reads; take it out of the folder")
    scale = 1.0 if long_side is None else min(1.0, long_side / max(bgr.shape[:2]))
    if scale < 1:
        bgr = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(bgr[:, :, ::-1], dtype=np.uint8), scale


def label_once(
    paths: Sequence[Path], make_labeller: Callable[[], Label], store: Path
) -> dict[str, list[LabelledFace]]:
    """Return the faces of every path by its text, labelling only if `store` does not hold them yet."""
    if store.is_file():
        return read_labels(store)
    label = make_labeller()
    labels = {str(path): label(read_picture(path)[0]) for path in paths}
    write_labels(labels, store)
    return labels


def is_sure(label: LabelledFace) -> bool:
    """Tell whether at least two searches found a face, one of them without doubt."""
    return label.face.score >= 0.8 and label.votes >= 2


def split_labels(labels: Sequence[LabelledFace], scale: float = 1.0) -> tuple[Array, Array]:
    """Return the sure faces (rows) and the doubtful boxes, in pixels of the picture reduced by `scale`.

    What a single search saw faintly is neither: it counts as ground.
    """
    rows = np.array([face_to_row(x.face) for x in labels if is_sure(x)], dtype=np.float32).reshape(-1, 15)
    doubtful = [x.face.box for x in labels if not is_sure(x) and (x.face.score >= 0.5 or x.votes >= 3)]
    boxes = np.array(doubtful, dtype=np.float32).reshape(-1, 4)
    shift = 0.5 * scale - 0.5
    rows = np.concatenate([rows[:, :14] * scale + shift, rows[:, 14:]], axis=1)
    return rows.astype(np.float32), boxes * scale + shift


def load_sources(
    folders: SceneFolders, labels: Mapping[str, Sequence[LabelledFace]], *, sharpen: bool = True
) -> SceneSources:
    """Read all layers into memory (about 1 GB for 2,000 portraits and 2,900 grounds of 256x256).

    Args:
        sharpen: take eyes and mouth corners from the masks where there are some (`sharpen_points`).
    """
    pictures = list_pictures(folders.parsed / "images" / "train")
    cuts = [
        layer
        for path in pictures
        for layer in _load_cut(path, folders.parsed, labels[str(path)], sharpen=sharpen)
    ]
    wholes = [_load_whole(path, labels[str(path)]) for path in split_people(folders, held_out=False)]
    grounds = [read_picture(path, 512)[0] for folder in folders.grounds for path in list_pictures(folder)]
    return SceneSources(cuts, wholes, grounds, turned_more_often(wholes))


def sharpen_points(row: Array, classes: Labels, scale: float) -> Array:
    """Return the row with eyes and mouth corners taken from the mask, where it shows them near the given ones.

    Args:
        row: face in pixels of the picture.
        classes: EasyPortrait ids of the picture before it was reduced by `scale`.
    """
    points = row[4:14].reshape(5, 2).copy()
    reach = 0.05 * float(row[2] - row[0])
    for k, seen in enumerate(_points_of_mask(classes)):
        place = seen * scale + 0.5 * scale - 0.5
        if np.hypot(*(place - points[k])) < reach:
            points[k] = place
    return np.concatenate([row[:4], points.reshape(-1), row[14:]]).astype(np.float32)


def _points_of_mask(classes: Labels) -> NDArray[np.float64]:
    """Return the middles of the eyes and the ends of the lips; the nose, and what is hidden, is infinite."""
    points = np.full((5, 2), np.inf)
    for k, eye in ((0, 5), (1, 6)):
        y, x = np.nonzero(classes == eye)
        if len(x) >= 60:
            points[k] = x.mean(), y.mean()
    y, x = np.nonzero(classes >= 7)
    if len(x) >= 60:
        points[3] = x.min(), np.median(y[x == x.min()])
        points[4] = x.max(), np.median(y[x == x.max()])
    return points


def _load_whole(path: Path, labels: Sequence[LabelledFace]) -> Layer:
    image, scale = read_picture(path, 560)
    return Layer(image, None, *split_labels(labels, scale))


def _load_cut(path: Path, parsed: Path, labels: Sequence[LabelledFace], *, sharpen: bool) -> Iterator[Layer]:
    """Yield the picture whole and cut along its head, if exactly one face is sure."""
    image, scale = read_picture(path, 288)
    rows, doubtful = split_labels(labels, scale)
    if len(rows) != 1:
        return
    classes = cv2.imread(str(parsed / "annotations" / "train" / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE)
    if classes is None:
        raise MissingInputError(f"no mask of {path.name} in {parsed}/annotations/train; add {path.stem}.png")
    if sharpen:
        rows = sharpen_points(rows[0], np.asarray(classes, dtype=np.uint8), scale)[None]
    for lowest in (1, 2):
        alpha = (classes >= lowest).astype(np.uint8) * 255
        reduced = cv2.resize(alpha, image.shape[1::-1], interpolation=cv2.INTER_AREA)
        yield Layer(image, reduced.astype(np.uint8), rows, doubtful)
