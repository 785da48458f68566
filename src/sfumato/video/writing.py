"""Encode painted frames into one part of a video; streams are copied, and parts joined, in `joining`."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import av
from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.video.stream import VideoStream

from sfumato.errors import BackendMissingError, OutputError, SettingsError
from sfumato.io.picture import shown
from sfumato.types import Image
from sfumato.video.clip import Clip
from sfumato.video.colour import LIMITED, tags_written, to_frame

CodecName: TypeAlias = Literal["h264", "hevc", "av1"]
"""What videos are encoded to."""

ENCODERS: Mapping[CodecName, tuple[str, ...]] = {
    "h264": ("libx264",),
    "hevc": ("libx265",),
    "av1": ("libsvtav1", "libaom-av1"),
}
"""Encoders of each codec, the first that the build has is used."""

QUALITY: Mapping[CodecName, tuple[int, int]] = {"h264": (18, 51), "hevc": (21, 51), "av1": (25, 63)}
"""Constant rate factor of each codec where none is asked for, and the largest one."""

CONTAINERS: Mapping[str, tuple[str, tuple[CodecName, ...]]] = {
    ".mp4": ("mp4", ("h264", "hevc", "av1")),
    ".m4v": ("mp4", ("h264", "hevc", "av1")),
    ".mov": ("mov", ("h264", "hevc")),
    ".mkv": ("matroska", ("h264", "hevc", "av1")),
    ".webm": ("webm", ("av1",)),
}
"""Format of each suffix, and the codecs that it holds; the first is the default."""

OPTIONS: Mapping[str, Mapping[str, str]] = {
    "libx264": {"preset": "medium", "bf": "0"},
    "libx265": {"preset": "medium", "x265-params": "log-level=error:bframes=0"},
    "libsvtav1": {"preset": "6"},
    "libaom-av1": {"cpu-used": "6", "row-mt": "1"},
}
"""How each encoder is set. No frame is predicted from a later one, so that time stamps are those of the video and parts
join without a gap."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the painted video is encoded.

    Attributes:
        encoder: FFmpeg's name of it.
        crf: its constant rate factor: less is better and larger.
    """

    codec: CodecName
    encoder: str
    crf: int


def choose_encoding(target: Path, codec: str | None = None, crf: int | None = None) -> Encoding:
    """Return how a file is encoded, by its suffix and what is asked for.

    Raises:
        OutputError: no video is written under this suffix.
        SettingsError: the codec is unknown, its container does not hold it, or the factor is out of range.
        BackendMissingError: this build of PyAV has no encoder for it.
    """
    held = container_of(target)[1]
    chosen = next((name for name in get_args(CodecName) if name == (codec or held[0])), None)
    if chosen is None:
        raise SettingsError(f"unknown codec '{codec}'; use {', '.join(get_args(CodecName))}")
    if chosen not in held:
        raise SettingsError(
            f"{target.suffix} does not hold {chosen}; use --codec {' or '.join(held)}, or .mkv"
        )
    usual, most = QUALITY[chosen]
    factor = usual if crf is None else crf
    if not 0 <= factor <= most:
        raise SettingsError(f"--crf must be 0 to {most} for {chosen}, not {factor}")
    return Encoding(chosen, find_encoder(chosen), factor)


def container_of(target: Path) -> tuple[str, tuple[CodecName, ...]]:
    """Return the format of a suffix and the codecs that it holds.

    Raises:
        OutputError: no video is written under this suffix.
    """
    known = CONTAINERS.get(target.suffix.lower())
    if known is None:
        raise OutputError(
            f"cannot write {shown(target)}: no video format has this suffix; use .mp4, .mkv, .mov or .webm"
        )
    return known


def find_encoder(codec: CodecName) -> str:
    """Return the encoder of a codec that this build has.

    Raises:
        BackendMissingError: it has none.
    """
    offered = next((name for name in ENCODERS[codec] if has_encoder(name)), None)
    if offered is None:
        has = [name for name in get_args(CodecName) if any(map(has_encoder, ENCODERS[name]))]
        raise BackendMissingError(f"this build of PyAV cannot encode {codec}; use --codec {' or '.join(has)}")
    return offered


def has_encoder(name: str) -> bool:
    """Return whether this build of PyAV has an encoder of this name."""
    try:
        return Codec(name, "w").is_encoder
    except UnknownCodecError:
        return False


class PartWriter:
    """Encode frames into one part, whose time begins with its first frame."""

    def __init__(self, container: OutputContainer, stream: VideoStream, clip: Clip) -> None:
        self._container, self._stream, self._clip = container, stream, clip
        self.first: int | None = None

    def write(self, image: Image, stamp: int) -> None:
        """Add the next frame."""
        if self.first is None:
            self.first = stamp
        frame = to_frame(image, tags_written(self._clip.tags))
        frame.pts, frame.time_base = stamp - self.first, self._clip.time_base
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what the encoder still holds."""
        self._container.mux(self._stream.encode(None))


@contextmanager
def part_writer(path: Path, clip: Clip, encoding: Encoding) -> Iterator[PartWriter]:
    """Give what writes a part, an MP4 file."""
    if encoding.encoder == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # else it tells its settings on standard error
    with av.open(path, "w", format="mp4") as container:
        options = {**OPTIONS[encoding.encoder], "crf": str(encoding.crf)}
        stream = container.add_stream(
            encoding.encoder, rate=clip.rate.limit_denominator(100_000), options=options
        )
        assert isinstance(stream, VideoStream)
        _describe_stream(stream, clip)
        writer = PartWriter(container, stream, clip)
        yield writer
        writer.finish()


def _describe_stream(stream: VideoStream, clip: Clip) -> None:
    tags, context = tags_written(clip.tags), stream.codec_context
    height, width = clip.shape
    context.width, context.height, context.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
    context.time_base = clip.time_base
    context.max_b_frames = 0
    context.colorspace, context.color_range = tags.matrix, LIMITED
    context.color_primaries, context.color_trc = tags.primaries, tags.transfer
    if clip.aspect is not None:
        context.sample_aspect_ratio = clip.aspect
