"""Offer the export of trained weights to ONNX on a terminal."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from sfumato.apps.cli_inputs import refuse_existing
from sfumato.apps.cli_options import JsonOption, OverwriteOption, QuietOption, describe
from sfumato.apps.cli_report import Voice
from sfumato.apps.cli_train import needing_pytorch

export_app = typer.Typer(
    help=describe(
        "Turn trained weights into an ONNX file that sfumato runs, checked against PyTorch. Needs sfumato[train].",
        "sfumato export segmenter runs/segmenter/best.safetensors -o segmenter.onnx",
    )
)


@export_app.callback()
def start_export() -> None:
    """Keep the name of the network a command of its own."""


@export_app.command(
    "segmenter",
    help=describe(
        "Export a segmenter: softmax included, any size that is a multiple of 32, weights as float16.",
        "sfumato export segmenter runs/segmenter/best.safetensors -o segmenter.onnx",
        "sfumato export segmenter best.safetensors --network unet-efficientnet-b2 -o paper.onnx --json",
    ),
)
def export_segmenter(
    weights: Annotated[
        Path,
        typer.Argument(metavar="WEIGHTS", help="A safetensors file of a run.", exists=True, dir_okay=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The ONNX file to write.")],
    network: Annotated[
        Literal["unet-light", "unet-efficientnet-b2"], typer.Option(help="Whose weights they are.")
    ] = "unet-light",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Export a segmenter."""
    if not overwrite:
        refuse_existing([output])
    with needing_pytorch():
        from sfumato.training.segmenter import export_weights
    difference = export_weights(weights, network, output)
    voice = Voice(json=as_json, quiet=quiet)
    size = output.stat().st_size
    voice.say(f"{output}: {size:,} bytes, differs from PyTorch by at most {difference:.1e}")
    voice.tell({"output": str(output), "bytes": size, "network": network, "difference": difference})
