"""Bring a segmenter's pictures together: portraits checked and cached, people, backgrounds; it trains nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from sfumato.backends import OpenVinoBackend
from sfumato.errors import InputError
from sfumato.registry import find_embedded, model_path
from sfumato.stages.detect import LightDetector
from sfumato.training.archives import list_entries
from sfumato.training.easyportrait import Fault, check_users, find_portraits, list_users, report_faults
from sfumato.training.lightning_run import Drawn
from sfumato.training.loop import Report
from sfumato.training.parsing_cache import cache_pairs, load_samples
from sfumato.training.parsing_samples import UNKNOWN, Sample, read_people, read_rgb, read_unmasked
from sfumato.training.parsing_scenes import ParsingSource, compose_sample

CACHE_SCALE = 2
"""Side of a cached portrait, in sides of a training picture: close-ups show up to half of it."""


@dataclass(frozen=True, slots=True)
class SegmenterFolders:
    """Say where the pictures lie.

    Attributes:
        portraits: data set in EasyPortrait's layout; folders or its zip archives.
        people: folder with `images` and binary `masks` of whole people, or None.
        unmasked: folders of photos of people that nothing is marked in.
        backgrounds: folders of photos without people.
        cache: where checked, reduced portraits are kept between runs.
        leave_out_faulty: train without the pairs that the check finds faulty, after reporting them.
        mend_sides: swap left and right in masks that have them on the wrong sides.
    """

    portraits: Path
    people: Path | None
    unmasked: tuple[Path, ...]
    backgrounds: tuple[Path, ...]
    cache: Path
    leave_out_faulty: bool = False
    mend_sides: bool = False


def load_portraits(
    folders: SegmenterFolders, splits: Sequence[str], size: int, *, workers: int, report: Report
) -> dict[str, Sequence[Sample]]:
    """Check every pair of the splits and return its samples by split, from the cache.

    Raises:
        InputError: a pair is faulty and `leave_out_faulty` is false; the report has named all faults by then.
    """
    root = folders.portraits
    found = {split: find_portraits(root, split) for split in splits}
    faults = [fault for portraits in found.values() for fault in portraits.faults]
    users = list_users(root)
    names = {split: [pair.name for pair in portraits.pairs] for split, portraits in found.items()}
    shared = check_users(
        users, {"test": [photo.stem for photo in list_entries(root, "images", "test")], **names}
    )
    left_out = {fault.where for fault in shared}
    faults += shared
    cached = {}
    for split, portraits in found.items():
        place = folders.cache / split
        cached[split], bad = cache_pairs(
            [pair for pair in portraits.pairs if users.get(pair.name) not in left_out],
            place,
            CACHE_SCALE * size,
            workers=max(1, workers),
            mend_sides=folders.mend_sides,
        )
        faults += bad
    _settle(faults, folders, report)
    return {split: load_samples(pairs) for split, pairs in cached.items()}


def _settle(faults: Sequence[Fault], folders: SegmenterFolders, report: Report) -> None:
    if not faults:
        return
    report(report_faults(faults))
    if not folders.leave_out_faulty:
        raise InputError(
            f"{folders.portraits} has {len(faults)} faults, listed above; "
            "correct them, or train without these pairs by --leave-out-faulty"
        )


def load_source(folders: SegmenterFolders, portraits: Sequence[Sample]) -> ParsingSource:
    """Return what training pictures are composed from; faces in photos of people are found by the embedded detector."""
    detect = LightDetector(OpenVinoBackend(model_path(find_embedded("detector"))))
    people = read_people(folders.people, detect) if folders.people else []
    unmasked = [sample for folder in folders.unmasked for sample in read_unmasked(folder, detect)]
    paths: Iterable[Path] = (path for folder in folders.backgrounds for path in sorted(folder.iterdir()))
    return ParsingSource(portraits, [*people, *unmasked], [read_rgb(path, 512) for path in paths])


class ComposedDraw:
    """Draw a composed and varied training picture."""

    def __init__(self, source: ParsingSource, size: int) -> None:
        self._source, self._size = source, size

    def __call__(self, rng: np.random.Generator) -> Drawn:
        """Return `image`, 3xSxS bytes, and `labels`, SxS."""
        return to_tensors(compose_sample(self._source, self._size, rng))


class SquaredSamples(Dataset[Drawn]):
    """Show each portrait whole, in a square of `size` pixels; what lies beside it is UNKNOWN."""

    def __init__(self, samples: Sequence[Sample], size: int) -> None:
        self._samples, self._size = samples, size

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Drawn:
        """Return one portrait's tensors, as `ComposedDraw` does."""
        return to_tensors(square_sample(self._samples[index], self._size))


def square_sample(sample: Sample, size: int) -> Sample:
    """Return the sample reduced or enlarged to fit a square, in its middle."""
    height, width = sample.labels.shape
    scale = size / max(height, width)
    h, w = max(1, round(height * scale)), max(1, round(width * scale))
    image = np.zeros((size, size, 3), np.uint8)
    labels = np.full((size, size), UNKNOWN, np.uint8)
    y, x = (size - h) // 2, (size - w) // 2
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    image[y : y + h, x : x + w] = cv2.resize(sample.image, (w, h), interpolation=method)
    labels[y : y + h, x : x + w] = cv2.resize(sample.labels, (w, h), interpolation=cv2.INTER_NEAREST_EXACT)
    return Sample(image, labels)


def to_tensors(sample: Sample) -> Drawn:
    """Return the picture as 3xHxW bytes and its labels as HxW bytes."""
    image = torch.from_numpy(np.ascontiguousarray(sample.image.transpose(2, 0, 1)))
    return {"image": image, "labels": torch.from_numpy(np.ascontiguousarray(sample.labels))}
