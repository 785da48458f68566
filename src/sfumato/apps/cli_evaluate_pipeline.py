"""Offer the ablation of the pipeline on a terminal; it computes nothing."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.apps.cli_evaluate import evaluate_app
from sfumato.apps.cli_evaluate_report import (
    Limit,
    Recognition,
    ReportFolder,
    SeedOption,
    VggToo,
    deliver,
    make_room,
    warn_missing,
)
from sfumato.apps.cli_options import (
    JsonOption,
    OverwriteOption,
    QuietOption,
    describe,
)
from sfumato.apps.cli_pipeline import build_chosen, takes_settings
from sfumato.apps.cli_report import Voice, report_waits
from sfumato.apps.cli_train import needing_pytorch
from sfumato.apps.cli_train_options import folder_option
from sfumato.errors import BackendMissingError, ModelError, SettingsError
from sfumato.settings import Settings

if TYPE_CHECKING:
    from sfumato.resolve import Opened
    from sfumato.segmenters import Segments

NAME = "pipeline"


@evaluate_app.command(
    "pipeline",
    help=describe(
        "Compare the paper's steps from photo to painting on every picture below a folder: painted whole, restored, "
        "cut out by Segment Anything, cut out by the U-Net, and melted as sfumato does. Likeness, seam, structure, "
        "nearness to paintings and seconds, with confidence intervals and paired tests.",
        "sfumato evaluate pipeline --images eval",
        "sfumato evaluate pipeline --images eval --paintings monet --recognition mobilefacenet.ckpt --out report/",
        "sfumato evaluate pipeline --images eval --sam sam_vit_b_01ec64.pth --preset paper --limit 20 --json",
    ),
)
@takes_settings("preset", "style", "restorer", "segmenter", "device", "exact")
def evaluate_pipeline(
    context: typer.Context,
    *,
    images: Annotated[
        Path, folder_option("--images", "Photos with faces, at any depth; sub-folders are groups.")
    ],
    paintings: Annotated[
        Path | None, folder_option("--paintings", "Paintings that results are to come near to.")
    ] = None,
    sam: Annotated[
        str, typer.Option("--sam", help="Segment Anything, by name or file, as --segmenter takes it.")
    ] = "sam-vit-b",
    recognition: Recognition = None,
    vgg: VggToo = None,
    limit: Limit = None,
    out: ReportFolder = None,
    seed: SeedOption = 0,
    settings: Settings,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare the steps of the pipeline."""
    with needing_pytorch():
        from sfumato.evaluation.judges import judge_by_pipeline, open_mobile_face_net
        from sfumato.evaluation.pipeline_ablation import PictureFolder, measure_steps
        from sfumato.evaluation.pipeline_report import Conditions, report_pipeline, show_extremes
        from sfumato.evaluation.pipeline_steps import Ablation, ablation_settings
        from sfumato.evaluation.style_fraction import open_style_judges
    if vgg is not None and paintings is None:
        raise SettingsError("--vgg measures nearness to paintings; name a folder of them by --paintings")
    make_room(out, NAME, overwrite=overwrite)
    settings, papers = ablation_settings(settings)
    pictures = PictureFolder(images, limit)
    number = len(pictures.paths())
    ours, paper = (build_chosen(context, each, quiet=quiet) for each in (settings, papers))
    by_sam, missing = _open_sam(sam, settings, quiet=quiet)
    warn_missing(missing)
    judge = (
        open_mobile_face_net(recognition)
        if recognition
        else judge_by_pipeline(settings.recogniser, ours.likeness)
    )
    style_judges = open_style_judges(paintings, vgg) if paintings else ()
    ablation = Ablation(ours, paper, by_sam.stage if by_sam else None)
    voice = Voice(json=as_json, quiet=quiet)
    with voice.progress(number, "measuring") as advance:
        found = measure_steps(ablation, pictures, judge, style_judges, seed=seed, advance=advance)
    found = replace(found, missing=missing)
    shown = show_extremes(found, ablation, pictures, judge.compare) if out else []
    models = {**ours.models, **({by_sam.name: by_sam.sha256} if by_sam else {})}
    facts = {"data": images.name, **_facts(settings, models)}
    conditions = Conditions(facts, judge, paintings.name if paintings else None)
    deliver(report_pipeline(found, conditions, shown), voice, out, NAME, overwrite=overwrite)


def _open_sam(
    sam: str, settings: Settings, *, quiet: bool
) -> tuple["Opened[Segments] | None", Mapping[str, str]]:
    """Return the segmenter, or None and by its step why it is not on this machine."""
    from sfumato.backends import check_device
    from sfumato.evaluation.pipeline_steps import BY_SAM
    from sfumato.segmenters import open_segmenter

    try:
        with report_waits(quiet=quiet):
            return open_segmenter(sam, check_device(settings.device), exact=settings.exact), {}
    except (ModelError, BackendMissingError) as error:
        return None, {BY_SAM: str(error)}


def _facts(settings: Settings, models: Mapping[str, str]) -> Mapping[str, str]:
    """Return by what it was measured."""
    choices = (
        "style",
        "restorer",
        "restore",
        "segmenter",
        "detector",
        "paint",
        "feather",
        "preserve",
        "faces",
    )
    return {
        **{f"--{name}": str(getattr(settings, name)) for name in choices},
        **{f"sha256 of {name}": digest for name, digest in models.items()},
    }
