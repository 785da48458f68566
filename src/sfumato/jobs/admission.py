"""Look at the headers of uploaded pictures and refuse what is beyond the bounds; no pixel is decoded."""

from collections.abc import Mapping
from typing import BinaryIO

from sfumato.errors import PictureTooLargeError
from sfumato.io import measure_picture
from sfumato.jobs.bounds import Bounds
from sfumato.jobs.job import Part, Work
from sfumato.jobs.memory import BESIDE, estimate_need


def measure_need(work: Work, uploads: Mapping[Part, BinaryIO], bounds: Bounds) -> int:
    """Return the bytes of memory that a job will need; the uploads are at their beginning before and after.

    Raises:
        InputError: one is no picture, as far as its header tells.
        PictureTooLargeError: one is beyond the limits, or all of them need more memory than there is for jobs.
    """
    pixels: dict[Part, int] = {}
    shape = (0, 0)
    for part, stream in uploads.items():
        name = "the picture" if part == "image" else f"the {part}"
        height, width = measure_picture(stream, limits=bounds.limits, name=name)
        stream.seek(0)
        pixels[part] = height * width
        if part == "image":
            shape = (height, width)
    need = estimate_need(work, shape) + BESIDE * (sum(pixels.values()) - pixels["image"])
    if need > bounds.memory:
        raise PictureTooLargeError(
            f"the picture of {shape[1]}x{shape[0]} pixels needs about {need / 1e9:.1f} GB of memory here, where "
            f"{bounds.memory / 1e9:.1f} GB are allowed; scale it down"
        )
    return need
