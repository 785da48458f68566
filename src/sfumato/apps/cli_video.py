"""Paint a video: parse, run, report; the work is done in `video`."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from sfumato.apps import cli_options as options
from sfumato.apps.cli_pipeline import PAINTING, build_chosen, takes_settings
from sfumato.apps.cli_report import Voice
from sfumato.errors import SettingsError, StoppedError
from sfumato.settings import Settings

if TYPE_CHECKING:
    from sfumato.video.clip import Window
    from sfumato.video.painting import VideoPainter
    from sfumato.video.run import Order, Plan, Report

VIDEO_HELP = options.describe(
    "Paint a video and keep the faces, steady in time. Sound, subtitles and chapters are copied. A run that was ended "
    "goes on with the same command. Needs PyAV, which the extra named video brings.",
    "sfumato video talk.mp4 talk.painted.mp4",
    "sfumato video talk.mov talk.mkv --preview 5 --start 60",
    "sfumato video talk.mp4 talk.webm --max-side 720 --crf 30",
)

VIDEO = "Video"

OPTIONS = tuple(name for name in PAINTING if name not in {"recogniser", "blend"})
"""Of the painting; likeness is not measured, and what is pasted would tremble."""


def _option(*names: str, text: str, default: str = "") -> typer.models.OptionInfo:
    info: typer.models.OptionInfo = typer.Option(
        *names, help=text, rich_help_panel=VIDEO, show_default=default or False
    )
    return info


SourceArgument: TypeAlias = Annotated[
    Path, typer.Argument(metavar="IN", help="A video: MP4, MOV, MKV, WebM, AVI and the like.")
]
TargetArgument: TypeAlias = Annotated[
    Path, typer.Argument(metavar="OUT", help="The painted video: .mp4, .mkv, .mov or .webm.")
]
PreviewOption: TypeAlias = Annotated[
    float | None, _option("--preview", text="Paint only so many seconds.", default="all")
]
StartOption: TypeAlias = Annotated[float, _option("--start", text="Begin at this second.", default="0")]
CodecOption: TypeAlias = Annotated[
    Literal["h264", "hevc", "av1"] | None,
    _option("--codec", text="What the video is encoded to.", default="h264; av1 for .webm"),
]
CrfOption: TypeAlias = Annotated[
    int | None,
    _option(
        "--crf",
        text="Constant rate factor: less is better and larger.",
        default="18 for h264, 21 for hevc, 25 for av1",
    ),
]
SideOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--max-side", min=16, help="Reduce frames whose longer side has more pixels.", rich_help_panel=VIDEO
    ),
]
SteadyOption: TypeAlias = Annotated[
    bool, typer.Option("--steady/--no-steady", help="Carry paint and masks along.", rich_help_panel=VIDEO)
]
FacesOption: TypeAlias = Annotated[
    Literal["all", "largest"] | None,
    typer.Option("--faces", help="Faces to keep.", rich_help_panel=options.PAINTING, show_default="all"),
]
MetadataOption: TypeAlias = Annotated[
    Literal["keep", "strip"],
    typer.Option(
        "--metadata",
        help="Keep or drop title, date, place and the like.",
        rich_help_panel=options.FILES,
        show_default="keep",
    ),
]


@takes_settings(*OPTIONS, faces=FacesOption)
def video(
    context: typer.Context,
    source: SourceArgument,
    target: TargetArgument,
    *,
    preview: PreviewOption = None,
    start: StartOption = 0.0,
    codec: CodecOption = None,
    crf: CrfOption = None,
    max_side: SideOption = None,
    steady: SteadyOption = True,
    settings: Settings,
    metadata: MetadataOption = "keep",
    overwrite: options.OverwriteOption = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Paint a video."""
    from sfumato.video.requiring import require_pyav

    require_pyav()
    from sfumato.video.painting import VideoPainter
    from sfumato.video.run import Order, plan_video
    from sfumato.video.steadying import FREE, STEADY

    voice = Voice(json=as_json, quiet=quiet)
    painter = VideoPainter(build_chosen(context, settings, quiet=quiet), STEADY if steady else FREE)
    order = Order(
        source=source,
        target=target,
        codec=codec,
        crf=crf,
        window=choose_window(start, preview),
        longest=max_side,
        metadata=metadata == "keep",
        overwrite=overwrite,
    )
    began = time.perf_counter()
    report = run_plan(plan_video(order, painter), painter, voice)
    say_report(voice, order, report, time.perf_counter() - began)
    voice.tell(
        {**tell_report(order, report, time.perf_counter() - began), "models": dict(painter.pipeline.models)}
    )


def tell_report(order: "Order", report: "Report", seconds: float) -> dict[str, object]:
    """Return the report as --json gives it, but for the models."""
    files = {"input": str(order.source), "output": str(order.target)}
    return {**files, **report.describe(), "seconds": seconds}


def choose_window(start: float, preview: float | None) -> "Window":
    """Return the part of a video that is painted.

    Raises:
        SettingsError: it begins before the video, or has no length.
    """
    from sfumato.video.clip import Window

    if not 0 <= start < float("inf"):
        raise SettingsError(f"--start must be 0 or more seconds, not {start:g}")
    if preview is not None and not 0 < preview < float("inf"):
        raise SettingsError(f"--preview must be more than 0 seconds, not {preview:g}")
    return Window(start, preview)


def run_plan(plan: "Plan", painter: "VideoPainter", voice: Voice) -> "Report":
    """Paint with a bar on the terminal.

    Raises:
        StoppedError: Ctrl-C was pressed; what was painted is kept.
    """
    from sfumato.video.run import paint_video

    for stream in plan.beside.left_out:
        voice.say(
            f"left out: {stream}, which {plan.order.target.suffix} does not hold beside the painted video"
        )
    try:
        with frame_bar(voice) as advance:
            return paint_video(plan, painter, advance)
    except KeyboardInterrupt:
        raise StoppedError(
            f"stopped; painted parts are kept in {plan.workplace}; the same command goes on"
        ) from None


@contextmanager
def frame_bar(voice: Voice) -> Iterator[Callable[[int, int], None]]:
    """Show on a terminal how many frames are painted, how fast, and the time left."""
    if not voice.speaks or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("painting", total=None, rate="")

        def advance(done: int, total: int) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, completed=done, total=total, rate=f"{speed:.1f} frames/s" if speed else "")

        yield advance


def say_report(voice: Voice, order: "Order", report: "Report", seconds: float) -> None:
    """Say what became of the video."""
    flicker = report.flicker
    told = ""
    if flicker["steadied"] is not None:
        told = (
            f", flicker {flicker['steadied']:.1f} levels; frame by frame {flicker['frame_by_frame']:.1f}, "
            f"in the source {flicker['source']:.1f}"
        )
    speed = (report.frames - report.resumed) / max(seconds, 1e-6)
    frames = f"{report.frames} frames" + (f", {report.resumed} from before" if report.resumed else "")
    voice.say(f"{order.source} -> {order.target} ({frames}{told}; {speed:.1f} frames/s)")
