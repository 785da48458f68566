"""Offer the training of a small Segment Anything on a terminal."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.apps.cli_options import describe
from sfumato.apps.cli_train import Backgrounds, Parsed, needing_pytorch, report, train_app
from sfumato.apps.cli_train_options import (
    DATA,
    NETWORK,
    Accelerator,
    Batch,
    Config,
    DecayOption,
    Devices,
    LogEvery,
    Minutes,
    Nodes,
    Out,
    PrecisionOption,
    Resume,
    Seed,
    Steps,
    ValidateEvery,
    Warmup,
    Workers,
    file_option,
    number_option,
    pick,
    refuse_uneven,
)
from sfumato.errors import SettingsError


@train_app.command(
    "sam",
    help=describe(
        "Train a small Segment Anything that finds the face it is asked for; it shows that the prompts work.",
        "sfumato train sam --portraits easyportrait --backgrounds views --out runs/sam --minutes 15",
        "sfumato stylize portrait.jpg --segmenter runs/sam/sam-small.safetensors",
    ),
)
def train_sam(
    portraits: Parsed,
    backgrounds: Backgrounds,
    out: Out,
    leave_out_faulty: Annotated[
        bool,
        typer.Option(
            "--leave-out-faulty", help="Train without the pairs found faulty.", rich_help_panel=DATA
        ),
    ] = False,
    size: Annotated[int, number_option("--size", "Side of the square in pixels.", NETWORK, 64)] = 128,
    patch: Annotated[int, number_option("--patch", "Side of a patch; divides the size.", NETWORK, 4)] = 8,
    width: Annotated[int, number_option("--width", "Of the image encoder.", NETWORK, 16)] = 128,
    depth: Annotated[int, number_option("--depth", "Blocks of the image encoder.", NETWORK, 3)] = 5,
    heads: Annotated[
        int, number_option("--heads", "Of the image encoder; divide the width.", NETWORK, 1)
    ] = 4,
    channels: Annotated[
        int, number_option("--channels", "Of the mask decoder; a multiple of 32.", NETWORK, 32)
    ] = 128,
    start: Annotated[
        Path | None,
        file_option("--start", "Go on from this SAM in its authors' layout; its sizes then hold.", NETWORK),
    ] = None,
    learning_rate: Annotated[
        float, number_option("--learning-rate", "Largest learning rate.", NETWORK, 0)
    ] = 1e-3,
    weight_decay: Annotated[float, number_option("--weight-decay", "Of AdamW.", NETWORK, 0)] = 2e-2,
    average: Annotated[
        float, number_option("--average", "Decay of the running average that is exported.", NETWORK, 0)
    ] = 0.998,
    clip: Annotated[float, number_option("--clip", "Largest norm of the gradient.", NETWORK, 0)] = 1.0,
    steps: Steps = 20_000,
    minutes: Minutes = None,
    batch: Batch = 16,
    warmup: Warmup = 200,
    decay: DecayOption = "cosine",
    validate_every: ValidateEvery = 250,
    log_every: LogEvery = 20,
    seed: Seed = 0,
    workers: Workers = 1,
    precision: PrecisionOption = "auto",
    accelerator: Accelerator = "auto",
    devices: Devices = 1,
    nodes: Nodes = 1,
    resume: Resume = None,
    _config: Config = None,
) -> None:
    """Train a small SAM."""
    chosen = locals()
    for name, value, divisor in (("size", size, patch), ("width", width, heads), ("channels", channels, 32)):
        if value % divisor:
            raise SettingsError(
                f"--{name} {value} is no multiple of {divisor}; use {divisor * max(1, value // divisor)}"
            )
    refuse_uneven(batch, devices, nodes)
    with needing_pytorch():
        from sfumato.training.run_options import RunOptions
        from sfumato.training.sam import train_sam as train
        from sfumato.training.sam_options import SamOptions, sized_as
    options = pick(
        SamOptions,
        chosen,
        run=pick(RunOptions, chosen),
        backgrounds=tuple(backgrounds),
        cache=out / "cache",
    )
    print(train(sized_as(options, start) if start else options, out, report, resume))
