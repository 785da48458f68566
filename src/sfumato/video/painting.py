"""Paint frame after frame with the stages of a pipeline, each in the light of the former; no file is touched."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from sfumato.compositing import Kept, melt, mix
from sfumato.edges import Edge
from sfumato.fields import shrink
from sfumato.keeping import cover_persons, keep_eyes, lay_in_faces, typical_extent
from sfumato.pipeline import Pipeline
from sfumato.stages.segment import Parsing
from sfumato.types import Face, FloatImage, Image, Mask
from sfumato.video.anchoring import anchor_restorations, anchor_tints
from sfumato.video.flicker import MEASURED_SIDE, Flicker, warping_error
from sfumato.video.flow import Motion, carry_points, find_motion, reduce_frame
from sfumato.video.masking import steady_mask
from sfumato.video.memory import Measured, Memory
from sfumato.video.steadying import STEADY, Steadiness, is_cut, steady_painting, to_levels
from sfumato.video.tracking import Track, follow, keep_largest

DETECT_EVERY = 2
"""Frames from one search for faces to the next; in between the motion carries them."""

START = Flicker()


@dataclass(frozen=True, slots=True)
class Step:
    """One painted frame and what the next one needs."""

    image: Image
    memory: Memory


@dataclass(frozen=True, slots=True)
class _Kept:
    """What of a frame stays a photo: the restored picture, its classes, the faces by index, and the mask."""

    photo: Image
    parsing: Parsing | None
    faces: dict[int, Face]
    mask: Mask


@dataclass(frozen=True, slots=True)
class VideoPainter:
    """Paint the frames of a video.

    Attributes:
        pipeline: whose stages paint, find, cut out and restore.
        steadiness: how much of the former frame stays.
        measure: also tell how much the video flickers.
    """

    pipeline: Pipeline
    steadiness: Steadiness = STEADY
    detect_every: int = DETECT_EVERY
    measure: bool = True

    def step(self, image: Image, memory: Memory | None) -> Step:
        """Paint the next frame.

        Args:
            memory: what the former frame left; None for the first.
        """
        small = reduce_frame(image)
        motion = None if memory is None else find_motion(memory.small, small)
        if memory is not None and motion is not None and is_cut(memory.small, small, motion):
            motion = None
        former = memory if motion is not None else None
        tracks = self._tracks(image, former, motion)
        largest = keep_largest(tracks, former.largest if former else None)
        chosen = [k for k, track in enumerate(tracks) if self._is_kept(track, largest)]
        photo, tracks = self._restored(image, tracks, chosen)
        fresh = self._fresh(image)
        painting = fresh.astype(np.float32)
        if former is not None and motion is not None:
            painting = steady_painting(fresh, former.painting, motion, self.steadiness)
        levels = to_levels(painting)
        kept, tracks = self._kept(image, photo, levels, tracks, chosen)
        steady = kept
        if former is not None and motion is not None:
            pairs = _pairs(former.tracks, tracks)
            mask = steady_mask(kept.mask, former.mask, motion, pairs, self.steadiness)
            steady = replace(kept, mask=mask)
        anchored, tracks = self._anchored(levels, image, steady.mask, tracks, chosen)
        result = self._blended(anchored, steady)
        plain = partial(self._plain, fresh, kept)
        measured, flicker = self._measured((image, plain, result), memory, motion)
        done = (memory.frames if memory else 0) + 1
        scenes = (memory.scenes if memory else 0) + (former is None)
        left = Memory(done, scenes, small, painting, steady.mask, tracks, largest, measured, flicker)
        return Step(result, left)

    def _tracks(self, image: Image, former: Memory | None, motion: Motion | None) -> tuple[Track, ...]:
        """Return the faces of the frame; nobody looks for them where none is to be kept."""
        if not any(self.pipeline.settings.class_strengths):
            return ()
        if former is None or motion is None:
            return tuple(Track(k, face) for k, face in enumerate(self.pipeline.detect_faces(image)))
        unsettled = any(track.missed or not track.certain for track in former.tracks)
        look = unsettled or former.frames % self.detect_every == 0
        found = tuple(self.pipeline.detect_faces(image)) if look else None
        return follow(former.tracks, found, lambda points: carry_points(points, motion, image.shape))

    def _is_kept(self, track: Track, largest: int | None) -> bool:
        return track.certain and (self.pipeline.settings.faces != "largest" or track.number == largest)

    def _restored(
        self, image: Image, tracks: tuple[Track, ...], chosen: Sequence[int]
    ) -> tuple[Image, tuple[Track, ...]]:
        if not chosen or self.pipeline.settings.restore == 0:
            return image, tracks
        kept = [tracks[k] for k in chosen]
        restored, reports = self.pipeline.restore(image, [track.face for track in kept])
        photo, anchored = anchor_restorations(image, restored, reports, kept)
        return photo, _exchanged(tracks, chosen, anchored)

    def _fresh(self, image: Image) -> Image:
        """Return the painting of the frame for itself, as strong as the settings say."""
        strength = self.pipeline.settings.strength
        if strength == 0:
            return image
        painted = self.pipeline.paint(image)
        return painted if strength == 1 else mix(image, painted, strength)

    def _kept(
        self, image: Image, photo: Image, levels: Image, tracks: tuple[Track, ...], chosen: Sequence[int]
    ) -> tuple[_Kept, tuple[Track, ...]]:
        """Return what is kept of the frame, and the tracks with the edges that are drawn around them."""
        settings = self.pipeline.settings
        faces = [track.face for track in tracks]
        wanted = bool(chosen) or settings.class_strengths[1] > 0
        parsing = self.pipeline.segment_faces(image, faces) if wanted else None
        alpha = cover_persons(image.shape, parsing, settings, chosen)
        kept = _Kept(photo, parsing, {k: faces[k] for k in chosen}, alpha)
        if parsing is None:
            return kept, tracks
        offered = tuple(self.pipeline.edges)
        edges = {k: _fixed(offered, tracks[k].edge) for k in chosen}
        taken = lay_in_faces(alpha, (levels, photo), parsing, kept.faces, settings, edges)
        marked = [replace(tracks[k], edge=offered.index(edge)) for k, edge in taken.items()]
        return kept, _exchanged(tracks, tuple(taken), marked)

    def _anchored(
        self, levels: Image, image: Image, mask: Mask, tracks: tuple[Track, ...], chosen: Sequence[int]
    ) -> tuple[Image, tuple[Track, ...]]:
        painted, anchored = anchor_tints(levels, image, mask, [tracks[k] for k in chosen])
        return painted, _exchanged(tracks, chosen, anchored)

    def _blended(self, painted: Image, kept: _Kept) -> Image:
        paint = self.pipeline.settings.paint
        extent = typical_extent(list(kept.faces.values()), painted)
        result = melt(painted, Kept(kept.photo, kept.mask, extent), paint=paint)
        if kept.parsing is not None and paint:
            keep_eyes(result, kept.photo, kept.mask, kept.parsing, kept.faces, paint=paint)
        return result

    def _plain(self, fresh: Image, kept: _Kept) -> Image:
        """Return the frame painted for itself, at the size at which flicker is measured."""
        scale = min(1.0, MEASURED_SIDE / max(fresh.shape))
        painted, photo = (_reduced(image, scale) for image in (fresh, kept.photo))
        extent = scale * typical_extent(list(kept.faces.values()), fresh)
        part = Kept(photo, shrink(kept.mask, scale), extent)
        return melt(painted, part, paint=self.pipeline.settings.paint)

    def _measured(
        self,
        shown: tuple[Image, Callable[[], Image], Image],
        memory: Memory | None,
        motion: Motion | None,
    ) -> tuple[Measured, Flicker]:
        """Return the frame as it is measured, and the sums; across a cut nothing is measured."""
        image, plain, result = shown
        flicker = memory.flicker if memory else START
        if not self.measure:
            nothing = np.zeros((1, 1, 3), np.uint8)
            return Measured(nothing, nothing, nothing), flicker
        scale = min(1.0, MEASURED_SIDE / max(image.shape))
        now = Measured(_reduced(image, scale), plain(), _reduced(result, scale))
        if memory is None or motion is None:
            return now, flicker
        before = memory.measured
        pairs = (
            (before.source, now.source),
            (before.plain, now.plain),
            (before.steady, now.steady),
        )
        return now, flicker.add(*(warping_error(old, new, motion) for old, new in pairs))


def _fixed(offered: tuple[Edge, ...], chosen: int | None) -> tuple[Edge, ...]:
    """Return what is tried for the edge of a track."""
    return offered if chosen is None else (offered[chosen],)


def _pairs(former: Sequence[Track], tracks: Sequence[Track]) -> list[tuple[Face, Face]]:
    """Return where each face that is followed was and where it is."""
    before = {track.number: track.face for track in former}
    return [(before[track.number], track.face) for track in tracks if track.number in before]


def _exchanged(
    tracks: tuple[Track, ...], places: Sequence[int], others: Sequence[Track]
) -> tuple[Track, ...]:
    """Return the tracks with others in some places."""
    changed = dict(zip(places, others, strict=True))
    return tuple(changed.get(k, track) for k, track in enumerate(tracks))


def _reduced(image: Image | FloatImage, scale: float) -> Image:
    return np.rint(shrink(image, scale)).astype(np.uint8)
