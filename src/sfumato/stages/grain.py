"""Hold the canvas: an uneven field that gives strokes a start where a photo is flat; it paints nothing."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

PERIOD = 512
"""The field repeats after this many pixels."""

OCTAVES = ((0.8, 1.6), (1.6, 3.2), (3.2, 6.4))
"""Deviations in pixels of the two blurs whose difference is one octave."""


def grain(rows: tuple[int, int], columns: tuple[int, int]) -> Field:
    """Return the field from start to end, with mean 0 and deviation 1 over a period.

    A network without memory of place can only repeat one pattern on a flat surface, a mesh. With the grain added to
    what it sees it can break its strokes there. The field depends on the pixel's place alone, so tiles equal the whole.
    """
    field = _period()
    taken: Field = field[np.ix_(np.arange(*rows) % PERIOD, np.arange(*columns) % PERIOD)]
    return taken


@cache
def _period() -> Field:
    around = 32  # wider than the widest blur reaches
    noise = np.pad(_hash(PERIOD), around, mode="wrap")
    octaves = [
        cv2.GaussianBlur(noise, (0, 0), near) - cv2.GaussianBlur(noise, (0, 0), far) for near, far in OCTAVES
    ]
    inner = slice(around, -around)
    total = sum(octave / octave[inner, inner].std() for octave in octaves)
    field = np.asarray(total, dtype=np.float32)[inner, inner]
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def _hash(side: int) -> Field:
    """Return side x side numbers in 0..1 that look random and are the same everywhere.

    The finalizer of MurmurHash3 (Appleby, public domain), which mixes every bit of the place into every bit.
    """
    bits: NDArray[np.uint32] = np.arange(1, side * side + 1, dtype=np.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        bits = (bits ^ (bits >> np.uint32(shift))) * np.uint32(factor)
    bits ^= bits >> np.uint32(16)
    return (bits.astype(np.float64) / 2**32).astype(np.float32).reshape(side, side)
