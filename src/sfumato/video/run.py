"""Paint a whole video, part by part, and give it back with all that was beside it; the only loop over its frames."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from sfumato.errors import InputError, SettingsError
from sfumato.io import refuse_existing
from sfumato.io.picture import shown
from sfumato.io.writing import publish
from sfumato.video import parts
from sfumato.video.clip import Clip, Frame, Window
from sfumato.video.joining import Beside, Part, choose_beside, join_parts
from sfumato.video.painting import START, VideoPainter
from sfumato.video.parts import Progress, Work, Workplace, open_workplace
from sfumato.video.reading import look_through, read_frames
from sfumato.video.steadying import FREE
from sfumato.video.writing import Encoding, choose_encoding, part_writer

Advance = Callable[[int, int], None]
"""Is told how many frames are painted and how many there are, after each frame."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted of a video.

    Attributes:
        codec, crf: of the result; None takes what suits its suffix.
        longest: most pixels of the longer side; None keeps the size.
        metadata: whether title, date, place and the like go along.
        overwrite: a result that exists is replaced.
    """

    source: Path
    target: Path
    codec: str | None = None
    crf: int | None = None
    window: Window = Window()  # noqa: RUF009  # frozen
    longest: int | None = None
    metadata: bool = True
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What was found out before the first frame is painted.

    Attributes:
        clip: the video.
        encoding: of the result.
        beside: what else of the file is copied.
        work: all that a painted part depends on.
        workplace: where parts of this work lie.
    """

    order: Order
    clip: Clip
    encoding: Encoding
    beside: Beside
    work: Work

    @property
    def workplace(self) -> Path:
        """Return the folder of the parts."""
        return self.order.target.parent / f".sfumato-video-{self.work.key()}"


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a video.

    Attributes:
        frames, scenes, resumed: painted frames, scenes, and frames that were there from a former run.
        flicker: of the source, painted frame by frame, and as written, in levels; see `flicker.Flicker`.
        left_out: streams that the result lacks.
    """

    frames: int
    scenes: int
    resumed: int
    shape: tuple[int, int]
    rate: float
    flicker: dict[str, float | None]
    left_out: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "size": [self.shape[1], self.shape[0]],
            "frames": self.frames,
            "rate": self.rate,
            "scenes": self.scenes,
            "resumed": self.resumed,
            "flicker": self.flicker,
            "left_out": list(self.left_out),
        }


def plan_video(order: Order, painter: VideoPainter) -> Plan:
    """Refuse what cannot be painted or written before any work is spent, and return the rest.

    Raises:
        InputError: the source is no usable video.
        OutputError: the target exists, or its container does not hold what is in the source.
        SettingsError: choices mean nothing for a video.
        BackendMissingError: there is no encoder.
    """
    refuse_existing(order.target, overwrite=order.overwrite)
    encoding = choose_encoding(order.target, order.codec, order.crf)
    refuse_for_pictures(painter)
    if order.target.exists() and order.source.exists() and order.target.samefile(order.source):
        raise InputError(f"{shown(order.target)} is the video itself; name another file")
    clip = look_through(order.source, order.window, longest=order.longest)
    beside = choose_beside(clip, order.target, metadata=order.metadata)
    pipeline, steady = painter.pipeline, painter.steadiness != FREE
    work = Work(
        order.source, order.window, order.longest, pipeline.settings, pipeline.models, encoding, steady
    )
    return Plan(order, clip, encoding, beside, work)


def refuse_for_pictures(painter: VideoPainter) -> None:
    """Raise where settings mean something for a single picture only.

    Raises:
        SettingsError: they do.
    """
    settings = painter.pipeline.settings
    if settings.blend == "paste":
        raise SettingsError("a hard edge trembles in a video; use --preset paper-plus, which melts faces in")
    if settings.faces not in ("all", "largest"):
        raise SettingsError(
            f"--faces {settings.faces} names faces of one picture; for a video use all or largest"
        )


def paint_video(plan: Plan, painter: VideoPainter, advance: Advance | None = None) -> Report:
    """Paint what is not painted yet, join it and delete what was kept for going on.

    Raises:
        InputError: a frame cannot be decoded.
        OutputError: there is no space or permission.
    """
    with open_workplace(plan.order.target, plan.work.key()) as workplace:
        progress = workplace.resume()
        resumed = progress.memory.frames if progress.memory else 0
        report = advance or _say_nothing
        report(resumed, plan.clip.frames)
        for frames in cut_into_parts(read_frames(plan.clip, progress.latest)):
            progress = paint_part(plan, painter, workplace, progress, frames, report)
            workplace.keep(progress)
        if progress.memory is None:
            raise InputError(f"{shown(plan.order.source)} has no frame in this window; choose another")
        deliver(plan, workplace, progress)
        workplace.clear()
    memory = progress.memory
    flicker = memory.flicker.levels() if painter.measure else START.levels()
    rate, left_out = float(plan.clip.rate), plan.beside.left_out
    return Report(memory.frames, memory.scenes, resumed, plan.clip.shape, rate, flicker, left_out)


def _say_nothing(_done: int, _total: int) -> None:
    """Take what would be shown."""


def cut_into_parts(frames: Iterator[Frame]) -> Iterator[Iterator[Frame]]:
    """Yield the frames in parts; each must be used up before the next is asked for."""
    for first in frames:
        yield chain((first,), islice(frames, parts.PART_FRAMES - 1))


def paint_part(
    plan: Plan,
    painter: VideoPainter,
    workplace: Workplace,
    progress: Progress,
    frames: Iterator[Frame],
    advance: Advance,
) -> Progress:
    """Paint the frames of one part into the workplace and return what is painted then."""
    memory, latest, lasts = progress.memory, progress.latest, progress.lasts
    with part_writer(workplace.unfinished(), plan.clip, plan.encoding) as writer:
        for frame in frames:
            step = painter.step(frame.image, memory)
            writer.write(step.image, frame.stamp)
            memory, latest, lasts = step.memory, frame.stamp, frame.lasts
            advance(memory.frames, plan.clip.frames)
    assert writer.first is not None
    part = Part(workplace.part(len(progress.parts)), writer.first)
    return replace(progress, parts=(*progress.parts, part), memory=memory, latest=latest, lasts=lasts)


def deliver(plan: Plan, workplace: Workplace, progress: Progress) -> None:
    """Join all parts under a temporary name and give the result its own."""
    target, clip = plan.order.target, plan.clip
    assert progress.latest is not None
    usual = max(1, round(1 / (clip.rate * clip.time_base)))
    joined = workplace.folder / f"joined{target.suffix}"
    last = progress.latest + (progress.lasts or usual)
    join_parts(progress.parts, clip, plan.beside, joined, last)
    refuse_existing(target, overwrite=plan.order.overwrite)
    publish(joined, target, overwrite=plan.order.overwrite)
