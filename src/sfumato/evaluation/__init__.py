"""Hold the measurements; PyTorch is loaded, and torchvision made importable, with the first of them."""

from sfumato.nets.torchvision_schema import declare_torchvision_operators

declare_torchvision_operators()
