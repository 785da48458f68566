"""Offer the models on a terminal: list, look at, fetch, verify, remove, add, and carry to other machines."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias, cast, get_args

import typer

from sfumato.apps.cli_model_facts import (
    OPTIONS,
    announce,
    convert_now,
    facts_about,
    is_weights,
    recognise_file,
    state_of,
)
from sfumato.apps.cli_options import FILES, JsonOption, QuietOption, describe
from sfumato.apps.cli_report import Voice, complain, describe_bytes, print_models, transfer_bar
from sfumato.errors import ModelError, SettingsError

if TYPE_CHECKING:
    from sfumato.registry import Task

models_app = typer.Typer(
    help=describe(
        "Show, fetch and keep models. Only pull uses the network, and only when it is called.",
        "sfumato models list",
        "sfumato models info gfpgan-1.4",
        "sfumato models pull paper --accept-license",
        "sfumato models add latest_net_G.pth --task stylizer --name cezanne",
    )
)

Names: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="MODEL", help="Names of models, or of a set: paper.")
]
Accept: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--accept-license",
        help="Accept licences that forbid commercial use or are unclear; asked once for each model.",
        rich_help_panel=FILES,
    ),
]
Offline: TypeAlias = Annotated[
    bool,
    typer.Option("--offline", help="Fetch nothing; SFUMATO_OFFLINE=1 does the same.", rich_help_panel=FILES),
]


@models_app.command(
    "list",
    help=describe(
        "List every model: name, task, size, commercial use, and where it is.",
        "sfumato models list",
        "sfumato models list --json",
    ),
)
def list_models(as_json: JsonOption = False, quiet: QuietOption = False) -> None:
    """List every model."""
    from sfumato.store import known_models

    specs = tuple(known_models().values())
    states = {spec.name: state_of(spec) for spec in specs}
    voice = Voice(json=as_json, quiet=quiet)
    if voice.speaks:
        print_models(specs, states)
    voice.tell({"models": [{**asdict(spec), "state": states[spec.name]} for spec in specs]})


@models_app.command(
    "info",
    help=describe(
        "Say all that is known of a model: licences, data, addresses, sha256, and its state on this machine.",
        "sfumato models info sam-vit-h",
    ),
)
def show_model(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="Name of a model.")],
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say all that is known of a model."""
    from sfumato.store import find_models

    voice = Voice(json=as_json, quiet=quiet)
    found = [facts_about(spec) for spec in find_models([name])]
    for facts in found:
        for key, value in facts.items():
            if value not in (None, "", [], {}):
                voice.say(f"{key:16} {', '.join(value) if isinstance(value, list) else value}")
    voice.tell({"models": found})


