"""Open the detector and the recogniser that a name stands for; they find nothing themselves."""

from sfumato.backends import OpenVinoBackend, inspect_model, make_backend
from sfumato.errors import SettingsError
from sfumato.registry import ModelFile, Task
from sfumato.resolve import Opened, find_named
from sfumato.stages.detect import LightDetector
from sfumato.stages.likeness import Likeness
from sfumato.stages.sface import SFaceLikeness
from sfumato.stages.yunet import YuNetDetector
from sfumato.store import open_stored
from sfumato.types import Compare, Detect


def open_detector(detector: str, device: str, *, exact: bool = False) -> Opened[Detect]:
    """Return the embedded detector, "light", or YuNet, which runs on the CPU whatever the device.

    Raises:
        SettingsError: no detector has this name.
        ModelError: it is not on this machine, or damaged.
    """
    name, file = _file_of(detector, "detector", "yunet")
    if name == "yunet":
        side = inspect_model(file.path, "").inputs["input"][2]
        return Opened(YuNetDetector(OpenVinoBackend(file.path, exact=exact), side), name, file.sha256)
    return Opened(LightDetector(make_backend(file.path, device, exact=exact)), name, file.sha256)


def open_recogniser(recogniser: str, device: str, *, exact: bool = False) -> Opened[Compare]:
    """Return the embedded recogniser, "light", or SFace, which runs on the CPU whatever the device.

    Raises:
        SettingsError: no recogniser has this name.
        ModelError: it is not on this machine, or damaged.
    """
    name, file = _file_of(recogniser, "recogniser", "sface")
    if name == "sface":
        return Opened(SFaceLikeness(OpenVinoBackend(file.path, exact=exact)), name, file.sha256)
    return Opened(Likeness(make_backend(file.path, device, exact=exact)), name, file.sha256)


def _file_of(text: str, task: Task, known: str) -> tuple[str, ModelFile]:
    """Return the name and the file of a model that is embedded or the known one; others work in ways of their own."""
    spec = find_named(text, task)
    if not spec.embedded and spec.name != known:
        raise SettingsError(f"{task} '{text}' is none that sfumato runs; use light or {known}")
    return spec.name, open_stored(spec)
