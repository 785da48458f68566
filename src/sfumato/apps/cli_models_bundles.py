"""Carry models to other machines in one zip: parse and report; the zip is made and read elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.apps.cli_models import Accept, Names, models_app
from sfumato.apps.cli_options import FILES, JsonOption, OverwriteOption, QuietOption, describe
from sfumato.apps.cli_report import Voice, describe_bytes, transfer_bar


@models_app.command(
    "export-bundle",
    help=describe(
        "Write models on this machine into one zip, for a machine without a network.",
        "sfumato models export-bundle paper -o paper.zip",
    ),
)
@models_app.command("export", hidden=True)
def export_models(
    names: Names,
    output: Annotated[Path, typer.Option("--output", "-o", help="The zip to write.", rich_help_panel=FILES)],
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a bundle."""
    from sfumato.bundles import export_bundle
    from sfumato.store import find_models

    voice = Voice(json=as_json, quiet=quiet)
    with transfer_bar(voice, output.name) as progress:
        entries = export_bundle(find_models(names), output, overwrite=overwrite, progress=progress)
    voice.say(f"{output}: {len(entries)} models, {describe_bytes(sum(entry.bytes for entry in entries))}")
    models = [{"name": entry.spec.name, "bytes": entry.bytes, "sha256": entry.sha256} for entry in entries]
    voice.tell({"output": str(output), "models": models})


@models_app.command(
    "import-bundle",
    help=describe(
        "Bring the models of a zip of export-bundle to this machine; every sha256 is compared.",
        "sfumato models import-bundle paper.zip --accept-license",
    ),
)
@models_app.command("import", hidden=True)
def import_models(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A zip of export-bundle.")],
    accept: Accept = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Read a bundle."""
    from sfumato.bundles import import_bundle
    from sfumato.store import expected_sha256, known_models

    voice = Voice(json=as_json, quiet=quiet)
    unpinned = {name for name, spec in known_models().items() if expected_sha256(spec) is None}
    with transfer_bar(voice, bundle.name) as progress:
        entries = import_bundle(bundle, accept=accept, progress=progress)
    for entry in entries:
        pinned = ", pinned from now on" if entry.spec.name in unpinned else ""
        voice.say(f"{entry.spec.name}: {describe_bytes(entry.bytes)}, sha256 {entry.sha256}{pinned}")
    models = [{"name": entry.spec.name, "bytes": entry.bytes, "sha256": entry.sha256} for entry in entries]
    voice.tell({"models": models})
