"""Say which picture goes where, and refuse before any work is spent; nothing is read or written here."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from os.path import realpath
from pathlib import Path

from sfumato.errors import InputError, MissingInputError, OutputError, OutputExistsError, SettingsError

STREAM = Path("-")
"""Standard input as a source, standard output as a target."""

LAYERS = ("original", "restored", "painted", "mask", "result")
"""Names of the files that --save-layers writes for each picture."""

HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
"""Of files that are read but not written unasked: few programs open them."""

LONGEST_NAME = 255
"""Bytes that common file systems allow for one name."""


@dataclass(frozen=True, slots=True)
class Job:
    """One picture to paint, and where its result and its layers go."""

    source: Path
    target: Path
    layers: Path | None = None

    def layer_path(self, layer: str) -> Path:
        """Return the file of one layer; only for a job whose layers are kept."""
        folder = self.layers or Path()
        stem = "stdin" if self.source == STREAM else self.source.stem
        return folder / fit_name(stem, f".{layer}.png")


def plan_jobs(
    inputs: Sequence[Path], output: Path | None, *, layers: Path | None, overwrite: bool
) -> tuple[Job, ...]:
    """Pair each input with its output: beside the input, or in the folder `output`, or `output` itself.

    Raises:
        SettingsError: standard input among others, or two results under one name.
        MissingInputError: a folder without pictures.
        OutputError: a result would replace an input, or its name is that of no picture format.
        OutputExistsError: a result exists and `overwrite` is false.
    """
    sources = expand_inputs(inputs)
    into_folder = output is not None and _takes_folder(output, inputs)
    if len(sources) > 1 and output == STREAM:
        raise SettingsError(f"{len(sources)} pictures do not fit standard output; use -o FOLDER")
    if into_folder and output is not None and output.is_file():
        raise OutputError(f"{output} is a file, and {len(sources)} pictures need a folder; use another -o")
    jobs = tuple(Job(source, _target(source, output, into_folder=into_folder), layers) for source in sources)
    for job in jobs:
        _refuse_unknown_format(job.target)
    _refuse_collisions(jobs)
    _refuse_replaced_inputs(jobs)
    if not overwrite:
        refuse_existing(chain.from_iterable(written_by(job) for job in jobs))
    return jobs


def expand_inputs(inputs: Sequence[Path]) -> tuple[Path, ...]:
    """Return every picture once: folders become the pictures directly inside them, sorted by name."""
    if STREAM in inputs and len(inputs) > 1:
        raise SettingsError("standard input '-' must be the only input")
    found = chain.from_iterable(list_pictures(path) if _is_folder(path) else [path] for path in inputs)
    return tuple({path.absolute(): path for path in found}.values())


def list_pictures(folder: Path) -> list[Path]:
    """Return the pictures directly in `folder`, without those that sfumato painted before.

    Raises:
        MissingInputError: there is none.
        InputError: the folder may not be read.
    """
    from sfumato.io import PICTURE_SUFFIXES

    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    except OSError as error:
        raise InputError(f"cannot list {folder}; check its permissions") from error
    pictures = [path for path in files if path.is_file() and not path.stem.endswith(".painted")]
    if not pictures:
        raise MissingInputError(f"{folder} holds no pictures; name another folder or a file")
    return pictures


def default_target(source: Path, ending: str) -> Path:
    """Return the file beside `source` whose name ends in `ending`; standard input goes to standard output."""
    return STREAM if source == STREAM else source.with_name(fit_name(source.stem, ending))


def picture_suffix(source: Path) -> str:
    """Return the suffix for the result of `source`: its own where it can be written, else .jpg or .png."""
    from sfumato.io import PICTURE_SUFFIXES

    suffix = source.suffix
    if suffix.lower() in HEIF_SUFFIXES:
        return ".jpg"
    return suffix if suffix.lower() in PICTURE_SUFFIXES else ".png"


def fit_name(stem: str, ending: str) -> str:
    """Return `stem` + `ending`, with the stem cut to what file systems allow.

    >>> fit_name("portrait", ".painted.jpg")
    'portrait.painted.jpg'
    """
    room = LONGEST_NAME - len(os.fsencode(ending))
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return stem + ending


def refuse_existing(paths: Iterable[Path]) -> None:
    """Raise if one of the files exists.

    Raises:
        OutputExistsError: names the first and counts the rest.
    """
    existing = [path for path in paths if path != STREAM and os.path.lexists(path)]
    if existing:
        more = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        raise OutputExistsError(f"{existing[0]}{more} exists; use --overwrite or another -o")


def refuse_replaced_input(source: Path, target: Path) -> None:
    """Raise if the result would take the place of the picture that it is made from.

    Raises:
        OutputError: both are one file; --overwrite does not allow it.
    """
    if STREAM not in (source, target) and realpath(source) == realpath(target):
        raise OutputError(f"{target} is the input itself and is never replaced; use another -o")


def _is_folder(path: Path) -> bool:
    """Return whether this is a folder; a name that no system could hold is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _takes_folder(output: Path, inputs: Sequence[Path]) -> bool:
    several = len(inputs) > 1 or any(_is_folder(path) for path in inputs)
    return output != STREAM and (several or _is_folder(output))


def _target(source: Path, output: Path | None, *, into_folder: bool) -> Path:
    if output is None:
        return default_target(source, f".painted{picture_suffix(source)}")
    if not into_folder:
        return output
    name = "stdin" if source == STREAM else source.stem
    return output / fit_name(name, picture_suffix(source))


def _refuse_unknown_format(target: Path) -> None:
    from sfumato.io import format_of

    if target != STREAM:
        format_of(target)


def _refuse_collisions(jobs: Sequence[Job]) -> None:
    written = Counter(path for job in jobs for path in written_by(job) if path != STREAM)
    for path, count in written.items():
        if count > 1:
            sources = " and ".join(str(job.source) for job in jobs if path in written_by(job))
            raise SettingsError(f"{sources} would both be written to {path}; paint them in separate runs")


def _refuse_replaced_inputs(jobs: Sequence[Job]) -> None:
    inputs = {realpath(job.source): job.source for job in jobs if job.source != STREAM}
    for path in chain.from_iterable(written_by(job) for job in jobs):
        refuse_replaced_input(inputs.get(realpath(path), STREAM), path)


def written_by(job: Job) -> tuple[Path, ...]:
    """Return the files of a job: its result, which may be standard output, and its layers."""
    layers = tuple(job.layer_path(name) for name in LAYERS) if job.layers else ()
    return (job.target, *layers)
