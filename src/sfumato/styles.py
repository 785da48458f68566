"""Open the style that a name or a file stands for and return the stage that paints in it; it trains nothing."""

from pathlib import Path

from sfumato.backends import ModelShape, OpenVinoBackend, inspect_model, make_backend
from sfumato.conversion import MODEL, convert_once, read_weights
from sfumato.errors import BackendMissingError, ModelError
from sfumato.io import PICTURE_SUFFIXES, read_picture
from sfumato.registry import Task, find_embedded, has_embedded, model_path
from sfumato.resolve import Opened, resolve
from sfumato.settings import cache_folder
from sfumato.shapes import describe_sizes
from sfumato.stages.any_style import describe_manner
from sfumato.stages.palette import InPalette, measure_palette
from sfumato.stages.style_facts import KEY, StyleFacts, read_facts
from sfumato.stages.stylize import make_stylizer
from sfumato.types import Transform

WEIGHTS = (".safetensors", ".pth")
"""Suffixes of weights that are converted once."""

GENERATORS = (".onnx", *WEIGHTS)
"""Suffixes of the files of generators."""

BRUSH = "monet"
"""The style in whose brush a picture's palette is painted, where no network knows its manner."""

ANY_STYLE: tuple[Task, Task] = ("any-style-encoder", "any-style")
"""The networks that describe the manner of a picture and paint in it, by task and by name of their files."""


def open_style(style: str, device: str, *, exact: bool = False) -> Opened[Transform]:
    """Return the style of this name, embedded or of the registry, that of a generator's file, or a picture's manner.

    An ONNX file says how it paints in its metadata, or else in a file NAME.json beside it (see `StyleFacts`). Weights
    are converted once and kept in the user's cache, which needs PyTorch.

    Args:
        style: a name, or a path with a suffix of `GENERATORS` or of a picture.

    Raises:
        SettingsError: no style has this name.
        MissingInputError: there is no such file.
        InputError: the picture cannot be read.
        ModelError: it is not on this machine, is damaged, holds no generator or does not say how it paints.
        BackendMissingError: the device cannot run it, or weights are to be converted and PyTorch is not installed.
    """
    path = Path(style)
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return _manner_of(path, device, exact=exact)
    meant = resolve(style, "stylizer", GENERATORS)
    if meant.spec is not None and meant.spec.embedded:
        backend = make_backend(meant.file.path, device, exact=exact)
        return Opened(make_stylizer(backend, StyleFacts(**meant.spec.paints)), meant.name, meant.file.sha256)
    onnx = meant.file.path.suffix.lower() == ".onnx"
    model = meant.file.path if onnx else convert_once(meant.file, "stylizer") / MODEL
    facts = local_facts(model, meant.file.path)
    backend = make_backend(model, device, exact=exact)
    return Opened(make_stylizer(backend, facts), meant.name, meant.file.sha256)


def _manner_of(path: Path, device: str, *, exact: bool) -> Opened[Transform]:
    """Return the style of a painting: its manner where there are networks for it, else its palette in Monet's brush."""
    digest = read_weights(path, "style").sha256
    image = read_picture(path).image
    files = _any_style_files()
    if files is None:
        brush = open_style(BRUSH, device, exact=exact)
        paint = InPalette(brush.stage, measure_palette(image))
        return Opened(paint, str(path), digest, {brush.name: brush.sha256})
    if device != "cpu":
        raise BackendMissingError(
            f"a style of a picture runs on the CPU only; use --device cpu, not {device}"
        )
    encoder, painter = files
    code = describe_manner(OpenVinoBackend(encoder, exact=True), image)
    text = inspect_model(painter, KEY).metadata
    if text is None:
        raise ModelError(
            f"{painter} does not say how its network paints; train it with: sfumato train any-style"
        )
    backend = OpenVinoBackend(painter, exact=exact, fixed={"code": code})
    return Opened(make_stylizer(backend, read_facts(text, str(painter))), str(path), digest)


def _any_style_files() -> tuple[Path, Path] | None:
    """Return the networks for the manner of any picture: the embedded ones, those that the user trained, or none."""
    if all(has_embedded(task) for task in ANY_STYLE):
        encoder, painter = (model_path(find_embedded(task)) for task in ANY_STYLE)
        return encoder, painter
    folder = cache_folder() / "any-style"
    encoder, painter = (folder / f"{task}.onnx" for task in ANY_STYLE)
    there = [path.is_file() for path in (encoder, painter)]
    if any(there) and not all(there):
        raise ModelError(
            f"{folder} holds one of {encoder.name} and {painter.name}; add the other or remove it"
        )
    return (encoder, painter) if all(there) else None


def local_facts(model: Path, named: Path) -> StyleFacts:
    """Return how the network of an ONNX file paints, as its metadata say or else NAME.json beside the named file.

    Args:
        named: the file that the user named: the same, or weights that were converted.

    Raises:
        ModelError: neither says it, or wrongly, or the network is no generator.
    """
    shape = inspect_model(model, KEY)
    check_generator(shape, named)
    beside = named.with_suffix(".json")
    if shape.metadata is not None and (model == named or not beside.is_file()):
        return read_facts(shape.metadata, str(named))
    if beside.is_file():
        return read_facts(beside.read_bytes(), str(beside))
    raise ModelError(
        f'{named} does not say how its network paints; write {beside} with {{"sees": "picture"}} for one that maps '
        "RGB in 0..1 to RGB in 0..1, or export it with: sfumato export stylizer"
    )


def check_generator(shape: ModelShape, named: Path) -> None:
    """Make sure that a network maps a picture of any size to one.

    Raises:
        ModelError: it does not; what it does is named.
    """
    remedy = "export it with: sfumato export stylizer"
    if list(shape.inputs) != ["input"]:
        raise ModelError(f"{named} takes {', '.join(shape.inputs)} where a generator takes 'input'; {remedy}")
    for name, sizes in (("input", shape.inputs["input"]), ("output", shape.outputs[0])):
        if len(sizes) != 4 or sizes[1] not in (3, None):
            raise ModelError(
                f"{named}: its {name} is no batch of RGB planes but {describe_sizes(sizes)}; {remedy}"
            )
    if shape.inputs["input"][2:] != (None, None):
        raise ModelError(f"{named} takes pictures of {describe_sizes(shape.inputs['input'])} alone; {remedy}")
