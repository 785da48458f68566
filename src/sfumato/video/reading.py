"""Look a video through and read its frames one by one, upright, with their time stamps; nothing is written here."""

from array import array
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.buffer import Buffer
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sfumato.errors import (
    InputError,
    MissingInputError,
    PictureTooLargeError,
    SettingsError,
    UnsupportedFormatError,
)
from sfumato.io.picture import SMALLEST_SIDE, shown
from sfumato.video.clip import (
    AS_STORED,
    Clip,
    Frame,
    Orientation,
    Window,
    reduced_shape,
    resize_frame,
    turn_upright,
)
from sfumato.video.colour import HLG, PQ, read_tags, to_rgb

FORMATS = ("mov", "mp4", "matroska", "webm", "avi", "mpegts", "mpeg", "asf", "flv", "ogg")
"""Containers that are opened, whatever a name says; none of them refers to other files or addresses."""

MOST_PIXELS = 36_000_000
"""Largest frame, which is 8K."""

SLACK = 0.5
"""Seconds by which the streams of a whole file may end before the length that it states."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What the packets of a file say.

    Attributes:
        stamps: of the frames, in their order of time.
        complete: every frame has a time stamp of its own.
        end: seconds at which the last packet of any stream ends.
    """

    stamps: "array[int]"
    complete: bool
    end: float


def look_through(path: Path, window: Window | None = None, *, longest: int | None = None) -> Clip:
    """Read a video once without decoding it, but for its first frame, and return what it is.

    Args:
        window: the part that is to be painted; all of it by default.
        longest: most pixels of the longer side of what is painted; larger frames are reduced.

    Raises:
        MissingInputError: there is no such file.
        UnsupportedFormatError: it is of none of `FORMATS`, or of high dynamic range.
        PictureTooLargeError: frames are larger than 8K.
        InputError: it has no video, no frame, or breaks off; or frames are too small.
        SettingsError: there is no frame in the window.
    """
    with closing(open_video(path)) as container:
        stream = find_video(container, path)
        contents = _read_packets(container, stream, path)
        if not contents.stamps:
            raise InputError(f"{shown(path)} has no frame; choose a video that plays")
        if window is None or window.length is None:  # a preview may take what there is of a torn file
            _refuse_torn(container, stream, contents, path)
    with closing(open_video(path)) as container:
        stream = find_video(container, path)
        return _describe(
            path, stream, _first_frame(container, stream, path), contents, window or Window(), longest
        )


def open_video(path: Path) -> InputContainer:
    """Return the open file, if it is a video of an allowed format.

    Raises:
        MissingInputError: there is no such file.
        UnsupportedFormatError: it is of none of `FORMATS`.
        InputError: it is empty or a folder, or may not be read.
    """
    if not path.exists():
        raise MissingInputError(f"no such file: {shown(path)}; check the name")
    if not path.is_file() or not path.stat().st_size:
        what = "is empty" if path.is_file() else "is no file"
        raise InputError(f"{shown(path)} {what}; choose a video")
    options = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "file"}
    try:
        return av.open(f"file:{path.absolute()}", "r", container_options=options, metadata_errors="replace")
    except PermissionError as error:
        raise InputError(f"{shown(path)} may not be read; change its permissions") from error
    except FFmpegError as error:
        raise UnsupportedFormatError(
            f"{shown(path)} is no video of a known format, or it is damaged; use MP4, MOV, MKV, WebM or AVI"
        ) from error


def find_video(container: InputContainer, path: Path) -> VideoStream:
    """Return the video stream that players show.

    Raises:
        InputError: there is none, or none that can be decoded.
    """
    pictures = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not pictures:
        has = "only audio" if container.streams.audio else "no video"
        raise InputError(f"{shown(path)} has {has}; choose a file with a video stream")
    best = container.streams.best("video")
    stream = next((s for s in pictures if best is not None and s.index == best.index), pictures[0])
    if not hasattr(stream.codec_context, "pix_fmt") or stream.time_base is None:
        raise UnsupportedFormatError(f"{shown(path)}: its video cannot be decoded; convert it to H.264 first")
    if stream.width * stream.height > MOST_PIXELS:
        raise PictureTooLargeError(
            f"{shown(path)} is {stream.width}x{stream.height}, more than {MOST_PIXELS // 10**6} megapixels; "
            "reduce it first"
        )
    return stream


def read_frames(clip: Clip, after: int | None = None) -> Iterator[Frame]:
    """Yield the frames of the clip's window in their order.

    Args:
        after: leave out all frames up to this time stamp.

    Raises:
        InputError: a frame cannot be decoded.
    """
    begin = clip.start if after is None else max(clip.start, after + 1)
    sought = begin if clip.regular and begin > clip.first else None
    for frame in _decoded(clip, sought):
        if frame.stamp >= begin:
            yield frame


