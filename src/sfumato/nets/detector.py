"""Define the face detector's network: anchor-free heads at strides 8 and 16; it decodes no boxes."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfumato.stages.detect import STRIDES

CHANNELS = 15
"""Per cell: score logit, box (centre x, y, log width, log height), five points (x, y), in strides."""


class Conv(nn.Sequential):
    """Convolve 3x3 or 1x1, normalise by batch statistics and rectify."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """Add two convolutions to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Conv(channels, channels)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the rectified sum."""
        output: Tensor = functional.relu(x + self.second(self.first(x)))
        return output


class Head(nn.Module):
    """Predict score, box and points of each cell."""

    def __init__(self, channels: int, prior: float) -> None:
        super().__init__()
        self.tower = Conv(channels, channels)
        self.predict = nn.Conv2d(channels, CHANNELS, 1)
        nn.init.normal_(self.predict.weight, std=0.01)
        start = torch.zeros(CHANNELS)
        start[0] = torch.logit(torch.tensor(prior))
        start[3:5] = 1.2
        self.predict.bias = nn.Parameter(start)

    def forward(self, x: Tensor) -> Tensor:
        """Return N x 15 x H x W, the score as a logit."""
        output: Tensor = self.predict(self.tower(x))
        return output


class DetectorNet(nn.Module):
    """Find faces of about 20 to 160 pixels; plain 3x3 convolutions, which bf16 units run fastest.

    After YuNet (Wu et al. 2023) and FCOS (Tian et al. 2019), with a stride-32 stage for context.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        w = width
        self.stem = nn.Sequential(Conv(3, w, stride=2), Conv(w, 2 * w, stride=2), Conv(2 * w, 2 * w))
        self.eighth = nn.Sequential(Conv(2 * w, 4 * w, stride=2), Residual(4 * w), Residual(4 * w))
        self.sixteenth = nn.Sequential(Conv(4 * w, 6 * w, stride=2), Residual(6 * w), Residual(6 * w))
        self.thirtysecond = nn.Sequential(Conv(6 * w, 6 * w, stride=2), Residual(6 * w))
        self.lateral = nn.ModuleList([Conv(c * w, 4 * w, kernel=1) for c in (4, 6, 6)])
        self.heads = nn.ModuleList([Head(4 * w, prior=0.01) for _ in STRIDES])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map RGB in [0, 1], sides multiples of 32, to the maps at strides 8 and 16, N x 15 x H x W.

        The score of the maps is a logit during training and a probability in evaluation.
        """
        eighth = self.eighth(self.stem(x * 2 - 1))
        sixteenth = self.sixteenth(eighth)
        coarse = self.lateral[2](self.thirtysecond(sixteenth))
        middle = self.lateral[1](sixteenth) + functional.interpolate(coarse, scale_factor=2.0)
        fine = self.lateral[0](eighth) + functional.interpolate(middle, scale_factor=2.0)
        return self._finish(self.heads[0](fine)), self._finish(self.heads[1](middle))

    def _finish(self, output: Tensor) -> Tensor:
        if self.training:
            return output
        return torch.cat([output[:, :1].sigmoid(), output[:, 1:]], dim=1)
