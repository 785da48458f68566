"""Offer the comparison of segmenters on a terminal; it computes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.apps.cli_evaluate import Data, evaluate_app
from sfumato.apps.cli_evaluate_report import (
    Limit,
    ReportFolder,
    SeedOption,
    deliver,
    make_room,
    warn_missing,
)
from sfumato.apps.cli_options import (
    DeviceOption,
    ExactOption,
    JsonOption,
    OverwriteOption,
    QuietOption,
    describe,
)
from sfumato.apps.cli_pipeline import choose_settings
from sfumato.apps.cli_report import Voice, report_waits
from sfumato.apps.cli_train import needing_pytorch
from sfumato.errors import SettingsError

if TYPE_CHECKING:
    from sfumato.resolve import Opened
    from sfumato.types import Detect

NAME = "segmenters"
"""Name of the report's files, before their suffixes."""


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
    data: Data,
    split: Annotated[str, typer.Option("--split", help="Sub-folder of images and of annotations.")] = "val",
    models: Annotated[
        str,
        typer.Option("--models", help="Names or files of segmenters, by comma, as --segmenter takes them."),
    ] = "unet-light,unet-efficientnet-b2,sam-vit-b",
    variants: Annotated[
        str | None, typer.Option("--variants", help="What makes pictures harder, by comma; all by default.")
    ] = None,
    limit: Limit = None,
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
    out: ReportFolder = None,
    seed: SeedOption = 0,
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
        from sfumato.evaluation.segmenter_summary import summarise
        from sfumato.evaluation.selection import choose_segmenter, remember_segmenter
        from sfumato.faces import open_detector
    if select and not cost:
        raise SettingsError("--select needs the time of each model; leave out --no-cost")
    chosen_variants = _choose_variants(variants)
    make_room(out, NAME, overwrite=overwrite)
    settings = choose_settings({"device": device, "exact": exact})
    where = check_device(settings.device)
    detector = open_detector(settings.detector, where, exact=settings.exact)
    portraits = PortraitSet(data, split, limit, mend_sides)
    number = len(portraits.pairs())
    voice = Voice(json=as_json, quiet=quiet)
    with report_waits(quiet=quiet):
        rivals, missing = open_rivals(_listed(models), where, exact=settings.exact)
    costs, unknown = (
        measure_costs(rivals, portraits, detector.stage, where, exact=settings.exact) if cost else ({}, {})
    )
    missing = {**missing, **unknown}
    warn_missing(missing)
    with voice.progress(number, "measuring") as advance:
        comparison = compare_segmenters(
            rivals, portraits, detector.stage, variants=chosen_variants, seed=seed, advance=advance
        )
    conditions = _describe(detector, exact=settings.exact, mend_sides=mend_sides)
    summary = summarise(replace(comparison, missing=missing, costs=costs, conditions=conditions))
    pictures = show_extremes(comparison, portraits, detector.stage) if out else []
    try:
        choice = choose_segmenter(summary, budget / 1000) if select else None
    except SettingsError:  # what took so long to measure is kept all the same
        deliver(report_segmenters(summary, pictures), voice, out, NAME, overwrite=overwrite)
        raise
    report = report_segmenters(summary, pictures, None if choice is None else choice.reason)
    deliver(report, voice, out, NAME, overwrite=overwrite)
    if choice is not None:
        voice.say(f"noted in {remember_segmenter(choice)}: {choice.reason}")


def _describe(detector: "Opened[Detect]", *, exact: bool, mend_sides: bool) -> Mapping[str, str]:
    """Return by what it was measured, apart from the models."""
    return {
        f"detector {detector.name}": detector.sha256,
        "precision": "float32" if exact else "bfloat16 where the processor has it",
        "left and right": "set right" if mend_sides else "as the masks have them",
    }


def _choose_variants(names: str | None) -> Sequence[str]:
    """Return the variants of these names.

    Raises:
        SettingsError: one of them is unknown.
    """
    from sfumato.evaluation.variants import VARIANTS
    from sfumato.settings_parsing import did_you_mean

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
