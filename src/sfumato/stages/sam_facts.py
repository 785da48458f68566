"""Say how pictures are brought to a Segment Anything network; its ONNX files carry it."""

import json
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from sfumato.errors import ModelError

KEY = "sfumato"
"""Name of the entry in the metadata of an ONNX file."""

Fit = Literal["pad", "stretch"]


@dataclass(frozen=True, slots=True)
class SamFacts:
    """Say how a network sees a picture.

    Attributes:
        fit: "pad" keeps the picture's shape and fills the square below or right of it, as SAM does; "stretch" gives up
            the shape, as SAM 2 does.
        side: of the square, in pixels.
    """

    fit: Fit
    side: int

    def write(self) -> str:
        """Return the facts as `read_sam_facts` reads them."""
        return json.dumps(asdict(self))


def read_sam_facts(text: str | None, name: str) -> SamFacts:
    """Return the facts that an ONNX file carries.

    Args:
        name: of the file, for the error.

    Raises:
        ModelError: it carries none, or others.
    """
    try:
        facts = SamFacts(**json.loads(text or ""))
    except (ValueError, TypeError) as error:
        raise ModelError(f"{name} does not say how it sees pictures; convert its weights again") from error
    if facts.fit not in get_args(Fit) or type(facts.side) is not int or facts.side < 1:
        raise ModelError(f"{name} says {text} of how it sees pictures; convert its weights again")
    return facts
