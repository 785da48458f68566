"""Measure a face restorer on faces that are damaged by known amounts; it trains and shows nothing."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import torch
from skimage.metrics import structural_similarity

from sfumato.nets.vgg import VggFeatures
from sfumato.training.degradation import Degradation, degrade
from sfumato.types import Image, Transform

Measure = Callable[[Image, Image], float]
"""Compare the truth (first) with a restoration of it."""

LEVELS: Mapping[str, Degradation] = MappingProxyType(
    {
        "sharp": Degradation(),
        "mild": Degradation(blur=(1.0, 1.0), shrink=2.0, noise=3.0, quality=85),
        "medium": Degradation(blur=(2.0, 2.0), shrink=4.0, noise=7.0, quality=75),
        "strong": Degradation(blur=(4.0, 4.0), shrink=8.0, noise=12.0, quality=65),
    }
)
"""Damage at which restorers are compared; the enlargement is bicubic, so doing nothing scores as bicubic."""


@dataclass(frozen=True, slots=True)
class RestorationRow:
    """Hold the scores of one method at one level of damage.

    Attributes:
        scores: one for each face, by measure.
        seconds: of each face.
    """

    level: str
    method: str
    scores: Mapping[str, tuple[float, ...]]
    seconds: tuple[float, ...] = field(compare=False)

    def mean(self, measure: str) -> float:
        """Return the mean over the faces."""
        return float(np.mean(self.scores[measure]))


def measure_restoration(
    faces: Sequence[Image],
    methods: Mapping[str, Transform],
    measures: Mapping[str, Measure],
    *,
    levels: Mapping[str, Degradation] = LEVELS,
    seed: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> tuple[RestorationRow, ...]:
    """Return one row for each level and method, with the scores of each face.

    Args:
        advance: called after each face at each level.
    """
    rows = []
    for level, degradation in levels.items():
        scores: dict[str, list[tuple[float, ...]]] = {method: [] for method in methods}
        seconds: dict[str, list[float]] = {method: [] for method in methods}
        for number, face in enumerate(faces):
            damaged = damage_face(face, degradation, number, seed=seed)
            for method, restore in methods.items():
                start = time.perf_counter()
                restored = restore(damaged)
                seconds[method].append(time.perf_counter() - start)
                scores[method].append(tuple(score(face, restored) for score in measures.values()))
            advance()
        for method in methods:
            columns = zip(*scores[method], strict=True)
            by_measure = dict(zip(measures, columns, strict=True))
            rows.append(RestorationRow(level, method, by_measure, tuple(seconds[method])))
    return tuple(rows)


def damage_face(face: Image, degradation: Degradation, number: int, *, seed: int = 0) -> Image:
    """Return a damaged face, its noise from `default_rng((seed, number))`: every method sees the same picture."""
    return degrade(face, degradation, np.random.default_rng((seed, number)))


def peak_signal_to_noise(truth: Image, picture: Image) -> float:
    """Return 10 log10(255^2 / mean squared error) in decibels; 100 for equal pictures, so that means stay finite.

    >>> import numpy as np
    >>> black = np.zeros((8, 8, 3), dtype=np.uint8)
    >>> round(peak_signal_to_noise(black, black + np.uint8(255)), 6)
    0.0
    """
    error = float(np.mean((truth.astype(np.float64) - picture.astype(np.float64)) ** 2))
    return min(100.0, 10 * float(np.log10(255.0**2 / error))) if error > 0 else 100.0


def similarity_of_structure(truth: Image, picture: Image) -> float:
    """Return the SSIM of Wang et al., 2004, with its 11-tap Gaussian window, averaged over RGB."""
    return float(
        structural_similarity(  # type: ignore[no-untyped-call]  # scikit-image has no types
            truth,
            picture,
            data_range=255,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def feature_distance(vgg: VggFeatures) -> Measure:
    """Return a measure: the mean relative L1 distance of relu1_2, relu2_2 and relu3_1; 0 for equal pictures."""

    def measure(truth: Image, picture: Image) -> float:
        with torch.no_grad():
            wanted, mine = vgg(_batch(truth)), vgg(_batch(picture))
        layers = ("relu1_2", "relu2_2", "relu3_1")
        parts = [_relative(getattr(mine, name), getattr(wanted, name)) for name in layers]
        return float(np.mean(parts))

    return measure


def _relative(mine: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((mine - wanted).abs().mean() / wanted.abs().mean())


def _batch(image: Image) -> torch.Tensor:
    planes = np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)
    return torch.from_numpy(planes / np.float32(255))
