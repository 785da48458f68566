"""Read the pictures and open the segmenters that figures show; it draws nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from sfumato.backends import check_device
from sfumato.errors import BackendMissingError, MissingInputError, ModelError, SfumatoError
from sfumato.io import picture_from
from sfumato.pipeline import Pipeline, Segment
from sfumato.resolve import Opened, is_path
from sfumato.segmenters import SEGMENTERS, open_segmenter
from sfumato.settings import Settings
from sfumato.training.archives import Entry
from sfumato.training.easyportrait import Pair
from sfumato.types import Face, Image, Labels

Build: TypeAlias = Callable[[Settings], Pipeline]

FAILURES = (ModelError, MissingInputError, BackendMissingError)
"""What keeps one model out of the figures, and not the others."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A picture that figures show.

    Attributes:
        true: the labels that its data set gives, else None.
    """

    name: str
    image: Image
    faces: tuple[Face, ...]
    true: Labels | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A segmenter that figures show.

    Attributes:
        title: of its column.
        name: as the registry has it; of a file, the path as it was given.
    """

    title: str
    name: str
    segment: Segment


@dataclass(frozen=True, slots=True)
class Material:
    """What figures are drawn from.

    Attributes:
        pipeline: of the settings, with the first of the models.
        subjects, models: at least one each.
        missing: why each of the other models could not be opened, by the name that was given.
        build: makes the pipelines of further settings.
    """

    pipeline: Pipeline
    subjects: tuple[Subject, ...]
    models: tuple[Model, ...]
    missing: Mapping[str, SfumatoError]
    build: Build

    @property
    def titles(self) -> tuple[str, ...]:
        """Return the titles of the models' columns."""
        return tuple(model.title for model in self.models)


def gather_material(
    sources: Sequence[tuple[str, Path | bytes]], models: Sequence[str], settings: Settings, build: Build
) -> Material:
    """Read the pictures, find their faces and open the models, each tried on the first picture.

    Args:
        sources: at least one: what a picture is called, and its file or bytes.
        models: at least one, as `open_segmenter` takes them.

    Raises:
        InputError: a picture, or its true mask, cannot be used.
        SettingsError: a model's name is unknown.
        SfumatoError: none of the models can be opened; the first one's error.
    """
    opened, missing = _open_models(models, settings)
    pipeline = build(replace(settings, segmenter=_first(opened, missing)))
    subjects = tuple(read_subject(name, source, pipeline) for name, source in sources)
    for name in tuple(opened):
        try:
            opened[name].stage(subjects[0].image, subjects[0].faces)
        except FAILURES as error:
            missing[name] = error
            del opened[name]
    first = _first(opened, missing)
    chosen = replace(pipeline.settings, segmenter=first)
    pipeline = replace(pipeline, segment_faces=opened[first].stage, settings=chosen)
    return Material(pipeline, subjects, _titled(opened), missing, build)


def _open_models(
    names: Sequence[str], settings: Settings
) -> tuple[dict[str, Opened[Segment]], dict[str, SfumatoError]]:
    opened: dict[str, Opened[Segment]] = {}
    missing: dict[str, SfumatoError] = {}
    device = check_device(settings.device)
    for name in dict.fromkeys(names):
        try:
            found = open_segmenter(name, device, exact=settings.exact)
        except FAILURES as error:
            missing[name] = error
        else:
            opened[name] = Opened(found.stage, found.name, found.sha256)
    return opened, missing


def _first(opened: Mapping[str, object], missing: Mapping[str, SfumatoError]) -> str:
    """Return the first model that was opened, or raise why the first was not."""
    if not opened:
        raise next(iter(missing.values()))
    return next(iter(opened))


def _titled(opened: Mapping[str, Opened[Segment]]) -> tuple[Model, ...]:
    titles = {given: short_title(model.name) for given, model in opened.items()}
    alike = [title for title in titles.values() if list(titles.values()).count(title) > 1]
    return tuple(
        Model(given if titles[given] in alike else titles[given], model.name, model.stage)
        for given, model in opened.items()
    )


def short_title(name: str) -> str:
    """Return what a segmenter's column is called: its name without the task, of a path the last part.

    >>> short_title("segmenter-light"), short_title("sam-vit-b"), short_title("runs/a/unet.onnx")
    ('light', 'sam-vit-b', 'unet')
    """
    if not is_path(name, "segmenter", SEGMENTERS):
        return name.removeprefix("segmenter-")
    path = Path(name)
    return path.stem if path.suffix.lower() in SEGMENTERS else path.name


def read_subject(name: str, source: Path | bytes, pipeline: Pipeline) -> Subject:
    """Return a picture with its faces and, where it lies in a data set of EasyPortrait's layout, its true labels.

    Raises:
        InputError: the picture cannot be read.
        DatasetError: its mask cannot be used.
    """
    image = picture_from(source).image
    pair = find_pair(source) if isinstance(source, Path) else None
    return Subject(name, image, tuple(pipeline.detect_faces(image)), pair.read()[1] if pair else None)


def find_pair(photo: Path) -> Pair | None:
    """Return photo and mask where `images/SPLIT/NAME.jpg` has an `annotations/SPLIT/NAME.png` beside it, else None."""
    folder = photo.absolute().parent
    mask = folder.parent.parent / "annotations" / folder.name / f"{photo.stem}.png"
    if folder.parent.name != "images" or not mask.is_file():
        return None
    return Pair(folder.name, Entry(photo), Entry(mask))
