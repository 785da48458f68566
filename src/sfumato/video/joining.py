"""Join painted parts with all that was beside the video in its file, packet by packet; nothing is encoded here."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from heapq import merge
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

import av
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from sfumato.errors import OutputError
from sfumato.io.picture import shown
from sfumato.video.clip import Clip
from sfumato.video.reading import open_video
from sfumato.video.writing import CONTAINERS, container_of

if TYPE_CHECKING:
    from av.container.core import Chapter

AnyPacket: TypeAlias = "Packet[Stream]"
"""A packet of any stream."""

OWN_TAGS = frozenset(
    {"encoder", "major_brand", "minor_version", "compatible_brands", "DURATION", "handler_name"}
)
"""What a container says of itself, and not of what is in it; also a duration that may be another now."""


@dataclass(frozen=True, slots=True)
class Part:
    """A painted part of a video.

    Attributes:
        first: time stamp of its first frame.
    """

    path: Path
    first: int


@dataclass(frozen=True, slots=True)
class Beside:
    """What of a file is copied.

    Attributes:
        streams: indices of the streams.
        left_out: what is not, in words.
        metadata: whether title, date, place and the like go along.
    """

    streams: tuple[int, ...]
    left_out: tuple[str, ...] = ()
    metadata: bool = True


def choose_beside(clip: Clip, target: Path, *, metadata: bool) -> Beside:
    """Return which streams of the clip's file are copied into a target.

    Other videos, and data that the container does not hold, are left out.

    Raises:
        OutputError: the container does not hold its sound or its subtitles.
    """
    streams, left_out = [], []
    with closing(open_video(clip.path)) as source:
        for stream in source.streams:
            if stream.index == clip.stream:
                continue
            if stream.type != "video" and _holds(target, stream):
                streams.append(stream.index)
            elif stream.type in ("audio", "subtitle"):
                raise OutputError(
                    f"cannot write {shown(target)}: {target.suffix} does not hold {_name(stream)}; "
                    f"{_where_held(stream)}"
                )
            else:
                left_out.append(_name(stream))
    return Beside(tuple(streams), tuple(left_out), metadata)


def _holds(target: Path, stream: Stream) -> bool:
    """Return whether a container takes a stream, by trying it on an empty one."""
    container = av.open(BytesIO(), "w", format=container_of(target)[0])
    try:
        container.add_stream_from_template(stream)
        container.start_encoding()
    except (FFmpegError, ValueError, NotImplementedError):
        return False
    finally:
        with suppress(FFmpegError, ValueError):
            container.close()
    return True


def _where_held(stream: Stream) -> str:
    suffixes = [suffix for suffix in CONTAINERS if _holds(Path(f"video{suffix}"), stream)]
    return f"use {' or '.join(suffixes)}" if suffixes else "take it out first"


def _name(stream: Stream) -> str:
    codec = getattr(stream.codec_context, "name", None) or stream.name or "unknown"
    return f"{stream.type} stream {stream.index} ({codec})"


def join_parts(parts: Sequence[Part], clip: Clip, beside: Beside, target: Path, last: int) -> None:
    """Write the parts and what is beside them into a file.

    Args:
        last: time stamp at which the last frame ends.

    Raises:
        OutputError: they cannot be written.
    """
    format = container_of(target)[0]
    options = {}
    if format in ("mp4", "mov"):  # else a late start is rounded to milliseconds
        options = {"movflags": "+faststart", "movie_timescale": str(max(1000, clip.time_base.denominator))}
    try:
        with (
            closing(open_video(clip.path)) as source,
            av.open(target, "w", format=format, options=options) as out,
        ):
            video = _add_video(out, parts[0].path, clip, format)
            copied = {k: _add_copy(out, source.streams[k], beside) for k in beside.streams}
            _describe_whole(out, source, clip, beside)
            flows = [_video_packets(parts, clip, video, last)]
            if copied:
                flows.append(_copied_packets(source, clip, copied))
            for packet in merge(*flows, key=_seconds):
                out.mux(packet)
    except FFmpegError as error:
        raise OutputError(
            f"cannot write {shown(target)}: {error.strerror}; try another format or place"
        ) from error


def _add_video(out: OutputContainer, part: Path, clip: Clip, format: str) -> VideoStream:
    """Add the stream that the parts go into."""
    with av.open(part) as first:
        painted = first.streams.video[0]
        if (
            painted.codec_context.codec.canonical_name == "av1"
        ):  # the name of its decoder is not that of an encoder
            height, width = painted.height, painted.width
            stream = out.add_mux_stream("av1", rate=clip.rate, width=width, height=height)
        else:
            stream = out.add_stream_from_template(painted)
            if painted.codec_context.name == "hevc" and format in ("mp4", "mov"):
                stream.codec_context.codec_tag = "hvc1"  # what Apple's players ask for
    assert isinstance(stream, VideoStream)
    stream.time_base = clip.time_base
    return stream


def _add_copy(out: OutputContainer, template: Stream, beside: Beside) -> Stream:
    stream = out.add_stream_from_template(template)
    kept = ("language", *template.metadata) if beside.metadata else ("language",)
    stream.metadata.update({k: v for k, v in template.metadata.items() if k in kept and k not in OWN_TAGS})
    stream.disposition = template.disposition
    if template.time_base is not None:
        stream.time_base = template.time_base
    return stream


def _describe_whole(out: OutputContainer, source: InputContainer, clip: Clip, beside: Beside) -> None:
    if beside.metadata:
        out.metadata.update({k: v for k, v in source.metadata.items() if k not in OWN_TAGS})
    chapters = [moved for chapter in source.chapters() if (moved := _moved_chapter(chapter, clip))]
    if chapters:
        out.set_chapters(chapters)


def _moved_chapter(chapter: "Chapter", clip: Clip) -> "Chapter | None":
    """Return a chapter as the window shows it, or None where it does not."""
    base = chapter["time_base"]
    if base is None:
        return None
    begin, until = _window(clip, base)
    start, end = max(chapter["start"], begin), chapter["end"] if until is None else min(chapter["end"], until)
    if start >= end:
        return None
    shift = begin if clip.start != clip.first else 0
    return {**chapter, "start": start - shift, "end": end - shift}


def _window(clip: Clip, base: Fraction) -> tuple[int, int | None]:
    """Return the first and the last time of what is painted in another time base; all time if that is the whole."""
    begin = round(clip.start * clip.time_base / base) if clip.start != clip.first else -(2**62)
    return begin, None if clip.end is None else round(clip.end * clip.time_base / base)


def _video_packets(parts: Sequence[Part], clip: Clip, stream: VideoStream, last: int) -> Iterator[AnyPacket]:
    """Yield the packets of all parts with the time stamps of the video, each lasting until the next."""
    shift = clip.start if clip.start != clip.first else 0
    held: AnyPacket | None = None
    for packet in _stamped(parts, clip):
        assert packet.pts is not None
        packet.pts = packet.dts = packet.pts - shift
        if held is not None:
            yield _lasting(held, packet.pts, stream)
        held = packet
    if held is not None:
        yield _lasting(held, last - shift, stream)


def _stamped(parts: Iterable[Part], clip: Clip) -> Iterator[AnyPacket]:
    for part in parts:
        with av.open(part.path) as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.size and packet.pts is not None:
                    stamp = part.first + packet.pts * packet.time_base / clip.time_base
                    packet.time_base = clip.time_base
                    packet.pts = round(stamp)
                    yield cast(AnyPacket, packet)


def _lasting(packet: AnyPacket, until: int, stream: VideoStream) -> AnyPacket:
    packet.duration = max(1, until - (packet.pts or 0))
    packet.stream = stream
    return packet


def _copied_packets(source: InputContainer, clip: Clip, copied: dict[int, Stream]) -> Iterator[AnyPacket]:
    """Yield the packets of the copied streams that lie in the window, moved as the video is."""
    moved = clip.start != clip.first
    if moved:
        source.seek(round(clip.start * clip.time_base * av.time_base))
    for packet in source.demux([source.streams[k] for k in copied]):
        if not packet.size or packet.pts is None:
            continue
        begin, until = _window(clip, packet.time_base)
        if packet.pts < begin or (until is not None and packet.pts >= until):
            continue
        if moved:
            packet.pts, packet.dts = packet.pts - begin, (packet.dts or packet.pts) - begin
        packet.stream = copied[packet.stream_index]
        yield packet


def _seconds(packet: AnyPacket) -> float:
    stamp = packet.dts if packet.dts is not None else packet.pts
    return float((stamp or 0) * packet.time_base)