def _decoded(clip: Clip, sought: int | None) -> Iterator[Frame]:
    """Yield upright frames up to the window's end, from the start or from a key frame before `sought`."""
    with closing(open_video(clip.path)) as container:
        stream = find_video(container, clip.path)
        stream.thread_type = "AUTO"
        if sought is not None:
            container.seek(sought, stream=stream)
        latest: int | None = None
        for decoded in _decode(container, stream, clip.path):
            stamp = _next_stamp(decoded, latest, clip)
            if latest is None and sought is not None and stamp > sought:
                yield from _decoded(clip, None)  # the file's index is wrong: read from the start
                return
            latest = stamp
            if clip.end is not None and stamp >= clip.end:
                return
            image = turn_upright(to_rgb(decoded, clip.tags), clip.orientation)
            yield Frame(resize_frame(image, clip.shape), stamp, int(decoded.duration or 0))


def _decode(container: InputContainer, stream: VideoStream, path: Path) -> Iterator[VideoFrame]:
    try:
        yield from container.decode(stream)
    except FFmpegError as error:
        raise InputError(f"{shown(path)} is damaged: {error.strerror}; mend or copy it again") from error


def _next_stamp(decoded: VideoFrame, latest: int | None, clip: Clip) -> int:
    """Return the time stamp of a frame, later than that of the one before it."""
    usual = round(1 / (clip.rate * clip.time_base))
    if latest is None:
        return clip.first if decoded.pts is None else decoded.pts
    return latest + max(1, usual) if decoded.pts is None else max(decoded.pts, latest + 1)


def _read_packets(container: InputContainer, stream: VideoStream, path: Path) -> Contents:
    stamps, complete, end = array("q"), True, 0.0
    try:
        for packet in container.demux():
            if packet.pts is not None and packet.size and packet.time_base:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream_index == stream.index and packet.size:
                complete &= packet.pts is not None
                stamps.append(packet.pts if packet.pts is not None else len(stamps))
    except FFmpegError as error:
        raise InputError(f"{shown(path)} is damaged: {error.strerror}; mend or copy it again") from error
    ordered = array("q", sorted(stamps))
    complete &= all(earlier < later for earlier, later in pairwise(ordered))
    return Contents(ordered, complete, end)


def _refuse_torn(container: InputContainer, stream: VideoStream, contents: Contents, path: Path) -> None:
    """Raise if a file holds less than it states.

    Raises:
        InputError: it does.
    """
    missing = max(0, stream.frames - len(contents.stamps))
    start = (container.start_time or 0) / 1e6
    stated = start + (container.duration or 0) / 1e6
    if missing > 1 or contents.end < 0.98 * stated - SLACK:
        raise InputError(
            f"{shown(path)} breaks off after {len(contents.stamps)} frames; copy it again, or paint what is there by "
            f"--preview {max(0.1, contents.end - start):.1f}"
        )


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> VideoFrame:
    frame = next(_decode(container, stream, path), None)
    if frame is None:
        raise InputError(f"{shown(path)} has no frame that can be decoded; choose a video that plays")
    return frame


def _describe(
    path: Path,
    stream: VideoStream,
    frame: VideoFrame,
    contents: Contents,
    window: Window,
    longest: int | None,
) -> Clip:
    tags = read_tags(frame)
    if tags.transfer in (PQ, HLG):
        raise UnsupportedFormatError(
            f"{shown(path)} has high dynamic range, which is not painted; convert it to SDR first"
        )
    orientation = read_orientation(frame)
    upright = (frame.height, frame.width) if orientation[0] else (frame.width, frame.height)
    shape = reduced_shape(upright, longest)
    if min(shape) < SMALLEST_SIDE:
        raise InputError(f"{shown(path)} is {shape[1]}x{shape[0]}; frames need {SMALLEST_SIDE} pixels a side")
    assert stream.time_base is not None
    base, stamps = stream.time_base, contents.stamps
    start = stamps[0] + round(window.start / float(base))
    end = None if window.length is None else start + max(1, round(window.length / float(base)))
    count = sum(stamp >= start and (end is None or stamp < end) for stamp in stamps)
    if not count:
        raise SettingsError(f"{shown(path)} has no frame after {window.start:g} s; choose an earlier --start")
    aspect = stream.codec_context.sample_aspect_ratio
    if aspect is not None and (not aspect or aspect == 1):
        aspect = None
    return Clip(
        path=path,
        stream=stream.index,
        shape=shape,
        orientation=orientation,
        aspect=1 / aspect if aspect and not orientation[0] else aspect,
        tags=tags,
        rate=stream.average_rate or stream.guessed_rate or Fraction(25),
        time_base=base,
        first=stamps[0],
        start=start,
        end=end,
        frames=count,
        regular=contents.complete,
    )


def read_orientation(frame: VideoFrame) -> Orientation:
    """Return how a stored frame is to be turned, by its display matrix; odd angles count as the nearest quarter."""
    found = cast(Mapping[str, Buffer], frame.side_data).get("DISPLAYMATRIX")
    if found is None:
        return AS_STORED
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(found), np.int32)[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (_sign(a), 0, 0, _sign(d))
    return (0, _sign(b), _sign(c), 0)


def _sign(value: int) -> int:
    return -1 if value < 0 else 1
