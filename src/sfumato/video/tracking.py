"""Follow faces from frame to frame and steady their landmarks; pure, and it finds none."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from sfumato.geometry import affine_scale, fit_similarity, transform_points
from sfumato.types import Affine, Box, Face, Point, Points

Landmarks: TypeAlias = tuple[Point, Point, Point, Point, Point]

Carry: TypeAlias = Callable[[Points], tuple[Points, NDArray[np.float32]]]
"""Says where points of the former frame are in the new one, and how sure that is, 0..1."""

SAME = 0.5
"""Mean distance of landmarks, in sizes of the face, up to which a face is taken for one that was expected there."""

PATIENCE = 8
"""Frames for which a face that is not found stays where the motion carries it."""

CERTAIN = 0.75
"""Score from which a face is kept at once; others first when they are found twice."""

STILL, FAST = 0.03, 0.15
"""Distance between what was expected and what was found, in sizes of the face: below the first it is taken for the
detector's noise, from the second on for a movement."""

CALM = 0.25
"""Part of what was found in what is taken where it is noise."""

BETA = CALM**2 / (2 - CALM)
"""Part of it that counts as a drift that the motion keeps on missing."""

GRID, INNER = 8, 0.4
"""Points along each side of a face by which its motion is told, and which part of the box lies around them."""

LARGER = 1.25
"""How many times larger another face must be before it counts as the largest instead."""


@dataclass(frozen=True, slots=True)
class Track:
    """A face that is followed.

    Attributes:
        number: of the track within its scene.
        face: where it is now, steadied.
        seen: frames in which it was found; missed: frames since it was.
        edge: which edge is drawn around it, or None as long as it has none.
        restored: how far it is restored, or None as long as that is not known.
        tint: by how many levels of R, G and B its painting differs from it, or None as long as that is not known.
        drift: by how many pixels the motion misses it each time it is found.
    """

    number: int
    face: Face
    seen: int = 1
    missed: int = 0
    edge: int | None = None
    restored: float | None = None
    tint: tuple[float, float, float] | None = None
    drift: Point = (0.0, 0.0)

    @property
    def certain(self) -> bool:
        """Return whether it is a face indeed."""
        return self.seen > 1 or self.face.score >= CERTAIN


def face_size(face: Face) -> float:
    """Return the size by which distances of a face are measured, its shorter side, and one pixel at least."""
    return max(1.0, face.size)


def landmark_distance(one: Face, other: Face) -> float:
    """Return the mean distance of their landmarks in sizes of the larger face."""
    apart = np.linalg.norm(one.points - other.points, axis=1).mean()
    return float(apart) / max(face_size(one), face_size(other))


def match_faces(expected: Sequence[Face], found: Sequence[Face], most: float = SAME) -> dict[int, int]:
    """Return which found face each expected one is, nearest pairs first; no face is taken twice.

    Args:
        most: distance beyond which two are never the same.
    """
    pairs = [(landmark_distance(a, b), i, j) for i, a in enumerate(expected) for j, b in enumerate(found)]
    matched: dict[int, int] = {}
    for apart, i, j in sorted(pairs):
        if apart <= most and i not in matched and j not in matched.values():
            matched[i] = j
    return matched


def follow(tracks: Sequence[Track], found: Sequence[Face] | None, carry: Carry) -> tuple[Track, ...]:
    """Return the tracks of the new frame.

    Each track is carried by the motion first, so that it does not lag; what was found corrects it.

    Args:
        tracks: those of the former frame.
        found: faces of the new frame; None where nobody looked, which counts as no miss.
        carry: the motion between the two.
    """
    expected = [carry_face(track.face, carry) for track in tracks]
    if found is None:
        return tuple(replace(track, face=face) for track, face in zip(tracks, expected, strict=True))
    matched = match_faces(expected, found)
    kept = []
    for k, (track, face) in enumerate(zip(tracks, expected, strict=True)):
        if k in matched:
            kept.append(corrected(track, face, found[matched[k]]))
        elif track.missed < PATIENCE and track.certain:
            kept.append(replace(track, face=face, missed=track.missed + 1))
    strangers = [face for j, face in enumerate(found) if j not in matched.values()]
    free = [face for face in strangers if all(landmark_distance(face, track.face) > SAME for track in kept)]
    start = 1 + max((track.number for track in tracks), default=-1)
    return (*kept, *(Track(start + k, face) for k, face in enumerate(free)))


