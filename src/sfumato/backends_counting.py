"""Count what is in a graph of OpenVINO and what it computes; nothing is run."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import openvino

_PRODUCTS = (
    "Convolution",
    "GroupConvolution",
    "ConvolutionBackpropData",
    "GroupConvolutionBackpropData",
    "MatMul",
)
"""Operations of two arrays that are nearly all of a network's arithmetic."""


def count_parameters(model: "openvino.Model") -> int:
    """Return how many numbers a graph holds as weights."""
    held = (op for op in model.get_ops() if op.get_type_name() == "Constant")
    return sum(int(np.prod(op.get_output_shape(0))) for op in held if op.get_output_element_type(0).is_real())


def count_operations(model: "openvino.Model") -> int:
    """Return the floating-point operations of one run of a graph whose shapes are known."""
    return sum(_operations(op) for op in model.get_ops())


def _sizes_of_letters(op: "openvino.Node") -> Mapping[str, int]:
    """Return the length that each letter of an Einsum's equation stands for."""
    sides = op.get_attributes()["equation"].replace(" ", "").partition("->")[0].split(",")
    sizes: dict[str, int] = {}
    for place, letters in enumerate(sides):
        sizes.update(zip(letters, (int(size) for size in op.input(place).get_shape()), strict=True))
    return sizes


def _operations(op: "openvino.Node") -> int:
    """Return the operations of one convolution or matrix product; 0 of anything else."""
    kind = op.get_type_name()
    if kind == "Einsum":
        return 2 * int(np.prod(list(_sizes_of_letters(op).values())))
    if kind not in _PRODUCTS:
        return 0
    first, second = (tuple(op.input(k).get_shape()) for k in (0, 1))
    if kind == "MatMul":
        length = int(first[-2 if op.get_attributes()["transpose_a"] else -1])
        return 2 * int(np.prod(op.get_output_shape(0))) * length
    kernel = second[2:] if kind.startswith("Group") else second[1:]
    if kind.endswith(
        "BackpropData"
    ):  # kernel is [groups,] in, out, h, w, and each input pixel meets all of it
        return 2 * int(np.prod(first)) * int(np.prod(kernel))
    # kernel is [groups,] out, in, h, w
    return 2 * int(np.prod(op.get_output_shape(0))) * int(np.prod(kernel))
