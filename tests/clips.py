"""Small videos of stills that move in a known way, with sound, subtitles and time stamps as wanted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
import skimage.data
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from sfumato.types import Affine, Image

SIZE = (120, 160)
"""(h, w) of the clips."""


@dataclass(frozen=True, slots=True)
class Film:
    """How a clip is written.

    Attributes:
        stamps: of the frames in `base`; every 1/25 s by default.
        options: of libx264.
    """

    stamps: Sequence[int] | None = None
    base: Fraction = Fraction(1, 25)
    rate: Fraction = Fraction(25)
    rotation: int = 0
    sound: bool = False
    subtitles: bool = False
    tags: tuple[int, int, int, int] | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=lambda: {"crf": "12", "preset": "ultrafast"})


def astronaut() -> Image:
    return np.asarray(skimage.data.astronaut(), dtype=np.uint8)  # type: ignore[no-untyped-call]  # has no types


def view_matrix(x: float, y: float, zoom: float) -> Affine:
    """Return the matrix from the picture to a view whose top left corner shows (x, y)."""
    return np.array([[zoom, 0.0, -zoom * x], [0.0, zoom, -zoom * y]])


def view(matrix: Affine, image: Image | None = None, size: tuple[int, int] = SIZE) -> Image:
    """Return the view of a picture that a matrix gives."""
    whole = astronaut() if image is None else image
    small = cv2.warpAffine(whole, matrix, size[::-1], flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(small, dtype=np.uint8)


def panned(count: int, step: float = 1.5, zoom: float = 0.5) -> Iterator[Image]:
    """Yield views that move right by `step` pixels a frame."""
    reduced = cv2.resize(astronaut(), None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
    for k in range(count):
        yield view(view_matrix(10 + step * k, 5.0, 1.0), np.asarray(reduced, dtype=np.uint8))


def write_clip(path: Path, frames: Sequence[Image], film: Film | None = None) -> Path:
    """Write frames, and what the film wants beside them."""
    film = film or Film()
    with av.open(path, "w") as out:
        out.metadata.update(film.metadata)
        stream = out.add_stream("libx264", rate=film.rate, options=film.options)
        assert isinstance(stream, VideoStream)
        height, width = frames[0].shape[:2]
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if width % 2 or height % 2:
            stream.pix_fmt = "yuv444p"
        stream.codec_context.time_base = film.base
        if film.rotation:
            stream.set_display_rotation(film.rotation)
        if film.tags:
            context = stream.codec_context
            context.colorspace, context.color_range, context.color_primaries, context.color_trc = film.tags
        beside = [add(out) for wanted, add in ((film.sound, _sound), (film.subtitles, _words)) if wanted]
        stamps = film.stamps or range(len(frames))
        for image, stamp in zip(frames, stamps, strict=True):
            frame = _encoded(image, film)
            frame.pts, frame.time_base = stamp, film.base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        seconds = float((stamps[-1] + 1) * film.base)
        for fill in beside:
            fill(seconds)
    return path


def _encoded(image: Image, film: Film) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    if not film.tags:
        return frame
    matrix, range_, primaries, transfer = film.tags
    shaped = frame.reformat(
        format="yuv420p",
        dst_colorspace=5 if matrix == 6 else matrix,
        src_color_range=2,
        dst_color_range=range_,
        interpolation="BICUBIC",
    )
    shaped.colorspace, shaped.color_range = matrix, range_
    shaped.color_primaries, shaped.color_trc = primaries, transfer
    return shaped


def _sound(out: Any) -> Any:
    stream = cast(AudioStream, out.add_stream("aac", rate=48000, layout="mono"))
    stream.metadata["language"] = "deu"

    def fill(seconds: float) -> None:
        for start in range(0, int(48000 * seconds), 1024):
            wave = np.sin(2 * np.pi * 440 * np.arange(start, start + 1024) / 48000).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))

    return fill


def _words(out: Any) -> Any:
    mp4 = "mp4" in out.format.name
    stream = out.add_mux_stream("mov_text" if mp4 else "subrip")

    def fill(seconds: float) -> None:
        for k in range(int(2 * seconds)):
            text = f"word {k}".encode()
            packet = av.Packet(len(text).to_bytes(2, "big") + text if mp4 else text)
            packet.pts = packet.dts = 500 * k
            packet.duration, packet.time_base, packet.stream = 400, Fraction(1, 1000), stream
            out.mux(packet)

    return fill


@dataclass(frozen=True, slots=True)
class Shown:
    """What a player shows of a file."""

    images: list[Image]
    seconds: list[float]
    stamps: list[int]


def play(path: Path) -> Shown:
    """Decode the first video stream of a file, by FFmpeg's own way to RGB."""
    images, seconds, stamps = [], [], []
    with av.open(path) as file:
        for frame in file.decode(video=0):
            images.append(np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8))
            seconds.append(float(frame.time))
            stamps.append(int(frame.pts or 0))
    return Shown(images, seconds, stamps)


def packets(path: Path, kind: str) -> list[tuple[float, bytes]]:
    """Return time and bytes of the packets of a kind of stream."""
    with av.open(path) as file:
        stream = next(s for s in file.streams if s.type == kind)
        found = [p for p in file.demux(stream) if p.size]
        return [(round(float((p.pts or 0) * p.time_base), 3), bytes(p)) for p in found]