def corrected(track: Track, expected: Face, found: Face) -> Track:
    """Return the track with its face corrected by what was found, and with what the motion keeps on missing.

    An alpha-beta filter (Kalata, "The tracking index", 1984): its second constant follows from the first.
    """
    ahead = shift_face(expected, track.drift)
    missing = (found.points - ahead.points).mean(axis=0)
    drift = tuple(float(d + BETA * m) for d, m in zip(track.drift, missing, strict=True))
    face = correct(ahead, found)
    return replace(track, face=face, seen=track.seen + 1, missed=0, drift=(drift[0], drift[1]))


def shift_face(face: Face, shift: Point) -> Face:
    """Return a face elsewhere."""
    x, y = shift
    x0, y0, x1, y1 = face.box
    points = face.points + np.asarray(shift, np.float32)
    return replace(face, landmarks=as_landmarks(points), box=(x0 + x, y0 + y, x1 + x, y1 + y))


def carry_face(face: Face, carry: Carry) -> Face:
    """Return a face where the motion has carried it, turned and grown as a whole."""
    matrix = face_motion(face, carry)
    points = transform_points(matrix, face.points)
    middle = np.asarray([[face.box[0] + face.box[2], face.box[1] + face.box[3]]], np.float32) / 2
    half = affine_scale(matrix) * np.array([face.box[2] - face.box[0], face.box[3] - face.box[1]]) / 2
    there = transform_points(matrix, middle.astype(np.float32))[0]
    corners = (*(there - half), *(there + half))
    box = cast(Box, tuple(float(v) for v in corners))
    return replace(face, landmarks=as_landmarks(points), box=box)


def face_motion(face: Face, carry: Carry) -> Affine:
    """Return the rotation, scale and shift by which the pixels of a face moved, those left out that went their own way.

    Where too little of it was followed, the face stays where it is.
    """
    x0, y0, x1, y1 = face.box
    inner = np.linspace(INNER / 2, 1 - INNER / 2, GRID)
    x, y = np.meshgrid(x0 + inner * (x1 - x0), y0 + inner * (y1 - y0))
    points = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
    there, sure = carry(points)
    points, there = points[sure > 0.5], there[sure > 0.5]
    if len(points) < GRID:
        return np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    shift = there - points
    apart = np.linalg.norm(shift - np.median(shift, axis=0), axis=1)
    near = apart <= max(2 * float(np.median(apart)), 0.02 * face_size(face))
    return fit_similarity(points[near], there[near])


def correct(expected: Face, found: Face) -> Face:
    """Return the face between where it was expected and where it was found, nearer to the latter the further apart.

    This is the idea of the one-euro filter (Casiez, Roussel and Vogel, 2012): slow things are smoothed, fast ones
    followed; the speed here is what the motion of the picture did not explain.
    """
    apart = landmark_distance(expected, found)
    gain = CALM + (1 - CALM) * _smooth_step((apart - STILL) / (FAST - STILL))
    points = expected.points + gain * (found.points - expected.points)
    box = [a + gain * (b - a) for a, b in zip(expected.box, found.box, strict=True)]
    return Face(cast(Box, tuple(box)), as_landmarks(points), found.score)


def keep_largest(tracks: Sequence[Track], former: int | None) -> int | None:
    """Return the number of the largest face; that of the former frame unless another is clearly larger."""
    if not tracks:
        return None
    sizes: Mapping[int, float] = {track.number: face_size(track.face) for track in tracks}
    largest = max(sizes, key=lambda number: sizes[number])
    if former is not None and former in sizes and sizes[largest] < LARGER * sizes[former]:
        return former
    return largest


def as_landmarks(points: Points | NDArray[np.float64]) -> Landmarks:
    """Return a 5x2 array as the landmarks of a face."""
    return cast(Landmarks, tuple((float(x), float(y)) for x, y in points))


def _smooth_step(value: float) -> float:
    inside = min(max(value, 0.0), 1.0)
    return inside * inside * (3 - 2 * inside)
