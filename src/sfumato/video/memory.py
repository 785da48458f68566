"""Hold what one frame hands to the next, and keep it on the disk between two runs; nothing is painted here."""

import json
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast
from zipfile import BadZipFile

import numpy as np
from numpy.lib.npyio import NpzFile

from sfumato.io import write_bytes
from sfumato.types import Face, FloatImage, Image, Mask
from sfumato.video.flicker import Flicker
from sfumato.video.tracking import Track, as_landmarks


@dataclass(frozen=True, slots=True)
class Measured:
    """One frame three times, at the size at which flicker is measured: the source, painted for itself, and ours."""

    source: Image
    plain: Image
    steady: Image


@dataclass(frozen=True, slots=True)
class Memory:
    """What a frame leaves to the next.

    Attributes:
        frames, scenes: how many there were so far.
        small: the frame as flow sees it.
        painting: as it was steadied, not rounded.
        mask: of what is kept, as it was steadied.
        tracks: the faces.
        largest: number of the largest track.
    """

    frames: int
    scenes: int
    small: Image
    painting: FloatImage
    mask: Mask
    tracks: tuple[Track, ...]
    largest: int | None
    measured: Measured
    flicker: Flicker


def save_memory(memory: Memory, path: Path) -> None:
    """Write the memory into a file that appears once it is whole; one that is there is replaced."""
    words = {
        "frames": memory.frames,
        "scenes": memory.scenes,
        "tracks": [asdict(track) for track in memory.tracks],
        "largest": memory.largest,
        "flicker": asdict(memory.flicker),
    }
    pictures: dict[str, Any] = {
        "small": memory.small,
        "painting": memory.painting,
        "mask": memory.mask,
        "source": memory.measured.source,
        "plain": memory.measured.plain,
        "steady": memory.measured.steady,
    }
    buffer = BytesIO()
    np.savez(buffer, words=np.array(json.dumps(words)), **pictures)
    write_bytes(buffer.getvalue(), path, overwrite=True)


def load_memory(path: Path) -> Memory:
    """Return the memory of a file.

    Raises:
        OSError: there is none.
        ValueError, KeyError: it is damaged.
    """
    with path.open("rb") as opened, _opened(opened) as file:
        words = json.loads(str(file["words"]))
        return Memory(
            frames=words["frames"],
            scenes=words["scenes"],
            small=file["small"],
            painting=file["painting"],
            mask=file["mask"],
            tracks=tuple(_track(fields) for fields in words["tracks"]),
            largest=words["largest"],
            measured=Measured(file["source"], file["plain"], file["steady"]),
            flicker=Flicker(**words["flicker"]),
        )


def _opened(file: BinaryIO) -> NpzFile:
    try:
        return cast(NpzFile, np.load(file, allow_pickle=False))
    except BadZipFile as error:
        raise ValueError(str(error)) from error


def _track(fields: dict[str, Any]) -> Track:
    face = fields["face"]
    landmarks = as_landmarks(np.asarray(face["landmarks"], np.float64))
    tint = None if fields["tint"] is None else tuple(fields["tint"])
    drift = tuple(fields["drift"])
    whole = Face(box=tuple(face["box"]), landmarks=landmarks, score=face["score"])
    return replace(Track(**{**fields, "face": whole}), tint=tint, drift=drift)
