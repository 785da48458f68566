"""Open the segmenter that a name or a file stands for; it trains nothing and finds no face itself."""

import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from sfumato.backends import Backend, OpenVinoBackend, TorchBackend, inspect_model, make_backend
from sfumato.conversion import DECODER, ENCODER, MODEL, convert_once
from sfumato.errors import ModelError, SettingsError
from sfumato.registry import ModelFile, find_embedded, model_path
from sfumato.resolve import Opened, find_named, is_path, resolve
from sfumato.settings import read_chosen_segmenter
from sfumato.stages.sam import SamSegmenter
from sfumato.stages.sam_facts import KEY, read_sam_facts
from sfumato.stages.segment import LightSegmenter
from sfumato.store import find_stored
from sfumato.types import CLASSES

if TYPE_CHECKING:
    from torch import nn

Segments: TypeAlias = LightSegmenter | SamSegmenter

WEIGHTS = (".pth", ".pt", ".safetensors")
"""Suffixes of files of weights; a folder of Hugging Face's does as well."""

SEGMENTERS = (".onnx", *WEIGHTS)

AUTO = "auto"
"""Stands for the segmenter that the user chose by `sfumato evaluate segmenters --select`, else for the embedded one."""

LARGE = 2_000_000_000
"""Bytes from which on a model's note is logged before it runs on a CPU, for it says what that costs."""

_log = logging.getLogger(__name__)


def open_segmenter(segmenter: str, device: str, *, exact: bool = False) -> Opened[Segments]:
    """Return the chosen segmenter, "auto", the embedded one, "light", one of the registry, or that of a file.

    On the CPU weights are converted to ONNX once and kept in the user's cache; elsewhere PyTorch runs them.

    Args:
        segmenter: a name or a path, or several by comma: the first that is on this machine counts.

    Raises:
        SettingsError: no segmenter has this name.
        MissingInputError: there is no such file.
        ModelError: it is not on this machine, is damaged, or holds no segmenter.
        BackendMissingError: PyTorch or transformers is not installed.
    """
    meant = resolve(choose_available(segmenter), "segmenter", SEGMENTERS)
    if meant.spec is not None and (meant.spec.bytes or 0) > LARGE and device == "cpu":
        _log.info("%s: %s", meant.name, meant.spec.note)
    if meant.file.path.suffix.lower() == ".onnx":
        path = meant.file.path
        if meant.spec is None or not meant.spec.embedded:
            check_segmenter(meant.file)
        return Opened(LightSegmenter(make_backend(path, device, exact=exact)), meant.name, meant.file.sha256)
    if device == "cpu":
        return _converted(meant.file, meant.name, exact=exact)
    return _by_pytorch(meant.file, meant.name, device, exact=exact)


def _chosen() -> str:
    """Return the chosen segmenter, or "light" where none was chosen or it is no longer on this machine."""
    chosen = read_chosen_segmenter()
    if chosen is None or chosen == AUTO:
        return "light"
    there = Path(chosen).exists() if is_path(chosen, "segmenter", SEGMENTERS) else _is_stored(chosen)
    if not there:
        _log.warning("the chosen segmenter '%s' is not on this machine; the embedded one is used", chosen)
    return chosen if there else "light"


def _is_stored(name: str) -> bool:
    try:
        spec = find_named(name, "segmenter")
    except SettingsError:  # of a model that the user has removed since
        return False
    return spec.embedded or find_stored(spec) is not None


def choose_available(segmenter: str) -> str:
    """Return the first of several segmenters, divided by commas, that is on this machine; the only one as it is.

    "auto" stands for the chosen one, or for "light" where none is chosen.

    Raises:
        SettingsError: one of the names is unknown.
        ModelError: none of them is on this machine.
    """
    if Path(segmenter).exists():
        return segmenter
    names = [_chosen() if name.strip() == AUTO else name.strip() for name in segmenter.split(",")]
    if len(names) == 1:
        return names[0]
    for name in names:
        if is_path(name, "segmenter", SEGMENTERS) or find_stored(find_named(name, "segmenter")) is not None:
            return name
    pulled = next((name for name in names if find_named(name, "segmenter").urls), names[0])
    raise ModelError(
        f"none of the segmenters {', '.join(names)} is on this machine; get one with: sfumato models pull {pulled}"
    )


def check_segmenter(file: ModelFile) -> None:
    """Make sure that an ONNX file maps pictures of any size to the probabilities of nine classes.

    Raises:
        ModelError: it does not; what it does is named.
    """
    shape = inspect_model(file.path, KEY)
    sizes, out = shape.inputs.get("input"), shape.outputs[0]
    if (
        sizes is None
        or len(sizes) != 4
        or sizes[2:] != (None, None)
        or len(out) != 4
        or out[1] != len(CLASSES)
    ):
        raise ModelError(
            f"{file.path} maps {', '.join(shape.inputs)} to no probabilities of nine classes; export it with: sfumato "
            "export segmenter"
        )


def _parts(device: str, *, exact: bool) -> tuple[LightSegmenter, Mapping[str, str]]:
    """Return what names the parts of the face that SAM finds."""
    spec = find_embedded("segmenter")
    return LightSegmenter(make_backend(model_path(spec), device, exact=exact)), {spec.name: str(spec.sha256)}


def _converted(file: ModelFile, name: str, *, exact: bool) -> Opened[Segments]:
    folder = convert_once(file, "segmenter")
    if not (folder / ENCODER).is_file():
        unet = LightSegmenter(OpenVinoBackend(folder / MODEL, exact=exact))
        return Opened(unet, name, file.sha256)
    facts = read_sam_facts(inspect_model(folder / ENCODER, KEY).metadata, str(folder / ENCODER))
    parts, also = _parts("cpu", exact=exact)
    encoder = OpenVinoBackend(folder / ENCODER, exact=exact)
    decoder = OpenVinoBackend(
        folder / DECODER, exact=True
    )  # bfloat16 has no place for coordinates of a pixel
    return Opened(SamSegmenter(encoder, decoder, facts, parts), name, file.sha256, also)


def _by_pytorch(file: ModelFile, name: str, device: str, *, exact: bool) -> Opened[Segments]:
    from sfumato.nets.recognise import recognise
    from sfumato.nets.sam import SamDecoder, SamEncoder, facts_of, read_sam

    if not recognise(file.path).network.startswith("SAM"):
        return Opened(LightSegmenter(_unet(file, device, exact=exact)), name, file.sha256)
    model = cache(lambda: read_sam(file.path))
    encoder = TorchBackend(lambda: SamEncoder(model()), device, exact=exact)
    decoder = TorchBackend(lambda: SamDecoder(model()), device, exact=True)
    parts, also = _parts(device, exact=exact)
    return Opened(SamSegmenter(encoder, decoder, facts_of(model()), parts), name, file.sha256, also)


def _unet(file: ModelFile, device: str, *, exact: bool) -> Backend:
    def build() -> "nn.Module":
        from sfumato.nets.segmenter import WithSoftmax
        from sfumato.nets.segmenters import read_segmenter

        return WithSoftmax(read_segmenter(file.path)).eval()

    return TorchBackend(build, device, exact=exact)