@models_app.command(
    "pull",
    help=describe(
        "Fetch models from their authors, verify and keep them, and convert weights for this machine. A transfer that "
        "broke off goes on where it stopped.",
        "sfumato models pull sam-vit-b",
        "sfumato models pull paper --accept-license",
        "sfumato models pull cyclegan-monet --sha256 0123... --accept-license",
    ),
)
def pull_models(
    names: Names,
    sha256: Annotated[
        str | None,
        typer.Option(
            help="What the file must have, where nobody publishes it; for one model.", rich_help_panel=FILES
        ),
    ] = None,
    accept: Accept = False,
    offline: Offline = False,
    convert: Annotated[
        bool,
        typer.Option(
            "--convert/--no-convert", help="Convert weights now, not at first use.", rich_help_panel=FILES
        ),
    ] = True,
    timeout: Annotated[
        float,
        typer.Option(help="Seconds without a byte after which an address is given up.", min=1, max=86_400),
    ] = 30.0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Fetch models."""
    from sfumato.store import expected_sha256, find_models, find_stored, pin, pull
    from sfumato.store_licences import check_licences

    specs = find_models(names)
    if sha256 is not None and len(specs) != 1:
        raise SettingsError("--sha256 is that of one file; pull one model at a time with it")
    voice = Voice(json=as_json, quiet=quiet)
    announce(voice, specs)
    check_licences(specs, accept=accept)
    if sha256 is not None:
        pin(specs[0], sha256)
    pulled = []
    for spec in specs:
        known, there = expected_sha256(spec), find_stored(spec)
        with transfer_bar(voice, spec.name) as progress:
            file = pull(spec, offline=offline, timeout=timeout, progress=progress)
        if known is None:
            voice.say(f"{spec.name}: nobody publishes its sha256; pinned from now on is {file.sha256}")
        verb = "is here already, verified" if there is not None else "fetched, verified"
        voice.say(f"{spec.name}: {verb}: {file.path}")
        converted = convert_now(voice, spec, file) if convert else None
        pulled.append(
            {"name": spec.name, "path": str(file.path), "sha256": file.sha256, "converted": converted}
        )
    voice.tell({"models": pulled})


@models_app.command(
    "verify",
    help=describe(
        "Read models again and compare their sha256; all on this machine, or those named.",
        "sfumato models verify",
    ),
)
def verify_models(
    names: Annotated[list[str] | None, typer.Argument(metavar="MODEL", help="Names of models.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Verify models."""
    from sfumato.store import find_models, find_stored, known_models, verify

    specs = find_models(names) if names else [spec for spec in known_models().values() if find_stored(spec)]
    voice = Voice(json=as_json, quiet=quiet)
    verified, worst = [], 0
    for spec in specs:
        try:
            file = verify(spec)
            voice.say(f"{spec.name}: whole, sha256 {file.sha256}")
            verified.append({"name": spec.name, "whole": True, "sha256": file.sha256})
        except ModelError as error:
            complain(str(error))
            verified.append({"name": spec.name, "whole": False, "error": str(error)})
            worst = error.exit_code
    voice.tell({"models": verified})
    return worst


@models_app.command(
    "remove",
    help=describe(
        "Delete models and what was converted from them.", "sfumato models remove sam-vit-h gfpgan-1.3"
    ),
)
def remove_models(
    names: Names,
    forget: Annotated[
        bool, typer.Option("--forget", help="Also forget the pinned sha256 and the accepted licence.")
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Delete models."""
    from sfumato.store import find_models, remove

    voice = Voice(json=as_json, quiet=quiet)
    removed = []
    for spec in find_models(names):
        freed = remove(spec, forget=forget)
        voice.say(f"{spec.name}: {describe_bytes(freed)} freed" if freed else f"{spec.name}: was not here")
        removed.append({"name": spec.name, "freed": freed})
    voice.tell({"models": removed})


@models_app.command(
    "add",
    help=describe(
        "Keep a model's file of your own under a name that --style, --restorer or --segmenter takes. Its network is "
        "told by its tensors: CycleGAN, light generators, GFPGAN, RestoreFormer, U-Nets, SAM, SAM 2. Anything else is "
        "refused.",
        "sfumato models add latest_net_G.pth --task stylizer --name cezanne",
        "sfumato models add runs/paper/unet-efficientnet-b2.onnx --task segmenter --name unet-efficientnet-b2",
    ),
)
def add_model(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Weights (.pth, .pt, .safetensors) or .onnx.")],
    task: Annotated[str, typer.Option(help="What it does: stylizer, restorer or segmenter.")],
    name: Annotated[str | None, typer.Option(help="What it is called; by default as its file.")] = None,
    convert: Annotated[
        bool, typer.Option("--convert/--no-convert", help="Convert weights now, not at first use.")
    ] = True,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Keep a model of the user's own."""
    from sfumato.registry import Task
    from sfumato.store import find_stored, known_models, remove
    from sfumato.store_added import add
    from sfumato.styles import local_facts

    if task not in ("stylizer", "restorer", "segmenter"):
        known = task in get_args(Task)
        raise SettingsError(
            f"task '{task}' {'takes no models of your own' if known else 'is unknown'}; "
            "use stylizer, restorer or segmenter"
        )
    chosen = cast("Task", task)
    network = recognise_file(file, chosen)
    called = name or file.stem
    known = called in known_models() and find_stored(known_models()[called]) is not None
    spec = add(file, chosen, called, about={"paper": network})
    voice = Voice(json=as_json, quiet=quiet)
    stored = find_stored(spec)
    assert stored is not None  # it was just added
    try:
        if chosen == "stylizer" and not is_weights(stored):
            local_facts(stored.path, stored.path)
        converted = convert_now(voice, spec, stored) if convert else None
    except ModelError:
        if not known:
            remove(spec)
        raise
    voice.say(f"{spec.name}: {network}, kept as {stored.path}; use it with --{OPTIONS[chosen]} {spec.name}")
    told = {"name": spec.name, "task": task, "network": network, "path": str(stored.path)}
    voice.tell({**told, "sha256": stored.sha256, "converted": converted})
