"""Offer the comparison of face restorers on a terminal; it computes nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

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
from sfumato.apps.cli_train_options import folder_option

NAME = "restorer"


@evaluate_app.command(
    "restorer",
    help=describe(
        "Compare face restorers, and doing nothing, on aligned faces that are damaged by known amounts: PSNR, SSIM, "
        "perceptual distance, identity and seconds, with confidence intervals and paired tests. Restorers that are not "
        "on this machine are named.",
        "sfumato evaluate restorer --images faces",
        "sfumato evaluate restorer --images faces --restorers light,gfpgan-1.4,mine.pth --limit 40 --out report/",
        "sfumato evaluate restorer --images faces --recognition mobilefacenet.ckpt --vgg vgg19.pth --json",
    ),
)
def evaluate_restorer(
    images: Annotated[Path, folder_option("--images", "Faces, aligned as in FFHQ, at 512x512.")],
    restorers: Annotated[
        str,
        typer.Option("--restorers", help="Names or files of restorers, by comma, as --restorer takes them."),
    ] = "light,gfpgan-1.4",
    recognition: Recognition = None,
    vgg: VggToo = None,
    limit: Limit = None,
    out: ReportFolder = None,
    seed: SeedOption = 0,
    device: DeviceOption = None,
    exact: ExactOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare restorers."""
    with needing_pytorch():
        from sfumato.backends import check_device
        from sfumato.evaluation.judges import judge_by_pipeline, open_mobile_face_net
        from sfumato.evaluation.restoration import LEVELS
        from sfumato.evaluation.restoration_report import report_restorers, show_extremes
        from sfumato.evaluation.restorer_comparison import (
            FaceFolder,
            choose_measures,
            compare_restorers,
            open_restorers,
        )
        from sfumato.faces import open_recogniser
    make_room(out, NAME, overwrite=overwrite)
    settings = choose_settings({"device": device, "exact": exact})
    where = check_device(settings.device)
    faces = FaceFolder(images, limit).read()
    names = [name.strip() for name in restorers.split(",") if name.strip()]
    with report_waits(quiet=quiet):
        rivals, missing = open_restorers(names, where, exact=settings.exact)
    warn_missing(missing)
    judge = (
        open_mobile_face_net(recognition)
        if recognition
        else judge_by_pipeline("light", open_recogniser("light", where, exact=settings.exact).stage)
    )
    measures = choose_measures(judge, vgg)
    voice = Voice(json=as_json, quiet=quiet)
    with voice.progress(len(faces) * len(LEVELS), "measuring") as advance:
        found = compare_restorers(rivals, faces, measures, seed=seed, advance=advance)
    found = replace(found, missing=missing)
    shown = show_extremes(found, rivals, faces) if out else []
    report = report_restorers(found, rivals, judge, images.name, shown)
    deliver(report, voice, out, NAME, overwrite=overwrite)
