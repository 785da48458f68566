"""Hold the settings of a training of the light generator; it does nothing."""

from dataclasses import dataclass, field
from pathlib import Path

from sfumato.training.loop import Schedule


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each loss counts."""

    adversarial: float = 1.0
    gram: float = 4.0
    spread: float = 2.0
    moments: float = 8.0
    content: float = 0.0
    structure: float = 8.0
    colour: float = 9.0
    flatness: float = 10.0
    patches: float = 1500.0
    grid: float = 500.0
    similarity: float = 10.0
    identity: float = 1.0


@dataclass(frozen=True, slots=True)
class StylizerOptions:
    """Name the data and the settings of one training.

    Attributes:
        photos: folder of photos; the last `photos_held_out` by name are never trained on.
        portraits: folders of portraits, drawn from equally.
        portrait_share: part of the photos in a batch that are portraits.
        paintings: folder of paintings; the last `paintings_held_out` by name are never trained on.
        vgg: weights of VGG19 to relu3_1.
        size: side of a crop in pixels.
        painting_scales: enlargement of a painting: sets the size of the strokes.
        photo_scales: enlargement of a photo.
        grain: deviation of the canvas added to what is painted over, of levels in 0..1 (see `stages.grain`).
        underpaint: part of the broad painting in every second portrait that is painted over (see `stages.stylize`).
        tones: luminance of black and white in paint.
        similarity_floor: structural similarity of luminance that painting must leave.
        start: weights of a light generator to go on from, safetensors or an exported ONNX.
        frozen_from: step from which the normalisations keep their statistics: the network then learns as it will paint,
            by fixed statistics and not by those of a batch.
        library: painting crops measured before the start.
        candidates: of these, how many are looked at for one that is like a photo.
        recent: landscapes painted before that count as one set with the new ones. Many would be more exact, but older:
            with 320 the network swung to and fro about the paintings' mean, as whoever steers by yesterday's compass.
    """

    photos: Path
    portraits: tuple[Path, ...]
    paintings: Path
    vgg: Path
    schedule: Schedule
    weights: Weights = field(default_factory=Weights)
    portrait_share: float = 0.4
    photos_held_out: int = 120
    paintings_held_out: int = 60
    size: int = 160
    batch: int = 5
    painting_scales: tuple[float, float] = (0.95, 1.15)
    photo_scales: tuple[float, float] = (0.7, 1.3)
    portrait_scales: tuple[float, float] = (0.3, 1.2)
    start: Path | None = None
    library: int = 720
    candidates: int = 160
    recent: int = 72
    grain: float = 0.03
    underpaint: float = 0.5
    tones: tuple[float, float] = (0.14, 0.9)
    similarity_floor: float = 0.6
    frozen_from: int = 1500
    learning_rate: float = 5e-4
