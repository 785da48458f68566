"""Say what the light restorer learns from and how; it trains nothing."""

from dataclasses import dataclass, field
from pathlib import Path

from sfumato.training.degradation import DegradationRanges
from sfumato.training.loop import Schedule


@dataclass(frozen=True, slots=True)
class LossWeights:
    """Weigh the terms of the loss.

    Attributes:
        pixel: distance of the pixels in units of the damage.
        feature: L1 distance of VGG19 activations.
        texture: L1 distance of the local standard deviations of VGG19 activations; it asks for as much texture as
            the truth has, wherever exactly it lies.
        adversarial: what a discriminator of patches holds against the restored (Wang et al., "GFPGAN", 2021,
            equation 4, with least squares).
        identity: the angle between the embeddings of the whole face and of its restoration.
    """

    pixel: float = 1.0
    feature: float = 1.0
    texture: float = 0.5
    adversarial: float = 0.02
    identity: float = 2.0


@dataclass(frozen=True, slots=True)
class RestorerOptions:
    """Say what the light restorer learns from and how.

    Attributes:
        images: folder of FFHQ-aligned 512x512 faces.
        vgg: VGG19 weights in the layout of `VggFeatures`.
        batch: faces in a step.
        crop: side of the square cut from each face; a multiple of 16.
        window: side of the part of it that VGG19 compares; a multiple of 4.
        seen: how many faces of the batch it compares, which is the dearest part of a step.
        grey: share of faces without colour, so that old photos do not gain any.
        rate: learning rate at its highest.
        pixels_only: first steps, in which VGG19 does not count; they are cheap and teach the most.
        average: decay of the running mean of the weights, which is what is exported.
        recognition: weights of MobileFaceNet, which tells persons apart; None trains without.
        whole_share: share of the steps in which one whole face is restored and recognised, which costs as much as four
            steps without.
        start: weights of a light restorer to go on from, safetensors or an exported ONNX.
    """

    images: Path
    vgg: Path
    schedule: Schedule
    batch: int = 8
    crop: int = 96
    window: int = 64
    seen: int = 4
    grey: float = 0.12
    rate: float = 1e-3
    pixels_only: int = 1600
    average: float = 0.996
    recognition: Path | None = None
    whole_share: float = 0.25
    start: Path | None = None
    ranges: DegradationRanges = field(default_factory=DegradationRanges)
    weights: LossWeights = field(default_factory=LossWeights)
