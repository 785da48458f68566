"""Turn a portrait photo into a painting that keeps the person.

>>> import sfumato
>>> result = sfumato.stylize("portrait.jpg", paint=0.2)  # doctest: +SKIP
>>> result.save("painting.jpg")  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING

from sfumato.errors import SfumatoError
from sfumato.settings import Settings
from sfumato.types import Face

if TYPE_CHECKING:
    from sfumato.pipeline import Pipeline, build_pipeline, stylize
    from sfumato.result import Result

__version__ = "0.1.0"

__all__ = [
    "Face",
    "Pipeline",
    "Result",
    "Settings",
    "SfumatoError",
    "__version__",
    "build_pipeline",
    "stylize",
]

_LATE = {"Pipeline": "pipeline", "Result": "result", "build_pipeline": "pipeline", "stylize": "pipeline"}
"""Room of each name that is loaded when first used."""


def __getattr__(name: str) -> object:
    """Load the pipeline, and with it OpenCV, when first used; so that the import itself is quick."""
    if name in _LATE:
        return getattr(import_module(f"sfumato.{_LATE[name]}"), name)
    raise AttributeError(f"module 'sfumato' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
