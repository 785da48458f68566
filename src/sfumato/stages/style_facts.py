"""Say how a stylizer's network is to be used, in words that its file carries; it paints nothing."""

import json
from dataclasses import asdict, dataclass, fields
from typing import Literal

from sfumato.errors import ModelError

KEY = "sfumato"
"""Name under which an ONNX file's metadata hold the facts."""


@dataclass(frozen=True, slots=True)
class StyleFacts:
    """How to paint with a network that maps "input", an RGB batch in 0..1, to "output", a painted one.

    Attributes:
        sees: "tile": each pixel depends on those around it alone, so a picture of any size is painted tile by tile as
            if whole. "picture": the network measures the whole picture, as InstanceNorm does, and gets it in one piece.
        margin: for "tile": how far away a pixel can act; a multiple of 4.
        grain: deviation of the canvas that is added to what it paints over, of levels in 0..1 (see `grain`).
        underpaint: for "tile": part of the broad painting in what is painted over (see `LightStylizer`).
        longest: for "picture": longest side in pixels that it is given; a larger picture is reduced, painted and
            enlarged.
    """

    sees: Literal["tile", "picture"]
    margin: int = 0
    grain: float = 0.0
    underpaint: float = 0.0
    longest: int = 1024

    def __post_init__(self) -> None:
        """Refuse what no network can be used with."""
        if self.sees not in ("tile", "picture"):
            raise ModelError(f"sees is '{self.sees}'; write tile or picture")
        if self.margin < 0 or self.margin % 4 or (self.sees == "tile" and not self.margin):
            raise ModelError(
                f"margin is {self.margin}; write a multiple of 4, no less than the network's reach"
            )
        if not (0 <= self.grain <= 1 and 0 <= self.underpaint <= 1 and self.longest >= 4):
            raise ModelError("grain and underpaint are parts from 0 to 1, and longest is 4 pixels or more")

    def write(self) -> str:
        """Return the facts as one line of JSON."""
        return json.dumps(asdict(self))


def read_facts(text: str | bytes, source: str) -> StyleFacts:
    """Return the facts that a line of JSON holds.

    Raises:
        ModelError: it is no JSON, names something unknown or says something that cannot be.
    """
    try:
        loaded = json.loads(text)
        kinds = {field.name: field.type for field in fields(StyleFacts)}
        wanted = {"sees": (str,), "margin": (int,), "longest": (int,)}
        for name, value in loaded.items():
            if type(value) not in wanted.get(name, (int, float)):
                raise TypeError(f"{name} is no {'word' if name == 'sees' else 'such number'}: {value!r}")
        unknown = sorted(loaded.keys() - kinds.keys())
        if unknown:
            raise TypeError(f"'{unknown[0]}' is unknown; use {', '.join(kinds)}")
        return StyleFacts(**loaded)
    except (ValueError, TypeError, AttributeError, ModelError) as error:
        raise ModelError(f"{source} does not say how its network paints ({error}); correct it") from error
