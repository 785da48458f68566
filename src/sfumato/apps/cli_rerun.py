"""Paint a picture again as its recipe says, and compare them; neither the photo nor the painting is ever replaced."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import numpy as np
import typer

from sfumato.apps import cli_options as options
from sfumato.apps.cli_inputs import STREAM, fit_name, refuse_existing, refuse_replaced_input
from sfumato.apps.cli_pipeline import build_chosen
from sfumato.apps.cli_recipe import plan_sidecars
from sfumato.apps.cli_report import Voice, complain, name_stream
from sfumato.apps.cli_streams import refuse_terminal, write_stream
from sfumato.errors import SettingsError

if TYPE_CHECKING:
    from sfumato.apps.cli_rerun_files import Painting
    from sfumato.pipeline import Pipeline
    from sfumato.recipe import Part, Recipe

RERUN_HELP = options.describe(
    "Paint a picture again as its recipe says: the same photo, settings and models. Without -o, painting.jpg becomes "
    "painting.again.jpg beside it; --check compares and writes nothing.",
    "sfumato rerun painting.jpg",
    "sfumato rerun painting.jpg --source photos/ --check",
    "sfumato rerun painting.jpg.json --source portrait.jpg -o again.jpg",
)

DIFFERENT = 1
"""Exit code where --check finds another picture."""

FileArgument: TypeAlias = Annotated[
    Path, typer.Argument(metavar="FILE", help="A painting with a recipe in it or beside it, or a recipe.")
]
SourceOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--source", help="The photo, or a folder above it.", show_default="of its name, beside the painting"
    ),
]
OutputOption: TypeAlias = Annotated[
    Path | None, typer.Option("--output", "-o", help="A file, or - for standard output.", show_default=False)
]
CheckOption: TypeAlias = Annotated[
    bool, typer.Option("--check", help="Compare with the painting; exit code 1 where they differ.")
]
MaskOption: TypeAlias = Annotated[
    Path | None, typer.Option("--mask", help="The mask, if there was one.", show_default=False)
]
TouchesOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--touches", help="The strokes of a hand, if there were any.", show_default=False),
]
PaletteOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--palette", help="The painting whose colours were taken, if there was one.", show_default=False
    ),
]


@dataclass(frozen=True, slots=True)
class Difference:
    """How two paintings differ.

    Attributes:
        same: not in a byte.
        pixels, of: how many pixels differ, and how many there are; all where their sizes are not the same.
        largest: greatest difference of a channel, in levels of 255.
        because: what may be the reason.
    """

    same: bool
    pixels: int = 0
    of: int = 0
    largest: int = 0
    because: Sequence[str] = ()

    def describe(self) -> str:
        """Return the difference in words.

        >>> Difference(False, 28, 151200, 1, ("it was painted on arm64, this is x86_64 avx2",)).describe()
        '28 of 151200 pixels differ, by at most 1 of 255 levels; it was painted on arm64, this is x86_64 avx2'
        """
        if self.same:
            return "the same, byte for byte"
        if not self.pixels:
            return "; ".join(["every pixel is the same, but not every byte", *self.because])
        counted = f"{self.pixels} of {self.of} pixels differ, by at most {self.largest} of 255 levels"
        return "; ".join([counted, *self.because])


def rerun(
    context: typer.Context,
    file: FileArgument,
    source: SourceOption = None,
    output: OutputOption = None,
    check: CheckOption = False,
    mask: MaskOption = None,
    touches: TouchesOption = None,
    palette: PaletteOption = None,
    overwrite: options.OverwriteOption = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> int:
    """Paint a picture again as its recipe says."""
    from sfumato.apps.cli_rerun_files import (
        check_models,
        find_parts,
        find_settings,
        find_source,
        open_painting,
    )

    painting = open_painting(file)
    if check and painting.data is None:
        raise SettingsError(f"--check needs the painting, and there is no {painting.path}; leave it out")
    photo = find_source(painting, source)
    folders = (painting.path.parent, photo.parent, Path())
    parts = find_parts(painting, {"mask": mask, "touches": touches, "palette": palette}, folders)
    target = plan_target(painting, photo, output, check=check, overwrite=overwrite)
    voice = choose_voice(target, as_json=as_json, quiet=quiet)
    pipeline = build_chosen(context, find_settings(painting.recipe, folders), quiet=quiet)
    check_models(painting.recipe, pipeline.models)
    tell_version(painting, quiet=quiet)
    encoded, recipe = paint_again(pipeline, painting.recipe, photo, parts)
    if target is not None:
        write_again(encoded, recipe, target, overwrite=overwrite)
        voice.say(f"{photo} -> {name_stream(target, 'output')} (as {file})")
    difference = compare(painting, encoded, recipe) if check else None
    if difference is not None:
        voice.say(f"{painting.path}: {difference.describe()}")
    voice.tell(describe(file, photo, target, difference))
    return 0 if difference is None or is_repeated(painting, difference) else DIFFERENT


def plan_target(
    painting: "Painting", photo: Path, output: Path | None, *, check: bool, overwrite: bool
) -> Path | None:
    """Return where the picture is written; None where it is only compared.

    Raises:
        SettingsError: the name is that of another format than the recipe's.
        OutputError: it would replace the photo or the painting.
        OutputExistsError: it exists and `overwrite` is false.
    """
    from sfumato.io import format_of

    if output is None and check:
        return None
    path = painting.path
    target = output or path.with_name(fit_name(path.stem, f".again{path.suffix}"))
    wanted = painting.recipe.writing
    if target != STREAM and format_of(target) != wanted.format:
        raise SettingsError(
            f"the recipe writes {wanted.format}, which {target} does not name; use another -o"
        )
    for held in (photo, *([path] if painting.data is not None else [])):
        refuse_replaced_input(held, target)
    if not overwrite:
        refuse_existing([target])
    if wanted.recipe == "sidecar" and target != STREAM:
        plan_sidecars([target], overwrite=overwrite)
    return target


def choose_voice(target: Path | None, *, as_json: bool, quiet: bool) -> Voice:
    """Return the voice for a run that writes a picture, which may go to standard output."""
    if target is None:
        return Voice(json=as_json, quiet=quiet)
    refuse_terminal(target)
    if target == STREAM and as_json:
        raise SettingsError("--json and a picture cannot share standard output; use -o FILE")
    return Voice(json=as_json, quiet=quiet, aside=target == STREAM)


def tell_version(painting: "Painting", *, quiet: bool) -> None:
    """Say that another version painted the picture."""
    from importlib.metadata import version

    if painting.recipe.version != version("sfumato") and not quiet:
        complain(
            f"{painting.path} was painted by sfumato {painting.recipe.version}, this is {version('sfumato')}; "
            "the result may differ"
        )


def paint_again(
    pipeline: "Pipeline", recipe: "Recipe", photo: Path, parts: "Mapping[Part, Path]"
) -> "tuple[bytes, Recipe]":
    """Return the encoded picture, and its recipe: the same but for what this machine adds."""
    from sfumato.io import Limits, read_picture
    from sfumato.jobs.painting import paint, reduce_picture
    from sfumato.recipe import make_recipe
    from sfumato.recipe_embedding import encode_painting

    picture = read_picture(photo)
    height, width = picture.image.shape[:2]
    files = {str(part): path for part, path in parts.items()}
    result = paint(reduce_picture(picture, recipe.side), files.get, pipeline, Limits())
    now = make_recipe(pipeline.settings, result.models, recipe.source, (width, height), recipe.writing)
    now = replace(now, settings=recipe.settings, side=recipe.side, parts=recipe.parts)
    return encode_painting(result.picture, now), now


def write_again(encoded: bytes, recipe: "Recipe", target: Path, *, overwrite: bool) -> None:
    """Write the picture, and its recipe beside it where it was beside."""
    from sfumato.io import write_bytes
    from sfumato.recipe import sidecar_bytes, sidecar_of

    if target == STREAM:
        write_stream(encoded)
        return
    if recipe.writing.recipe == "sidecar":
        write_bytes(sidecar_bytes(recipe), sidecar_of(target), overwrite=overwrite)
    write_bytes(encoded, target, overwrite=overwrite)


def compare(painting: "Painting", encoded: bytes, recipe: "Recipe") -> Difference:
    """Return how the painting and the new picture differ."""
    from sfumato.io import read_picture

    held = painting.data or b""
    if held == encoded:
        return Difference(True)
    first, second = read_picture(held, name=str(painting.path)), read_picture(encoded)
    because = tuple(reasons(painting, recipe))
    of = first.image[..., 0].size
    if first.image.shape != second.image.shape or (first.alpha is None) != (second.alpha is None):
        return Difference(False, of, of, 255, because)
    pairs = [(first.image, second.image)]
    if first.alpha is not None and second.alpha is not None:
        pairs.append((first.alpha[..., None], second.alpha[..., None]))
    steps = np.concatenate([np.abs(a.astype(np.int16) - b) for a, b in pairs], axis=2).max(axis=2)
    return Difference(False, int(np.count_nonzero(steps)), of, int(steps.max()), because)


def reasons(painting: "Painting", now: "Recipe") -> list[str]:
    """Return what may make the painting another one."""
    from sfumato.recipe_embedding import has_credentials

    then = painting.recipe
    found = []
    if then.processor != now.processor:
        found.append(f"it was painted on {then.processor}, this is {now.processor}")
    if then.version != now.version:
        found.append(f"it was painted by sfumato {then.version}, this is {now.version}")
    names = sorted(name for name in then.libraries.keys() | now.libraries.keys())
    changed = [name for name in names if then.libraries.get(name) != now.libraries.get(name)]
    found += [f"{name} was {then.libraries.get(name)} and is {now.libraries.get(name)}" for name in changed]
    if has_credentials(painting.data or b""):
        found.append("it is signed, and no signature is made twice")
    return found or [
        "the recipe does not tell why: the file was changed since, or the machine computes otherwise"
    ]


def is_repeated(painting: "Painting", difference: Difference) -> bool:
    """Tell whether a painting came out again: byte for byte or, where it is signed, pixel for pixel."""
    from sfumato.recipe_embedding import has_credentials

    return difference.same or (not difference.pixels and has_credentials(painting.data or b""))


def describe(
    file: Path, photo: Path, target: Path | None, difference: Difference | None
) -> Mapping[str, object]:
    """Return the run as JSON values."""
    told: dict[str, object] = {"file": str(file), "source": str(photo)}
    told["output"] = None if target is None else str(target)
    if difference is not None:
        counted = {"pixels": difference.pixels, "of": difference.of, "largest": difference.largest}
        told["check"] = {"same": difference.same, **counted, "because": list(difference.because)}
    return told
