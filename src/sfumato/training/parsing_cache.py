"""Check labelled portraits and keep them, reduced, where they are read quickly again and again; it composes nothing."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import overload

import cv2
import numpy as np

from sfumato.errors import UNREADABLE, DatasetError
from sfumato.training.archives import Entry
from sfumato.training.easyportrait import Fault, Pair
from sfumato.training.parsing_samples import Sample, read_rgb

HELD_BYTES = 3_000_000_000
"""Decoded pictures are held in memory up to here; more are decoded from the cache when they are drawn."""

_JPEG_QUALITY = 97


@dataclass(frozen=True, slots=True)
class CachedPair:
    """A reduced photo (JPEG) and its mask (PNG) in a cache."""

    photo: Path
    mask: Path

    def read(self) -> Sample:
        """Return the picture and its labels."""
        labels = cv2.imread(str(self.mask), cv2.IMREAD_GRAYSCALE)
        if labels is None:
            raise DatasetError(UNREADABLE, f"{self.mask} is damaged; delete the cache {self.mask.parent}")
        return Sample(read_rgb(self.photo), np.asarray(labels, dtype=np.uint8))


class CachedSamples(Sequence[Sample]):
    """Decode the pairs of a cache when they are asked for."""

    def __init__(self, pairs: Sequence[CachedPair]) -> None:
        self._pairs = pairs

    def __len__(self) -> int:
        return len(self._pairs)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        """Return one sample, or a part that is decoded as late."""
        if isinstance(index, slice):
            return CachedSamples(self._pairs[index])
        return self._pairs[index].read()


def cache_pairs(
    pairs: Sequence[Pair], cache: Path, longest: int, *, workers: int = 2, mend_sides: bool = False
) -> tuple[list[CachedPair], list[Fault]]:
    """Decode every pair once, check it, and store it with its longer side at most `longest` pixels.

    A pair that is in the cache already, from the same bytes at the same size, is not decoded again.

    Args:
        mend_sides: swap left and right in masks that have them on the wrong sides; else that is a fault.

    Returns:
        The stored pairs, and the faults of those that could not be stored.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(workers) as pool:
        outcomes = list(pool.map(lambda pair: _store(pair, cache, longest, mend_sides=mend_sides), pairs))
    stored = [outcome for outcome in outcomes if isinstance(outcome, CachedPair)]
    return stored, [outcome for outcome in outcomes if isinstance(outcome, Fault)]


def load_samples(pairs: Sequence[CachedPair], *, held_bytes: int = HELD_BYTES) -> Sequence[Sample]:
    """Return the samples, decoded now if all of them fit into `held_bytes`, else when they are drawn."""
    held, size = [], 0
    for sample in (pair.read() for pair in pairs):
        held.append(sample)
        size += sample.image.nbytes + sample.labels.nbytes
        if size > held_bytes:
            return CachedSamples(pairs)
    return held


def iterate_samples(pairs: Sequence[Pair], *, mend_sides: bool = False) -> Iterator[Sample]:
    """Yield the pairs at their own size, one at a time, as they are unless `mend_sides`."""
    for pair in pairs:
        yield Sample(*(pair.read_checked(mend_sides=True) if mend_sides else pair.read()))


def _store(pair: Pair, cache: Path, longest: int, *, mend_sides: bool) -> CachedPair | Fault:
    name = f"{pair.name}-{_stamp(pair, longest, mend_sides=mend_sides)}"
    cached = CachedPair(cache / f"{name}.jpg", cache / f"{name}.png")
    if cached.mask.exists():
        return cached
    try:
        image, labels = pair.read_checked(mend_sides=mend_sides)
    except DatasetError as error:
        return Fault(error.kind, pair.name, str(error))
    scale = min(1.0, longest / max(labels.shape))
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in labels.shape[::-1])
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        labels = np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT), dtype=np.uint8)
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _write(cached.photo, cv2.imencode(".jpg", image[..., ::-1], options)[1].tobytes())
    _write(cached.mask, cv2.imencode(".png", labels)[1].tobytes())
    return cached


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")  # several processes may fill one cache
    temporary.write_bytes(data)
    temporary.replace(path)


def _stamp(pair: Pair, longest: int, *, mend_sides: bool) -> str:
    """Return what changes when a file of the pair, the size or what is mended changes."""
    parts = [f"{longest} {mend_sides=}", *(_signature(entry) for entry in (pair.photo, pair.mask))]
    return sha256("\n".join(parts).encode()).hexdigest()[:16]


def _signature(entry: Entry) -> str:
    status = entry.path.stat()
    return f"{entry} {status.st_size} {status.st_mtime_ns}"
