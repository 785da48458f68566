"""Read a published face restorer from its authors' file (paper, section 2.3); it restores and trains nothing.

The architectures come from the package spandrel: GFPGAN's "clean" one (Wang et al., "Towards real-world blind face
restoration with generative facial prior", 2021; versions 1.2 to 1.4) and RestoreFormer (Wang et al., 2022).
"""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from sfumato.errors import ModelError
from sfumato.nets.torchvision_schema import declare_torchvision_operators
from sfumato.nets.weight_files import State, parse_weights, read_weights

SIDE = 512
"""Side in pixels of the FFHQ-aligned crop that they restore."""


class GfpGan(nn.Module):
    """Restore a crop by GFPGAN, with the noise that its file holds, so that a crop is always restored alike."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, rgb: Tensor) -> Tensor:
        """Map Nx3x512x512 in 0..1 to the same."""
        restored: Tensor = self.net(2 * rgb - 1, return_rgb=False, randomize_noise=False)[0]
        return ((restored + 1) / 2).clamp(0, 1)


class RestoreFormer(nn.Module):
    """Restore a crop by RestoreFormer."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, rgb: Tensor) -> Tensor:
        """Map Nx3x512x512 in 0..1 to the same."""
        restored: Tensor = self.net(2 * rgb - 1)[0]
        return ((restored + 1) / 2).clamp(0, 1)


KINDS: Mapping[str, type[nn.Module]] = {"GFPGAN": GfpGan, "RestoreFormer": RestoreFormer}
"""What wraps each architecture, by spandrel's name for it."""


def read_face_restorer(path: Path, content: bytes | None = None) -> nn.Module:
    """Return the restorer of an authors' `.pth`, or of a safetensors file with the same names, in evaluation mode.

    A `.pth` is read as weights only: no code in it is run.

    Args:
        content: of the file, where it has been read already.

    Raises:
        MissingInputError: there is no such file.
        ModelError: the file is damaged or holds no face restorer.
    """
    return _wrapped(parse_weights(read_weights(path) if content is None else content, path), path)


def _wrapped(state: State, path: Path) -> nn.Module:
    declare_torchvision_operators()
    from spandrel import MAIN_REGISTRY, UnsupportedModelError, canonicalize_state_dict

    try:
        described = MAIN_REGISTRY.load(canonicalize_state_dict(dict(state)))
    except (UnsupportedModelError, RuntimeError, KeyError, AttributeError, TypeError) as error:
        raise ModelError(f"{path} holds no face restorer; name a file of {' or '.join(KINDS)}") from error
    name = described.architecture.id
    if name not in KINDS:
        raise ModelError(f"{path} holds a network of {name}; name a file of {' or '.join(KINDS)}")
    return KINDS[name](described.model).eval().requires_grad_(False)
