"""Measure how unlike two pictures are to a network that has seen many; nothing is trained to agree with people."""

import torch
from torch.nn.functional import normalize

from sfumato.evaluation.restoration import Measure
from sfumato.nets.segmenter import Encoder
from sfumato.training.crops import to_batch
from sfumato.types import Image


def perceptual_distance(encoder: Encoder) -> Measure:
    """Return a measure: the distance of the unit features of EfficientNet-Lite0 at five sizes; 0 for equal pictures.

    Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", 2018, equation 1, with all
    channel weights 1: of the type of LPIPS, but neither its networks nor its figures.
    """

    @torch.no_grad()
    def measure(truth: Image, picture: Image) -> float:
        wanted, mine = (encoder(2 * to_batch([image]) - 1) for image in (truth, picture))
        layers = [normalize(a) - normalize(b) for a, b in zip(wanted, mine, strict=True)]
        return float(sum(layer.square().sum(dim=1).mean() for layer in layers))

    return measure
