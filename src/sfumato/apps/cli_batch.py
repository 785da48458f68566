"""Paint a folder or a list of pictures: parse, run, report; the work is done by the engines of `batch`."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from sfumato.apps import cli_options as options
from sfumato.apps.cli_batch_tally import Tally, exit_code, interruptible, report_lines, say
from sfumato.apps.cli_pipeline import takes_settings
from sfumato.apps.cli_recipe import choose_signing
from sfumato.apps.cli_report import Voice
from sfumato.errors import SettingsError
from sfumato.processors import count_processors
from sfumato.settings import Settings

if TYPE_CHECKING:
    from sfumato.batch.item import Item, Writing
    from sfumato.batch.manifest import Manifest
    from sfumato.batch.plan import Folder, Patterns, Shard
    from sfumato.batch.remote import RemoteFolder

BATCH_HELP = options.describe(
    "Paint every picture of a folder into another that mirrors it. A second run does only what is missing.",
    "sfumato batch photos/ paintings/",
    "sfumato batch photos/ paintings/ --include '2024/*' --format jpeg --report report.jsonl",
    "sfumato batch list.csv paintings/ --shard 3/8",
    "sfumato batch inbox/ paintings/ --watch",
    "sfumato batch s3://bucket/photos s3://bucket/paintings --engine ray --address auto",
)


BATCH = "Batch"


def _option(*names: str, text: str, default: str = "") -> typer.models.OptionInfo:
    info: typer.models.OptionInfo = typer.Option(
        *names, help=text, rich_help_panel=BATCH, show_default=default or False
    )
    return info


SourceArgument: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="IN", help="A folder of pictures, or a manifest: CSV or Parquet with a column input."
    ),
]
TargetArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="OUT", help="The folder of the paintings; it is made where there is none.")
]
IncludeOption: TypeAlias = Annotated[
    list[str] | None,
    _option("--include", text="Only pictures whose path fits, such as '2024/*.jpg'; may be repeated."),
]
ExcludeOption: TypeAlias = Annotated[
    list[str] | None, _option("--exclude", text="No pictures whose path fits; may be repeated.")
]
FormatOption: TypeAlias = Annotated[
    Literal["jpeg", "png", "webp", "tiff", "avif"] | None,
    _option("--format", text="Format of all paintings.", default="that of the picture"),
]
QualityOption: TypeAlias = Annotated[
    int, typer.Option("--quality", min=1, max=100, help="Of JPEG, WebP and AVIF.", rich_help_panel=BATCH)
]
WorkersOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Processes that paint.",
        rich_help_panel=BATCH,
        show_default="one a processor",
    ),
]
ShardOption: TypeAlias = Annotated[
    str | None,
    _option("--shard", text="Paint one of n equal parts: 3/8. All parts may write into one folder."),
]
ReportOption: TypeAlias = Annotated[
    Path | None, _option("--report", text="Add one line of JSON for each picture to this file.")
]
FailFastOption: TypeAlias = Annotated[
    bool, typer.Option("--fail-fast", help="Begin no more once a picture failed.", rich_help_panel=BATCH)
]
EngineOption: TypeAlias = Annotated[
    Literal["local", "ray"],
    typer.Option("--engine", help="This machine's processes, or a Ray cluster.", rich_help_panel=BATCH),
]
AddressOption: TypeAlias = Annotated[
    str | None, _option("--address", text="Of the Ray cluster, or auto (default: one started here).")
]
GpusOption: TypeAlias = Annotated[
    float,
    typer.Option("--gpus", min=0, help="GPUs of each Ray actor; parts are allowed.", rich_help_panel=BATCH),
]
WatchOption: TypeAlias = Annotated[
    bool,
    typer.Option("--watch", help="Go on with pictures that come later, until Ctrl-C.", rich_help_panel=BATCH),
]


@takes_settings()
def batch(
    source: SourceArgument,
    target: TargetArgument,
    *,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    format: FormatOption = None,
    quality: QualityOption = 92,
    workers: WorkersOption = None,
    shard: ShardOption = None,
    report: ReportOption = None,
    fail_fast: FailFastOption = False,
    watch: WatchOption = False,
    engine: EngineOption = "local",
    address: AddressOption = None,
    gpus: GpusOption = 0.0,
    settings: Settings,
    metadata: options.MetadataOption = "keep",
    recipe: options.RecipeOption = None,
    sign_cert: options.SignCertOption = None,
    sign_key: options.SignKeyOption = None,
    overwrite: options.OverwriteOption = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> int:
    """Paint a folder or a list of pictures."""
    from sfumato.batch.cluster import Cluster
    from sfumato.batch.item import Writing
    from sfumato.batch.local import Local
    from sfumato.batch.plan import WHOLE, Patterns, parse_shard
    from sfumato.pipeline import build_pipeline
    from sfumato.recipe import choose_place

    place = choose_place(recipe, metadata)
    signed = [str(path) for path in choose_signing(sign_cert, sign_key) or ()]
    writing = Writing(format.upper() if format else None, quality, metadata, place, *signed)
    part = parse_shard(shard) if shard else WHOLE
    plan = open_plan(source, target, settings, writing, Patterns(include or (), exclude or ()))
    refuse_mixing(source, target, engine, watch=watch, shard=shard)
    if engine == "ray" and signed:
        raise SettingsError("--engine ray has no keys on its nodes; sign afterwards")
    build_pipeline(settings)  # what cannot be built is refused before the first picture
    painting = (
        Local(Path(target), workers or count_processors(), build_pipeline, part, overwrite)
        if engine == "local"
        else Cluster(target, workers or 0, build_pipeline, address, gpus, part, overwrite)
    )
    tally, voice = Tally(fail_fast), Voice(json=as_json, quiet=quiet)
    total = count_pictures(plan, part) if voice.shows and not watch else 0
    with interruptible(tally), report_lines(report) as note, voice.progress(total) as advance:
        for outcome in painting.run(give(plan, tally, watch=watch), lambda: tally.stopped):
            tally.count(outcome)
            note(outcome)
            say(voice, outcome)
            advance()
    voice.say(tally.describe())
    voice.tell(
        {"output": str(target), **{state: tally.counts[state] for state in ("done", "kept", "failed")}}
    )
    return exit_code(tally)


def open_plan(
    source: str, target: str, settings: Settings, writing: "Writing", patterns: "Patterns"
) -> "Folder | RemoteFolder | Manifest":
    """Return what is to be painted.

    Raises:
        SettingsError: patterns are given for a manifest.
    """
    from sfumato.batch.manifest import MANIFESTS, Manifest
    from sfumato.batch.plan import Folder
    from sfumato.batch.remote import RemoteFolder
    from sfumato.batch.storage import is_address

    here = Path(source)
    if here.suffix.lower() in MANIFESTS and not here.is_dir():
        if patterns.include or patterns.exclude:
            raise SettingsError(
                "--include and --exclude are for folders; take rows out of the manifest instead"
            )
        return Manifest(here, target, settings, writing)
    if is_address(source) or is_address(target):
        return RemoteFolder(source, target, settings, writing, patterns)
    return Folder(here, Path(target), settings, writing, patterns)


def refuse_mixing(source: str, target: str, engine: str, *, watch: bool, shard: str | None) -> None:
    """Raise where choices do not go together.

    Raises:
        SettingsError: paintings would lie among the photos, what comes later would be divided or listed, or this
            machine's processes would paint into a storage.
    """
    from sfumato.batch.storage import is_address

    here, there = Path(source), Path(target)
    if engine == "local" and (is_address(source) or is_address(target)):
        raise SettingsError("addresses of storages are for --engine ray; name folders, or mount the storage")
    if here.is_dir() and there.exists() and here.resolve() == there.resolve():
        raise SettingsError(
            f"{target} is the folder of the photos themselves; name another one for the paintings"
        )
    if watch and (shard or engine == "ray"):
        raise SettingsError("--watch is for one machine and all pictures; leave out --shard and --engine")
    if watch and not here.is_dir():
        raise SettingsError(f"--watch needs a folder, which {source} is not")


def count_pictures(plan: "Folder | RemoteFolder | Manifest", part: "Shard") -> int:
    """Return how many pictures a part has; they are listed for that."""
    return sum(part.takes(number) for number, _ in enumerate(plan.items()))


def give(plan: "Folder | RemoteFolder | Manifest", tally: Tally, *, watch: bool) -> "Iterable[Item | None]":
    """Return the pictures of the plan, once or as long as more come."""
    from sfumato.batch import watch as watching

    return watching.watch(plan.items, lambda: tally.stopped) if watch else plan.items()
