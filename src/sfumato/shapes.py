"""Tell by its inputs and outputs what the network of an ONNX file does; it runs none."""

from pathlib import Path

from sfumato.backends import inspect_model
from sfumato.errors import MissingInputError, ModelError
from sfumato.geometry import ALIGNED_SIZE
from sfumato.registry import Task
from sfumato.types import CLASSES


def recognise_onnx(file: Path) -> tuple[tuple[Task, ...], str]:
    """Return what an ONNX file can be used for, and a name of its network.

    Raises:
        MissingInputError: there is no such file.
        ModelError: it is damaged, or does nothing that sfumato needs.
    """
    if not file.is_file():
        raise MissingInputError(f"{file} does not exist; name the file of a model")
    shape = inspect_model(file, "sfumato")
    sizes, output = shape.inputs.get("input"), (shape.outputs or ((),))[0]
    if (
        sizes is not None
        and len(shape.inputs) == 1
        and len(sizes) == len(output) == 4
        and sizes[1] in (3, None)
    ):
        if output[1] == len(CLASSES) and sizes[2:] == (None, None):
            return ("segmenter",), "a network of nine classes (ONNX)"
        if sizes[2:] == output[2:] == (ALIGNED_SIZE, ALIGNED_SIZE):
            return ("restorer",), "a restorer of 512x512 crops (ONNX)"
        if sizes[2:] == (None, None) and output[1] in (3, None):
            return ("stylizer", "restorer"), "a network from pictures to pictures (ONNX)"
    inputs = "; ".join(f"{name} {describe_sizes(of)}" for name, of in shape.inputs.items())
    raise ModelError(
        f"{file} maps {inputs} to {describe_sizes(output)}, which sfumato does not run; name a generator, a restorer "
        "of 512x512 crops or a segmenter of nine classes"
    )


def describe_sizes(sizes: tuple[int | None, ...]) -> str:
    """Return sizes in words.

    >>> describe_sizes((1, 3, None, None))
    '1x3xanyxany'
    """
    return "x".join("any" if size is None else str(size) for size in sizes)
