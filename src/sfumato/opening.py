"""Open every stage that settings name; it puts no pipeline together and runs none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

from sfumato.backends import check_device
from sfumato.faces import open_detector, open_recogniser
from sfumato.resolve import Opened
from sfumato.restorers import open_restorer
from sfumato.segmenters import Segments, open_segmenter
from sfumato.settings import Settings
from sfumato.styles import open_style
from sfumato.types import Compare, Detect, Transform

Stage = TypeVar("Stage")

Open: TypeAlias = Callable[..., Opened[Stage]]
"""Opens the stage of a name on a device, exact or not: `open_style` and its like."""


class Opener(Protocol):
    """Open one stage, or hand out one that is open already."""

    def __call__(self, open_one: Open[Stage], name: str, device: str, *, exact: bool) -> Opened[Stage]:
        """Return the stage of this name."""


@dataclass(frozen=True, slots=True)
class Stages:
    """All stages of a pipeline.

    Attributes:
        guard: the embedded recogniser, by which it is judged whether a restoration goes too far, whatever `recogniser`
            measures the likeness that is reported.
    """

    detector: Opened[Detect]
    segmenter: Opened[Segments]
    restorer: Opened[Transform]
    recogniser: Opened[Compare]
    guard: Opened[Compare]
    style: Opened[Transform]

    @property
    def models(self) -> Mapping[str, str]:
        """Return the sha256 of each model by name."""
        used = (self.detector, self.segmenter, self.restorer, self.recogniser, self.guard, self.style)
        return {opened.name: opened.sha256 for opened in used} | {**self.segmenter.also, **self.style.also}


def open_anew(open_one: Open[Stage], name: str, device: str, *, exact: bool) -> Opened[Stage]:
    """Open one stage, whatever is open already."""
    return open_one(name, device, exact=exact)


def open_stages(settings: Settings, opener: Opener = open_anew) -> Stages:
    """Return the stages that settings name; files are verified now, networks load when first used.

    Args:
        opener: opens each of them.

    Raises:
        SettingsError: a style, restorer, segmenter, detector or recogniser is unknown.
        MissingInputError: the file of one of them is missing.
        BackendMissingError: the device is not there.
        ModelError: a model is not on this machine, or its file is damaged.
    """
    device, exact = check_device(settings.device), settings.exact
    recogniser = opener(open_recogniser, settings.recogniser, device, exact=exact)
    embedded = settings.recogniser == "light"
    return Stages(
        detector=opener(open_detector, settings.detector, device, exact=exact),
        segmenter=opener(open_segmenter, settings.segmenter, device, exact=exact),
        restorer=opener(open_restorer, settings.restorer, device, exact=exact),
        recogniser=recogniser,
        guard=recogniser if embedded else opener(open_recogniser, "light", device, exact=exact),
        style=opener(open_style, settings.style, device, exact=exact),
    )
