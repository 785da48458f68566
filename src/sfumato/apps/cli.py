"""Offer the commands of `sfumato` on a terminal: parse, call, print; `settings` checks every choice."""

import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import typer

from sfumato.apps import (  # noqa: F401  # add their commands to evaluate_app, models_app and train_app
    cli_evaluate_pipeline,
    cli_evaluate_restorer,
    cli_evaluate_segmenters,
    cli_models_bundles,
    cli_train_any_style,
    cli_train_sam,
    cli_train_segmenter,
    cli_train_stylizer,
)
from sfumato.apps import cli_options as options
from sfumato.apps.cli_batch import BATCH_HELP, batch
from sfumato.apps.cli_evaluate import evaluate_app
from sfumato.apps.cli_export import export_app
from sfumato.apps.cli_figures import FIGURES_HELP, figures
from sfumato.apps.cli_inputs import STREAM, plan_jobs
from sfumato.apps.cli_models import models_app
from sfumato.apps.cli_pipeline import Build, build_chosen, takes_settings
from sfumato.apps.cli_recipe import choose_signing, plan_sidecars
from sfumato.apps.cli_report import (
    Voice,
    complain,
    print_faces,
    report_waits,
    say_outcome,
    say_summary,
)
from sfumato.apps.cli_rerun import RERUN_HELP, rerun
from sfumato.apps.cli_segment import plan_label_files, write_label_files
from sfumato.apps.cli_serve import SERVE_HELP, serve
from sfumato.apps.cli_streams import explain_os_error, read_source, refuse_terminal, silence_output
from sfumato.apps.cli_stylize import (
    Outcome,
    Writing,
    choose_exit_code,
    describe_outcomes,
    paint_jobs,
    prepare_folders,
)
from sfumato.apps.cli_train import train_app
from sfumato.apps.cli_video import VIDEO_HELP, video
from sfumato.errors import OutputError, SettingsError, SfumatoError
from sfumato.labels import measure_classes
from sfumato.settings import Settings

INTERRUPTED = 130

app = typer.Typer(
    name="sfumato",
    help=options.HELP,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(models_app, name="models")
app.add_typer(train_app, name="train")
app.add_typer(evaluate_app, name="evaluate")
app.add_typer(export_app, name="export")
app.command("figures", help=FIGURES_HELP)(figures)
app.command("batch", help=BATCH_HELP)(batch)
app.command("rerun", help=RERUN_HELP)(rerun)
app.command("serve", help=SERVE_HELP)(serve)
app.command("video", help=VIDEO_HELP)(video)


def main() -> None:
    """Run the command line of this process and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a text file of its own here
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # what a decoder thinks of odd metadata is no business of the user's
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str], build: Build | None = None) -> int:
    """Run one command and return its exit code; every refusal is one line on standard error.

    Args:
        build: makes the pipeline of the settings, by default from the embedded networks.
    """
    try:
        code = int(app(args=list(arguments), prog_name="sfumato", standalone_mode=False, obj=build) or 0)
        sys.stdout.flush()
    except SfumatoError as error:
        complain(str(error))
        return error.exit_code
    except typer.TyperException as error:
        complain(f"{error.format_message()} See: sfumato --help")
        return error.exit_code
    except OSError as error:
        silence_output()
        if isinstance(error, BrokenPipeError):
            return SfumatoError.exit_code
        complain(explain_os_error(error))
        return OutputError.exit_code
    if code == INTERRUPTED:
        complain("interrupted; finished pictures are whole, nothing else was written")
    return code


@app.callback(invoke_without_command=True)
def start(context: typer.Context, version_wanted: options.VersionOption = False) -> None:
    """Print the version or, without a command, the help."""
    if version_wanted:
        print(f"sfumato {version('sfumato')}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


@app.command(help=options.STYLIZE_HELP)
@takes_settings()
def stylize(
    context: typer.Context,
    inputs: options.Inputs,
    *,
    output: options.OutputOption = None,
    settings: Settings,
    mask: options.MaskOption = None,
    save_layers: options.LayersOption = None,
    metadata: options.MetadataOption = "keep",
    recipe: options.RecipeOption = None,
    sign_cert: options.SignCertOption = None,
    sign_key: options.SignKeyOption = None,
    overwrite: options.OverwriteOption = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> int:
    """Paint pictures and keep the faces."""
    from sfumato.recipe import choose_place

    jobs = plan_jobs(inputs, output, layers=save_layers, overwrite=overwrite)
    place = choose_place(recipe, metadata)
    if place == "sidecar":
        plan_sidecars((job.target for job in jobs), overwrite=overwrite)
    voice = _voice(jobs[0].target, as_json=as_json, quiet=quiet)
    signing = choose_signing(sign_cert, sign_key)
    pipeline = build_chosen(context, settings, quiet=quiet)
    prepare_folders(jobs)
    writing = Writing(mask, overwrite, metadata, place, signing)
    with report_waits(quiet=quiet), voice.progress(len(jobs)) as advance:

        def report(outcome: Outcome) -> None:
            say_outcome(voice, outcome)
            advance()

        outcomes = paint_jobs(pipeline, jobs, writing, report)
    say_summary(voice, outcomes)
    voice.tell(describe_outcomes(outcomes))
    return choose_exit_code(outcomes)


@app.command(help=options.DETECT_HELP)
@takes_settings("detector", "device", "exact")
def detect(
    context: typer.Context,
    source: options.Input,
    *,
    settings: Settings,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Find the faces of a picture."""
    from sfumato.io import picture_from
    from sfumato.result import describe_face

    pipeline = build_chosen(context, settings)
    picture = picture_from(read_source(source))
    faces = pipeline.detect(picture)
    voice = Voice(json=as_json, quiet=quiet)
    if voice.speaks:
        print_faces(faces)
    height, width = picture.image.shape[:2]
    shown = [describe_face(face) for face in faces]
    voice.tell({"input": str(source), "size": [width, height], "faces": shown})


@app.command(help=options.SEGMENT_HELP)
@takes_settings("segmenter", "detector", "device", "exact")
def segment(
    context: typer.Context,
    source: options.Input,
    *,
    output: options.LabelsOption = None,
    overlay: options.OverlayOption = None,
    settings: Settings,
    overwrite: options.OverwriteOption = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Write the class of every pixel."""
    from sfumato.io import picture_from

    files = plan_label_files(source, output, overlay, overwrite=overwrite)
    voice = _voice(files.labels, as_json=as_json, quiet=quiet)
    pipeline = build_chosen(context, settings, quiet=quiet)
    picture = picture_from(read_source(source))
    labels = pipeline.segment(picture)
    write_label_files(files, picture, labels)
    voice.say(f"{source} -> {files.labels}" + (f", {overlay}" if overlay else ""))
    height, width = labels.shape
    written = {"output": str(files.labels), "overlay": str(overlay) if overlay else None}
    voice.tell({"input": str(source), **written, "size": [width, height], "classes": measure_classes(labels)})


def _voice(target: Path, *, as_json: bool, quiet: bool) -> Voice:
    """Return the voice for a run that writes `target`, which may be standard output itself."""
    refuse_terminal(target)
    if target == STREAM and as_json:
        raise SettingsError("--json and a picture cannot share standard output; use -o FILE")
    return Voice(json=as_json, quiet=quiet, aside=target == STREAM)
