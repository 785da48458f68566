"""Offer the comparison of segmenters on a terminal; it computes nothing."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.apps.cli_evaluate import Data, evaluate_app
from sfumato.apps.cli_options import (
    DeviceOption,
    ExactOption,
    JsonOption,
    OverwriteOption,
    QuietOption,
    describe,
)
from sfumato.apps.cli_pipeline import build_chosen, choose_settings
from sfumato.apps.cli_report import Voice, complain, print_table, report_waits
from sfumato.apps.cli_train import needing_pytorch
from sfumato.errors import SettingsError
from sfumato.io import refuse_existing

if TYPE_CHECKING:
    from sfumato.evaluation.report import Report

NAME = "segmenters"
"""Name of the report's files, before their suffixes."""

KINDS = ("json", "csv", "html")


@evaluate_app.command(
    "segmenters",
    help=describe(
        "Compare segmenters on labelled portraits, plain and made harder: overlap, borders, cost and groups, with "
        "confidence intervals and paired tests. Models that are not on this machine are named.",
        "sfumato evaluate segmenters --data easyportrait",
        "sfumato evaluate segmenters --data easyportrait --split test --models light,sam-vit-b,mine.onnx --out report/",
        "sfumato evaluate segmenters --data easyportrait --select --budget 500",
    ),
)
def evaluate_segmenters(
    context: typer.Context,
    data: Data,
    split: Annotated[str, typer.Option("--split", help="Sub-folder of images and of annotations.")] = "val",
    models: Annotated[
        str,
        typer.Option("--models", help="Names or files of segmenters, by comma, as --segmenter takes them."),
    ] = "unet-light,unet-efficientnet-b2,sam-vit-b",
    variants: Annotated[
        str | None, typer.Option("--variants", help="What makes pictures harder, by comma; all by default.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Measure on so many pictures, spread over all.")
    ] = None,
    mend_sides: Annotated[
        bool, typer.Option("--mend-sides", help="Swap left and right in masks that have them swapped.")
    ] = False,
    cost: Annotated[
        bool, typer.Option("--cost/--no-cost", help="Measure time and memory, each model in its own process.")
    ] = True,
    select: Annotated[
        bool, typer.Option("--select", help="Note the best one as what --segmenter auto means from now on.")
    ] = False,
    budget: Annotated[
        float, typer.Option("--budget", min=1, help="Milliseconds a picture that --select allows.")
    ] = 1000.0,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for segmenters.json, .csv and .html, pictures included."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of variants, intervals and tests.")] = 0,
    device: DeviceOption = None,
    exact: ExactOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare segmenters, faces found by the detector."""
    with needing_pytorch():
        from sfumato.backends import check_device
        from sfumato.evaluation.segmenter_comparison import (
            PortraitSet,
            compare_segmenters,
            measure_costs,
            open_rivals,
        )
        from sfumato.evaluation.segmenter_report import report_segmenters, show_extremes
        from sfumato.evaluation.selection import choose_segmenter, remember_segmenter
    if select and not cost:
        raise SettingsError("--select needs the time of each model; leave out --no-cost")
    _refuse_existing(out, overwrite=overwrite)
    chosen_variants = _choose_variants(variants)
    settings = choose_settings({"device": device, "exact": exact})
    where = check_device(settings.device)
    pipeline = build_chosen(context, settings)
    portraits = PortraitSet(data, split, limit, mend_sides)
    number = len(portraits.pairs())
    voice = Voice(json=as_json, quiet=quiet)
    with report_waits(quiet=quiet):
        rivals, missing = open_rivals(_listed(models), where, exact=settings.exact)
    for name, why in missing.items():
        complain(f"{name} is not measured: {why}")
    with voice.progress(number, "measuring") as advance:
        comparison = compare_segmenters(
            rivals, portraits, pipeline.detect_faces, variants=chosen_variants, seed=seed, advance=advance
        )
    costs = measure_costs(rivals, portraits, pipeline.detect_faces, where) if cost else {}
    comparison = replace(comparison, missing=missing, costs=costs)
    choice = choose_segmenter(comparison, budget / 1000) if select else None
    pictures = show_extremes(comparison, portraits, pipeline.detect_faces) if out else []
    report = report_segmenters(comparison, pictures, None if choice is None else choice.reason)
    _show(voice, report)
    if choice is not None:
        voice.say(f"chosen: {choice.reason}; noted in {remember_segmenter(choice)}")
    if out is not None:
        for path in report.write(out, NAME, overwrite=overwrite):
            voice.say(str(path))
    voice.tell(report.as_json())


def _show(voice: Voice, report: "Report") -> None:
    """Print the tables of a report and its outcome."""
    if not voice.speaks:
        return
    for section in report.sections:
        if section.table is not None:
            print_table(section.title, section.table.columns, section.table.rows)
    for sentence in report.lead:
        voice.say(sentence)


def _choose_variants(names: str | None) -> Sequence[str]:
    """Return the variants of these names.

    Raises:
        SettingsError: one of them is unknown.
    """
    from sfumato.evaluation.variants import VARIANTS
    from sfumato.settings import did_you_mean

    if names is None:
        return tuple(VARIANTS)
    for name in _listed(names):
        if name not in VARIANTS:
            raise SettingsError(
                f"unknown variant '{name}'{did_you_mean(name, VARIANTS)}; use {', '.join(VARIANTS)}"
            )
    return _listed(names)


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _refuse_existing(out: Path | None, *, overwrite: bool) -> None:
    """Fail before anything is measured that could not be written."""
    if out is not None:
        for kind in KINDS:
            refuse_existing(out / f"{NAME}.{kind}", overwrite=overwrite)
