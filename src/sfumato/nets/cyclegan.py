"""Define CycleGAN's generator as it was published, so that its authors' weights fit; it trains and loads nothing."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import nn

from sfumato.errors import ModelError

Upsampling = Literal["transposed", "resize"]


class ResnetGenerator(nn.Module):
    """Translate a picture into the other domain.

    Zhu et al., "Unpaired image-to-image translation using cycle-consistent adversarial networks", 2017, appendix 7.2:
    c7s1-64, d128, d256, R256 times 6 or 9, u128, u64, c7s1-3, with InstanceNorm and reflection padding; 11,378,179
    parameters with 9 blocks. `model` has the names and shapes of the authors' files.

    Args:
        blocks: residual blocks: 9 for pictures of 256 pixels and more, 6 below.
        width: channels of the first layer.
        upsampling: "transposed" as published; "resize" enlarges and convolves instead, which leaves no checkerboard
            (Odena et al., "Deconvolution and checkerboard artifacts", 2016).
        dropout: a half, within the residual blocks; the authors left it off.
    """

    def __init__(
        self,
        *,
        blocks: int = 9,
        width: int = 64,
        upsampling: Upsampling = "transposed",
        dropout: bool = False,
    ) -> None:
        super().__init__()
        w = width
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, w, 7), *_finish(w)]
        for inputs in (w, 2 * w):
            layers += [nn.Conv2d(inputs, 2 * inputs, 3, stride=2, padding=1), *_finish(2 * inputs)]
        layers += [ResnetBlock(4 * w, dropout=dropout) for _ in range(blocks)]
        for inputs in (4 * w, 2 * w):
            layers += [_enlarge(inputs, inputs // 2, upsampling), *_finish(inputs // 2)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Map an RGB batch in 0..1, sides multiples of 4, to one of the same size in 0..1."""
        painted: torch.Tensor = self.model(2 * rgb - 1)
        return (painted + 1) / 2


class ResnetBlock(nn.Module):
    """Add two convolutions to the input."""

    def __init__(self, channels: int, *, dropout: bool) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            *_finish(channels),
            *([nn.Dropout(0.5)] if dropout else []),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input plus what the two convolutions make of it."""
        change: torch.Tensor = self.conv_block(x)
        return x + change


def _finish(channels: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]


def _enlarge(inputs: int, outputs: int, upsampling: Upsampling) -> nn.Module:
    if upsampling == "transposed":
        return nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 3))


@torch.no_grad()
def initialise(net: nn.Module) -> None:
    """Draw the weights of all convolutions from a Gaussian of deviation 0.02 (appendix 7.1); biases start at 0."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def generator_from(state: Mapping[str, torch.Tensor]) -> ResnetGenerator:
    """Return a generator that holds the weights of an authors' file, its size told by them.

    Files of PyTorch 0.3 and before also hold running statistics of InstanceNorm, which the authors' own code drops as
    well, and some files hold the prefix of DataParallel.

    Raises:
        ModelError: the tensors are those of another network.
    """
    kept = {
        name.removeprefix("module."): tensor
        for name, tensor in state.items()
        if name.rpartition(".")[2] not in ("running_mean", "running_var", "num_batches_tracked")
    }
    blocks = len({name.split(".")[1] for name in kept if ".conv_block." in name})
    if "model.1.weight" not in kept:
        raise ModelError(
            "the file holds no CycleGAN generator; name a latest_net_G.pth or a file of its layout"
        )
    dropout = any(".conv_block.6." in name for name in kept)
    resize = any(name.endswith(".2.weight") and ".conv_block." not in name for name in kept)
    net = ResnetGenerator(
        blocks=blocks,
        width=len(kept["model.1.weight"]),
        upsampling="resize" if resize else "transposed",
        dropout=dropout,
    )
    try:
        net.load_state_dict(kept)
    except RuntimeError as error:
        raise ModelError(
            f"the file holds another network than CycleGAN's generator of {blocks} blocks; name a latest_net_G.pth"
        ) from error
    return net
