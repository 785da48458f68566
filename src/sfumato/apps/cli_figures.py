"""Offer the paper's figures of any pictures on a terminal: parse, call, write."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from sfumato.apps import cli_options as options
from sfumato.apps.cli_inputs import expand_inputs, refuse_existing, refuse_replaced_input
from sfumato.apps.cli_pipeline import build_chosen, takes_settings
from sfumato.apps.cli_report import Voice, complain, name_stream, report_waits
from sfumato.apps.cli_streams import read_source
from sfumato.apps.cli_train import needing_pytorch
from sfumato.errors import OutputError, SettingsError, SfumatoError
from sfumato.settings import Settings

if TYPE_CHECKING:
    from sfumato.evaluation.figure_material import Material
    from sfumato.evaluation.figure_style import Format
    from sfumato.evaluation.figures import Drawing

NUMBERS = (1, 2, 3, 4)
LOSS = 2
FORMATS: tuple["Format", ...] = ("png", "pdf")

FIGURES_HELP = options.describe(
    "Draw the paper's figures of any pictures, as PNG and PDF: 1 the work flow, 2 the loss of a training, 3 "
    r"segmentations side by side, 4 results side by side. Needs sfumato\[train].",
    "sfumato figures portrait.jpg -o figures/",
    "sfumato figures photos/ -o figures/ --models light,unet-efficientnet-b2,sam-vit-b --only 3,4",
    "sfumato figures -o figures/ --only 2 --run runs/segmenter",
)

Pictures: TypeAlias = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="INPUT...", help="Pictures, folders, or - for standard input.", show_default=False
    ),
]
OutOption: TypeAlias = Annotated[
    Path,
    typer.Option("--out", "-o", help="Folder of the figures; it is created.", rich_help_panel=options.FILES),
]
RunOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--run",
        help="Folder of a training, whose loss.csv figure 2 shows.",
        rich_help_panel=options.FILES,
        show_default=False,
    ),
]
OnlyOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--only", help="Figures to draw: 1,3.", rich_help_panel=options.FILES, show_default="all of them"
    ),
]
ModelsOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--models",
        help="Segmenters to compare, by comma, each as --segmenter of stylize takes it.",
        rich_help_panel=options.PAINTING,
        show_default="those of the preset or of your defaults",
    ),
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which figures are drawn, and where they go."""

    numbers: tuple[int, ...]
    folder: Path
    overwrite: bool

    def files(self, number: int) -> tuple[Path, ...]:
        """Return the files of a figure."""
        return tuple(self.folder / f"figure-{number}.{format}" for format in FORMATS)


@takes_settings("preset", "style", "restorer", "device", "exact")
def figures(
    context: typer.Context,
    *,
    out: OutOption,
    inputs: Pictures = None,
    models: ModelsOption = None,
    run: RunOption = None,
    only: OnlyOption = None,
    settings: Settings,
    overwrite: options.OverwriteOption = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Draw the paper's figures."""
    wanted = Wanted(choose_numbers(only, run), out, overwrite)
    sources = plan_sources(wanted, inputs or [])
    voice = Voice(json=as_json, quiet=quiet)
    with needing_pytorch():
        from sfumato.evaluation.figure_loss import read_curves
        from sfumato.evaluation.figure_material import gather_material
        from sfumato.evaluation.figures import draw_run
    curves = read_curves(run) if run is not None and LOSS in wanted.numbers else None
    out.mkdir(parents=True, exist_ok=True)
    written: list[Mapping[str, object]] = []
    missing: Mapping[str, SfumatoError] = {}
    drawers: dict[int, Callable[[], Drawing]] = {}
    with report_waits(quiet=quiet):
        if sources:
            names = [name.strip() for name in (models or settings.segmenter).split(",")]
            build = partial(build_chosen, context, quiet=True)
            material = gather_material(read_sources(sources), names, settings, build)
            missing = material.missing
            drawers = draw_from(material)
        for name, error in missing.items():
            complain(f"{name} is not shown: {error}")
        if curves is not None and run is not None:
            drawers[LOSS] = partial(draw_run, curves, run.resolve().name)
        for number in wanted.numbers:
            written.append(write_figure(number, drawers[number](), wanted))
            voice.say(f"figure {number} -> {', '.join(map(str, wanted.files(number)))}")
    left_out = {} if only is not None or run is not None else {LOSS: "no run was named; use --run DIR"}
    for number, why in left_out.items():
        voice.say(f"figure {number} is left out: {why}")
    voice.tell(
        {
            "figures": written,
            "missing": [{"model": name, "error": str(error)} for name, error in missing.items()],
            "left_out": [{"figure": number, "why": why} for number, why in left_out.items()],
        }
    )


def choose_numbers(only: str | None, run: Path | None) -> tuple[int, ...]:
    """Return the numbers of the figures to draw; without a run figure 2 is none of them unless it was asked for.

    Raises:
        SettingsError: there is no such figure, or figure 2 was asked for without a run.
    """
    if only is None:
        return tuple(number for number in NUMBERS if number != LOSS or run is not None)
    words = [word.strip() for word in only.split(",")]
    known = {str(number): number for number in NUMBERS}
    for word in words:
        if word not in known:
            raise SettingsError(f"--only '{only}': there is no figure '{word}'; use numbers such as 1,3")
    numbers = tuple(sorted({known[word] for word in words}))
    if LOSS in numbers and run is None:
        raise SettingsError("figure 2 shows the loss of a training; name its folder by --run DIR")
    return numbers


def plan_sources(wanted: Wanted, inputs: Sequence[Path]) -> tuple[Path, ...]:
    """Return the pictures that the figures need, after refusing what could not be written.

    Raises:
        SettingsError: pictures are needed and none was named.
        MissingInputError: a folder without pictures.
        OutputError: a figure exists and is not to be overwritten, or would replace an input.
    """
    if wanted.folder.exists() and not wanted.folder.is_dir():
        raise OutputError(f"{wanted.folder} is a file; name a folder by --out")
    files = [file for number in wanted.numbers for file in wanted.files(number)]
    if not wanted.overwrite:
        refuse_existing(files)
    if set(wanted.numbers) <= {LOSS}:
        return ()
    if not inputs:
        raise SettingsError("figures 1, 3 and 4 show pictures; name some, or use --only 2")
    sources = expand_inputs(inputs)
    for source in sources:
        for file in files:
            refuse_replaced_input(source, file)
    return sources


def read_sources(sources: Sequence[Path]) -> list[tuple[str, Path | bytes]]:
    """Return what each picture is called, and its file or what came by standard input."""
    return [(Path(name_stream(source, "input")).name, read_source(source)) for source in sources]


def draw_from(material: "Material") -> "dict[int, Callable[[], Drawing]]":
    """Return what draws each figure that shows pictures."""
    from sfumato.evaluation.figures import draw_method, draw_results, draw_segmentations

    drawers = {1: draw_method, 3: draw_segmentations, 4: draw_results}
    return {number: partial(draw, material) for number, draw in drawers.items()}


def write_figure(number: int, drawing: "Drawing", wanted: Wanted) -> Mapping[str, object]:
    """Write the files of a figure, each whole or not at all, and return what JSON says of it."""
    from sfumato.evaluation.figure_style import render
    from sfumato.io import write_bytes

    for file, format in zip(wanted.files(number), FORMATS, strict=True):
        write_bytes(render(drawing.figure, format), file, overwrite=wanted.overwrite)
    return {
        "figure": number,
        "files": [str(file) for file in wanted.files(number)],
        "panels": list(drawing.panels),
        "caption": drawing.caption,
    }
