"""Name the class of processors on which the same networks give the same bits; it runs none."""

import platform
from functools import cache

from sfumato.backends import check_device, openvino_abilities

_LEVELS = (("AVX512-SKX", "avx512"), ("AVX2", "avx2"), ("SSE4.1", "sse4"))
"""What OpenCV calls the sets of instructions for which it and OpenVINO have kernels of their own, best first."""

_PRECISIONS = (("BF16", "bf16"), ("FP16", "fp16"))
"""Precisions narrower than float32 in which OpenVINO may compute where it is not to be exact."""

_NAMES = {"amd64": "x86_64", "aarch64": "arm64"}
"""Other names of machines, on Windows and on Linux."""


@cache
def processor_class(device: str) -> str:
    """Return what decides which kernels run here and in which precision, such as "x86_64 avx2".

    Args:
        device: as in `Settings`.

    Raises:
        BackendMissingError: the device is not there.
    """
    import cv2

    found = check_device(device)
    if found != "cpu":
        return _graphics_class(found)
    machine = platform.machine().lower()
    abilities = openvino_abilities()
    narrow = [name for ability, name in _PRECISIONS if ability in abilities]
    return " ".join([_NAMES.get(machine, machine), *_level(cv2.getCPUFeaturesLine()), *narrow])


def _level(features: str) -> list[str]:
    """Return the best set of instructions of x86; none of other machines, where one serves all.

    Args:
        features: as OpenCV tells them: what it can use begins with a star unless all machines have it, and what this
            machine lacks ends in a question mark.

    >>> _level("SSE SSE2 SSE3 *SSE4.1 *AVX2 *AVX512-SKX?"), _level("NEON FP16 *NEON_DOTPROD")
    (['avx2'], [])
    """
    there = {feature.lstrip("*") for feature in features.split()}
    return next(([name] for feature, name in _LEVELS if feature in there), [])


def _graphics_class(device: str) -> str:
    import torch

    return f"{device} {torch.cuda.get_device_name()}" if device == "cuda" else device
