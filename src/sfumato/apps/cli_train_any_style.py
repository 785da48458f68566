"""Offer the training of the networks that paint in the manner of any one picture on a terminal."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.apps.cli_options import describe
from sfumato.apps.cli_train import needing_pytorch, report, train_app
from sfumato.apps.cli_train_options import (
    DATA,
    NETWORK,
    Accelerator,
    Average,
    Batch,
    Clip,
    Config,
    DecayOption,
    Devices,
    FrozenFrom,
    LogEvery,
    Minutes,
    Nodes,
    Out,
    Patience,
    PortraitsAmong,
    PortraitShare,
    PrecisionOption,
    Resume,
    Seed,
    StartLight,
    Steps,
    ValidateEvery,
    Vgg,
    Warmup,
    Workers,
    folder_option,
    number_option,
    pick,
    refuse_uneven,
)
from sfumato.apps.cli_train_stylizer import Photos
from sfumato.errors import SettingsError


@train_app.command(
    "any-style",
    help=describe(
        "Train the networks that paint in the manner of any one picture, for sfumato stylize --style PAINTING.jpg.",
        "sfumato train any-style --photos views --portraits faces --styles monet --styles prints \\",
        "    --vgg vgg19.pth --out runs/any --minutes 150",
        "cp runs/any/any-style*.onnx ~/.cache/sfumato/any-style/",
    ),
)
def train_any_style(
    photos: Photos,
    styles: Annotated[
        list[Path], folder_option("--styles", "Paintings of any manner; may be given several times.")
    ],
    vgg: Vgg,
    out: Out,
    portraits: PortraitsAmong = None,
    portrait_share: PortraitShare = 0.4,
    photo_styles: Annotated[
        float, typer.Option(help="Part of the styles that are photos.", min=0, max=1, rich_help_panel=DATA)
    ] = 0.25,
    recoloured: Annotated[
        float,
        typer.Option(help="Part of the styles whose hue is turned.", min=0, max=1, rich_help_panel=DATA),
    ] = 0.5,
    grain: Annotated[
        float, typer.Option(help="Deviation of the canvas.", min=0, max=1, rich_help_panel=DATA)
    ] = 0.03,
    held_out: Annotated[
        int,
        number_option("--held-out", "Last photos and paintings of each folder, never trained on.", DATA, 1),
    ] = 8,
    blocks: Annotated[int, number_option("--blocks", "Residual blocks of the painter.", NETWORK, 0)] = 5,
    size: Annotated[
        int, number_option("--size", "Side of a training picture; a multiple of 16.", NETWORK, 32)
    ] = 160,
    gram: Annotated[float, number_option("--gram", "Weight of the Gram matrices.", NETWORK, 0)] = 6.0,
    moments: Annotated[
        float, number_option("--moments", "Weight of mean and deviation at relu3_1.", NETWORK, 0)
    ] = 45.0,
    content: Annotated[
        float, number_option("--content", "Weight of the layout at relu3_1.", NETWORK, 0)
    ] = 1.0,
    flatness: Annotated[float, number_option("--flatness", "Weight against blotches.", NETWORK, 0)] = 6.0,
    grid: Annotated[float, number_option("--grid", "Weight against a checkerboard.", NETWORK, 0)] = 200.0,
    similarity: Annotated[
        float, number_option("--similarity", "Weight of the floor under the similarity.", NETWORK, 0)
    ] = 10.0,
    similarity_floor: Annotated[
        float, number_option("--similarity-floor", "Structural similarity that is left.", NETWORK, 0)
    ] = 0.5,
    start: StartLight = None,
    frozen_from: FrozenFrom = 1000,
    learning_rate: Annotated[float, number_option("--learning-rate", "Of Adam.", NETWORK, 0)] = 1e-3,
    steps: Steps = 20_000,
    minutes: Minutes = None,
    batch: Batch = 4,
    warmup: Warmup = 100,
    decay: DecayOption = "cosine",
    average: Average = 0.995,
    clip: Clip = None,
    validate_every: ValidateEvery = 500,
    log_every: LogEvery = 20,
    patience: Patience = None,
    seed: Seed = 0,
    workers: Workers = 1,
    precision: PrecisionOption = "auto",
    accelerator: Accelerator = "auto",
    devices: Devices = 1,
    nodes: Nodes = 1,
    resume: Resume = None,
    _config: Config = None,
) -> None:
    """Train both networks."""
    chosen = locals()
    if size % 16:
        raise SettingsError(f"--size {size} is no multiple of 16; use {16 * round(size / 16)}")
    refuse_uneven(batch, devices, nodes)
    with needing_pytorch():
        from sfumato.training.any_style import AnyStyleOptions
        from sfumato.training.any_style_draw import AnyStyleFolders
        from sfumato.training.any_style_run import AnyStyleRun
        from sfumato.training.any_style_run import train_any_style as train
        from sfumato.training.run_options import RunOptions
    folders = pick(AnyStyleFolders, chosen, styles=tuple(styles), portraits=tuple(portraits or ()))
    network, run = pick(AnyStyleOptions, chosen), pick(RunOptions, chosen)
    print(train(AnyStyleRun(folders, network, run), out, report, resume))
