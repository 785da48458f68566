"""Refuse, print and write the report of an evaluation; nothing is measured here."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from sfumato.apps.cli_options import FILES
from sfumato.apps.cli_report import Voice, complain, print_table
from sfumato.apps.cli_train_options import file_option
from sfumato.io import refuse_existing

if TYPE_CHECKING:
    from sfumato.evaluation.report import Report

KINDS = ("json", "csv", "html")

ReportFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="Folder for the report as .json, .csv and .html, pictures included.",
        file_okay=False,
        rich_help_panel=FILES,
    ),
]
Recognition: TypeAlias = Annotated[
    Path | None,
    file_option(
        "--recognition", "Weights of MobileFaceNet, which judges likeness; else the embedded one does."
    ),
]
VggToo: TypeAlias = Annotated[
    Path | None, file_option("--vgg", "Weights of VGG19 to relu3_1, to measure on its features as well.")
]
Limit: TypeAlias = Annotated[
    int | None, typer.Option("--limit", min=1, help="Measure on so many pictures, spread over all.")
]
SeedOption: TypeAlias = Annotated[int, typer.Option("--seed", min=0, help="Of noise, intervals and tests.")]


def make_room(out: Path | None, name: str, *, overwrite: bool) -> None:
    """Fail before anything is measured that could not be written, and make the folder.

    Raises:
        OutputExistsError: a file of the report exists and `overwrite` is false.
    """
    if out is not None:
        for kind in KINDS:
            refuse_existing(out / f"{name}.{kind}", overwrite=overwrite)
        out.mkdir(parents=True, exist_ok=True)


def warn_missing(missing: Mapping[str, str]) -> None:
    """Say on standard error what is not measured and why, before the rest is."""
    for name, why in missing.items():
        complain(f"{name} is not measured: {why}")


def deliver(report: "Report", voice: Voice, out: Path | None, name: str, *, overwrite: bool) -> None:
    """Print the tables and the outcome, or JSON, and write the files if a folder was named."""
    if voice.speaks:
        for section in report.sections:
            if section.table is not None:
                print_table(section.title, section.table.columns, section.table.rows)
    for sentence in report.lead:
        voice.say(sentence)
    for missing, why in report.missing.items():
        voice.say(f"not measured: {missing}: {why}")
    if out is not None:
        for path in report.write(out, name, overwrite=overwrite):
            voice.say(str(path))
    voice.tell(report.as_json())
