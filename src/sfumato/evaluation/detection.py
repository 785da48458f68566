"""Measure a face detector against reference faces: recall, precision, landmark error; it trains nothing."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sfumato.stages.face_rows import overlaps
from sfumato.types import Box, Detect, Face, Image


@dataclass(frozen=True, slots=True)
class Rule:
    """Say which faces count.

    A reference face is due if its score and its size reach these; other reference faces are doubtful: to
    find one is neither right nor wrong. A detection counts if its score and its size reach these and it
    meets no doubtful face.

    Attributes:
        score: least score of a due face and of a counted detection.
        size: least shorter side of the box in pixels, of both.
        overlap: least intersection over union of a detection with the face that it finds.
    """

    score: float = 0.6
    size: float = 64.0
    overlap: float = 0.4

    def counts(self, face: Face) -> bool:
        """Tell whether a face is sure and large enough."""
        return face.score >= self.score and face.size >= self.size


@dataclass(frozen=True, slots=True)
class Match:
    """What a detector did with one picture.

    Attributes:
        pairs: (due reference face, detection that found it).
        missed: due faces that no detection found.
        false: counted detections that found nothing.
    """

    pairs: tuple[tuple[Face, Face], ...]
    missed: tuple[Face, ...]
    false: tuple[Face, ...]


@dataclass(frozen=True, slots=True)
class DetectionScores:
    """Sums over pictures.

    Attributes:
        found, missed, false: counts of faces.
        landmark_errors: for each found face the mean distance of the five points over the distance of
            the eyes.
        frontal_errors: those of the faces that look ahead, see `is_frontal`.
    """

    found: int
    missed: int
    false: int
    landmark_errors: tuple[float, ...]
    frontal_errors: tuple[float, ...] = ()

    @property
    def recall(self) -> float:
        """Return the share of due faces that were found; 1 if none was due."""
        due = self.found + self.missed
        return self.found / due if due else 1.0

    @property
    def precision(self) -> float:
        """Return the share of counted detections that are right; 1 if there was none."""
        counted = self.found + self.false
        return self.found / counted if counted else 1.0

    @property
    def landmark_error(self) -> float:
        """Return the median of the landmark errors; NaN if no face was found."""
        return float(np.median(self.landmark_errors)) if self.landmark_errors else float("nan")

    @property
    def frontal_error(self) -> float:
        """Return the median of the landmark errors of frontal faces; NaN if none was found."""
        return float(np.median(self.frontal_errors)) if self.frontal_errors else float("nan")


def overlap_matrix(references: Sequence[Face], detections: Sequence[Face]) -> NDArray[np.float64]:
    """Return intersection over union, a row for each reference and a column for each detection."""
    columns = _boxes(detections)
    rows = [overlaps(box, columns) for box in _boxes(references)]
    return np.array(rows, dtype=np.float64).reshape(len(references), len(detections))


def _boxes(faces: Sequence[Face]) -> NDArray[np.float32]:
    return np.array([face.box for face in faces], dtype=np.float32).reshape(-1, 4)


def pair_faces(
    references: Sequence[Face], detections: Sequence[Face], overlap: float
) -> list[tuple[int, int]]:
    """Return index pairs, one to one, as many as possible that overlap enough, then with the most overlap."""
    matrix = overlap_matrix(references, detections)
    good = matrix >= overlap
    rows, columns = linear_sum_assignment(
        np.where(good, 1 + matrix / (1 + len(detections)), 0.0), maximize=True
    )
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if good[r, c]]


def match_faces(references: Sequence[Face], detections: Sequence[Face], rule: Rule = Rule()) -> Match:
    """Pair the faces of one picture by `rule`.

    Detections below the rule's size may find a due face (a face of 65 pixels whose box came out at 62), but
    are no false alarms; below its score they do not exist.
    """
    seen = [face for face in detections if face.score >= rule.score]
    due = [face for face in references if rule.counts(face)]
    doubtful = [face for face in references if not rule.counts(face)]
    found = pair_faces(due, seen, rule.overlap)
    taken_due, taken = {r for r, _ in found}, {c for _, c in found}
    left = [face for k, face in enumerate(seen) if k not in taken and rule.counts(face)]
    excused = {c for _, c in pair_faces(doubtful, left, rule.overlap)}
    return Match(
        pairs=tuple((due[r], seen[c]) for r, c in found),
        missed=tuple(face for k, face in enumerate(due) if k not in taken_due),
        false=tuple(face for k, face in enumerate(left) if k not in excused),
    )


def landmark_error(reference: Face, detection: Face) -> float:
    """Return the mean distance of the five points over the distance of the reference eyes.

    The eyes of a profile nearly meet; there a quarter of the box's longer side stands in for their distance.
    """
    points = reference.points
    x0, y0, x1, y1 = reference.box
    eyes = max(float(np.linalg.norm(points[1] - points[0])), 0.25 * max(x1 - x0, y1 - y0))
    return float(np.linalg.norm(points - detection.points, axis=1).mean() / eyes)


def is_frontal(face: Face) -> bool:
    """Tell whether a face looks ahead: its nose lies within 0.15 eye distances of the middle between the eyes."""
    points = face.points.astype(np.float64)
    axis = points[1] - points[0]
    beside = float(np.dot(points[2] - points[:2].mean(axis=0), axis) / max(float(np.dot(axis, axis)), 1e-9))
    return abs(beside) < 0.15


def sum_matches(matches: Iterable[Match]) -> DetectionScores:
    """Add up the matches of many pictures."""
    listed = list(matches)
    pairs = [pair for match in listed for pair in match.pairs]
    return DetectionScores(
        found=len(pairs),
        missed=sum(len(match.missed) for match in listed),
        false=sum(len(match.false) for match in listed),
        landmark_errors=tuple(landmark_error(*pair) for pair in pairs),
        frontal_errors=tuple(landmark_error(*pair) for pair in pairs if is_frontal(pair[0])),
    )


def read_reference(path: Path) -> dict[str, tuple[Face, ...]]:
    """Return the faces of a JSON file {picture: [{"box", "landmarks", "score"}]}."""
    plain = json.loads(path.read_text(encoding="utf-8"))
    return {name: tuple(_parse_face(face) for face in faces) for name, faces in plain.items()}


def _parse_face(plain: Mapping[str, object]) -> Face:
    numbers = np.asarray(plain["box"], dtype=np.float64).tolist()
    points = np.asarray(plain["landmarks"], dtype=np.float64).reshape(5, 2).tolist()
    box: Box = (numbers[0], numbers[1], numbers[2], numbers[3])
    a, b, c, d, e = ((x, y) for x, y in points)
    return Face(box, (a, b, c, d, e), float(np.float64(plain["score"])))  # type: ignore[arg-type]  # JSON number


def evaluate_detector(
    detect: Detect,
    pictures: Iterable[tuple[str, Image]],
    reference: Mapping[str, Sequence[Face]],
    rule: Rule = Rule(),
) -> tuple[DetectionScores, dict[str, Match]]:
    """Run a detector over named pictures and return the sums and each picture's match."""
    matches = {name: match_faces(reference[name], detect(image), rule) for name, image in pictures}
    return sum_matches(matches.values()), matches


def evaluate_folder(
    detect: Detect, folder: Path, *, leave_out: Sequence[str] = (), rule: Rule = Rule()
) -> tuple[DetectionScores, dict[str, Match]]:
    """Evaluate over the pictures that `folder/faces.json` names, without the sub-folders `leave_out`."""
    reference = read_reference(folder / "faces.json")
    names = [name for name in sorted(reference) if name.split("/")[0] not in leave_out]
    return evaluate_detector(detect, ((name, read_picture(folder / name)) for name in names), reference, rule)


def read_picture(path: Path) -> Image:
    """Return the RGB pixels of a picture as stored."""
    from PIL import Image as PilImage

    with PilImage.open(path) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.uint8)
