"""Keep the tint and the restoration of a face from changing from frame to frame; pure, and it runs no network."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sfumato.keeping import surroundings
from sfumato.stages.restore import FaceRestoration
from sfumato.types import Image, Mask
from sfumato.video.tracking import Track

TINT_RATE, RESTORED_RATE = 0.05, 0.1
"""Part of what a frame says in what is taken: half of a change is followed in 14 and in 7 frames."""

LEAST = 0.02
"""Weight of a restoration below which nothing is left to be strengthened."""

Tint = tuple[float, float, float]


def measure_tint(painted: Image, photo: Image, mask: Mask) -> Tint | None:
    """Return by how many levels of R, G and B a painting differs from the photo under the mask; None without one.

    >>> photo = np.full((2, 2, 3), 100, np.uint8)
    >>> measure_tint(photo + np.uint8(8), photo, np.ones((2, 2), np.float32))
    (8.0, 8.0, 8.0)
    """
    total = float(mask.sum())
    if total < 1:
        return None
    apart = (mask[..., None] * (painted.astype(np.float32) - photo)).sum(axis=(0, 1)) / total
    return (float(apart[0]), float(apart[1]), float(apart[2]))


def anchor_tints(
    painted: Image, photo: Image, mask: Mask, tracks: Sequence[Track]
) -> tuple[Image, tuple[Track, ...]]:
    """Return the painting with the tint of each face held to that of its track, and the tracks with their tints.

    A face takes on the light of the painting under it. If that changes from frame to frame, so would the face, and it
    would seem to breathe. Only what lies under the mask changes.
    """
    result, anchored = painted.copy() if tracks else painted, []
    for track in tracks:
        place = surroundings(track.face, photo)
        now = measure_tint(painted[place], photo[place], mask[place])
        held = follow_slowly(track.tint, now)
        anchored.append(replace(track, tint=held))
        if held is not None and now is not None and held != now:
            moved = result[place] + mask[place][..., None] * np.subtract(held, now, dtype=np.float32)
            result[place] = np.clip(np.rint(moved), 0, 255)
    return result, tuple(anchored)


def follow_slowly(held: Tint | None, now: Tint | None) -> Tint | None:
    """Return the tint of a track after a frame."""
    if held is None or now is None:
        return held or now
    red, green, blue = (h + TINT_RATE * (n - h) for h, n in zip(held, now, strict=True))
    return (red, green, blue)


def anchor_restorations(
    image: Image, restored: Image, reports: Sequence[FaceRestoration], tracks: Sequence[Track]
) -> tuple[Image, tuple[Track, ...]]:
    """Return the picture with each face restored as far as its track is, and the tracks after this frame.

    How far a face is restored hangs on its sharpness, which every movement changes.

    Args:
        reports: what was done to the face of each track; none where nothing was.
    """
    if not reports:
        return restored, tuple(tracks)
    result, anchored = restored, []
    for track, report in zip(tracks, reports, strict=True):
        held = report.weight
        if track.restored is not None:
            held = track.restored + RESTORED_RATE * (report.weight - track.restored)
        anchored.append(replace(track, restored=held))
        if report.weight >= LEAST and held != report.weight:
            result = restored.copy() if result is restored else result
            place = surroundings(track.face, image)
            change = restored[place].astype(np.float32) - image[place]
            moved = image[place] + min(2.0, held / report.weight) * change
            result[place] = np.clip(np.rint(moved), 0, 255)
    return result, tuple(anchored)
