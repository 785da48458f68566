"""Read a U-Net, the light one or the paper's, from a file of weights and tell which by them; it trains nothing."""

from pathlib import Path

from torch import Tensor, nn

from sfumato.errors import ModelError
from sfumato.nets.paper_unet import PaperUNet
from sfumato.nets.segmenter import LightUNet
from sfumato.nets.weight_files import parse_weights, read_weights

FIRST_LIGHT = "encoder.stem.0.weight"
"""A tensor that every light U-Net has, and no other network."""

FIRST_PAPER = "encoder._conv_stem.weight"
"""A tensor that every U-Net of segmentation-models-pytorch with an EfficientNet has, with or without "unet." before."""


def read_segmenter(path: Path) -> nn.Module:
    """Return the U-Net of a file of weights: of a run, or as segmentation-models-pytorch stores its own.

    A `.pth` is read as weights only: no code in it is run.

    Raises:
        MissingInputError: there is no such file.
        ModelError: the file is damaged or holds another network.
    """
    state = parse_weights(read_weights(path), path)
    held = state.get("state_dict", state)
    tensors = {
        name.removeprefix("module."): value for name, value in held.items() if isinstance(value, Tensor)
    }
    net: nn.Module
    if FIRST_LIGHT in tensors:
        net = LightUNet()
    elif FIRST_PAPER in tensors or f"unet.{FIRST_PAPER}" in tensors:
        net = PaperUNet()
        tensors = {
            name if name.startswith("unet.") else f"unet.{name}": value for name, value in tensors.items()
        }
    else:
        raise ModelError(f"{path} holds no U-Net; name a file of unet-light or unet-efficientnet-b2")
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelError(
            f"{path} holds another U-Net than one of nine classes with an EfficientNet-Lite0 or -B2; name another"
        ) from error
    return net.eval().requires_grad_(False)
