"""Open the style that a name or a file stands for and return the stage that paints in it; it trains nothing."""

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from sfumato.backends import make_backend, read_metadata
from sfumato.errors import BackendMissingError, MissingInputError, ModelError, SettingsError
from sfumato.registry import find_style, model_path
from sfumato.settings import cache_folder
from sfumato.stages.style_facts import KEY, StyleFacts, read_facts
from sfumato.stages.stylize import make_stylizer
from sfumato.types import Transform

WEIGHTS = (".safetensors", ".pth")
"""Suffixes of weights that are converted once."""

SUFFIXES = (".onnx", *WEIGHTS)


@dataclass(frozen=True, slots=True)
class Style:
    """A stage that paints, and what it is called.

    Attributes:
        sha256: of the model's file.
    """

    paint: Transform
    name: str
    sha256: str


def open_style(style: str, device: str, *, exact: bool = False) -> Style:
    """Return the style of this name, or that of a file with a suffix of `SUFFIXES`.

    An ONNX file says itself how it paints, in its metadata or in a file NAME.json beside it (see `StyleFacts`). Weights
    are converted once and kept in the user's cache, which needs PyTorch.

    Raises:
        SettingsError: no style has this name.
        MissingInputError: there is no such file.
        ModelError: the file is damaged, holds no generator or does not say how it paints.
        BackendMissingError: weights are to be converted and PyTorch is not installed.
    """
    path = Path(style)
    if path.suffix.lower() not in SUFFIXES:
        if os.sep in style or path.suffix:
            raise SettingsError(f"style '{style}' is no generator; name a file of {', '.join(SUFFIXES)}")
        spec = find_style(style)
        backend = make_backend(model_path(spec), device, exact=exact)
        return Style(make_stylizer(backend, StyleFacts(**spec.paints)), spec.name, spec.sha256)
    if not path.is_file():
        raise MissingInputError(
            f"style {path} does not exist; name a style or a file of {', '.join(SUFFIXES)}"
        )
    digest = sha256(path.read_bytes()).hexdigest()
    model = path if path.suffix.lower() == ".onnx" else converted(path, digest)
    facts = local_facts(model)
    backend = make_backend(model, device, exact=exact)
    return Style(make_stylizer(backend, facts), str(path), digest)


def local_facts(model: Path) -> StyleFacts:
    """Return how the network of an ONNX file paints, as NAME.json beside it says, or else its own metadata.

    Raises:
        ModelError: neither says it, or wrongly.
    """
    beside = model.with_suffix(".json")
    if beside.is_file():
        return read_facts(beside.read_text(encoding="utf-8"), str(beside))
    text = read_metadata(model, KEY)
    if text is None:
        raise ModelError(
            f'{model} does not say how its network paints; write {beside} with {{"sees": "picture"}} for one that maps '
            "RGB in 0..1 to RGB in 0..1, or export it with: sfumato export stylizer"
        )
    return read_facts(text, str(model))


def converted(weights: Path, digest: str) -> Path:
    """Return the ONNX file of weights, from the user's cache or converted now.

    Args:
        digest: sha256 of the file.

    Raises:
        BackendMissingError: PyTorch is not installed.
        ModelError: the file is damaged or holds no generator.
    """
    try:
        from sfumato.export_style import EXPORT, export_style
        from sfumato.nets.generators import read_generator
    except ModuleNotFoundError as error:
        raise BackendMissingError(
            f"{weights} has to be converted once, which needs {error.name}; try: pip install 'sfumato[torch]'"
        ) from error
    target = cache_folder() / "styles" / f"{digest}-{EXPORT}.onnx"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target.parent) as folder:
            fresh = Path(folder, "style.onnx")
            export_style(read_generator(weights), fresh)
            fresh.replace(target)
    return target
