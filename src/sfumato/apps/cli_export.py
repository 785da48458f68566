"""Offer the export of trained weights to ONNX on a terminal."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from sfumato.apps.cli_inputs import refuse_existing
from sfumato.apps.cli_options import JsonOption, OverwriteOption, QuietOption, describe
from sfumato.apps.cli_report import Voice
from sfumato.apps.cli_train import needing_pytorch

export_app = typer.Typer(
    help=describe(
        "Turn trained weights into an ONNX file that sfumato runs, checked against PyTorch. Needs sfumato\\[train].",
        "sfumato export segmenter runs/segmenter/best.safetensors -o segmenter.onnx",
        "sfumato export stylizer latest_net_G.pth -o cezanne.onnx",
    )
)

Weights: TypeAlias = Annotated[
    Path, typer.Argument(metavar="WEIGHTS", help="The file of weights.", exists=True, dir_okay=False)
]
Output: TypeAlias = Annotated[Path, typer.Option("--output", "-o", help="The ONNX file to write.")]


@export_app.command(
    "segmenter",
    help=describe(
        "Export a segmenter: softmax included, any size that is a multiple of 32, weights as float16.",
        "sfumato export segmenter runs/segmenter/best.safetensors -o segmenter.onnx",
        "sfumato export segmenter best.safetensors --network unet-efficientnet-b2 -o paper.onnx --json",
    ),
)
def export_segmenter(
    weights: Weights,
    output: Output,
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
    _tell(Voice(json=as_json, quiet=quiet), output, network, difference)


@export_app.command(
    "stylizer",
    help=describe(
        "Export a generator, published or light, for --style: any size, weights as float16.",
        "sfumato export stylizer runs/monet/last.safetensors -o monet.onnx",
        "sfumato export stylizer latest_net_G.pth -o cezanne.onnx --json",
    ),
)
def export_stylizer(
    weights: Weights,
    output: Output,
    grain: Annotated[
        float, typer.Option(help="Deviation of the canvas that it was trained with.", min=0, max=1)
    ] = 0.0,
    underpaint: Annotated[
        float, typer.Option(help="Part of the broad painting that it was trained with.", min=0, max=1)
    ] = 0.0,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Export a stylizer."""
    if not overwrite:
        refuse_existing([output])
    with needing_pytorch():
        from sfumato.export_style import export_style, facts_of
        from sfumato.nets.generators import read_generator
    net = read_generator(weights)
    difference = export_style(net, output, facts_of(net, grain=grain, underpaint=underpaint))
    _tell(Voice(json=as_json, quiet=quiet), output, type(net).__name__, difference)


def _tell(voice: Voice, output: Path, network: str, difference: float) -> None:
    size = output.stat().st_size
    voice.say(f"{output}: {size:,} bytes, differs from PyTorch by at most {difference:.1e}")
    voice.tell({"output": str(output), "bytes": size, "network": network, "difference": difference})
