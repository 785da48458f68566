"""Offer the segmenter's training on a terminal: data, network and budget in, one run folder out."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from sfumato.apps.cli_options import describe
from sfumato.apps.cli_train import Backgrounds, Parsed, needing_pytorch, report, train_app
from sfumato.apps.cli_train_options import (
    BUDGET,
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
    folder_option,
    number_option,
    pick,
    refuse_uneven,
)
from sfumato.errors import SettingsError


@train_app.command(
    "segmenter",
    help=describe(
        "Train a nine-class segmenter: the light one that is embedded, or the paper's.",
        "sfumato train segmenter --portraits easyportrait --backgrounds views --out runs/segmenter",
        "sfumato train segmenter --network unet-efficientnet-b2 --portraits easyportrait --size 512 \\",
        "    --backgrounds views --out runs/paper --precision bf16 --workers 8",
        "sfumato train segmenter --config runs/segmenter/config.json --seed 1 --out runs/second",
    ),
)
def train_segmenter(
    portraits: Parsed,
    backgrounds: Backgrounds,
    out: Out,
    people: Annotated[
        Path | None, folder_option("--people", "Folder with images and binary masks of whole people.")
    ] = None,
    unmasked: Annotated[
        list[Path] | None,
        folder_option("--unmasked", "Photos of people without masks; may be given several times."),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder of checked, reduced portraits; by default within --out.", rich_help_panel=DATA
        ),
    ] = None,
    leave_out_faulty: Annotated[
        bool,
        typer.Option(
            "--leave-out-faulty", help="Train without the pairs found faulty.", rich_help_panel=DATA
        ),
    ] = False,
    mend_sides: Annotated[
        bool,
        typer.Option(
            "--mend-sides",
            help="Swap left and right in masks that have them on the wrong sides.",
            rich_help_panel=DATA,
        ),
    ] = False,
    network: Annotated[
        Literal["unet-light", "unet-efficientnet-b2"],
        typer.Option(help="Which network.", rich_help_panel=NETWORK),
    ] = "unet-light",
    encoder_weights: Annotated[
        Literal["imagenet", "lite", "none"] | None,
        typer.Option(
            help="What the encoder starts from. imagenet: for unet-light out of an installed package, for "
            "unet-efficientnet-b2 from the Hugging Face hub; lite: for both out of an installed package. "
            "By default imagenet, or none with --start.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            help="Start from these weights instead: best.safetensors or the ONNX file of an earlier run.",
            rich_help_panel=NETWORK,
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    size: Annotated[
        int, number_option("--size", "Side of a training picture; a multiple of 32.", NETWORK, 32)
    ] = 256,
    learning_rate: Annotated[
        float, number_option("--learning-rate", "Largest learning rate, of the decoder.", NETWORK, 0)
    ] = 2e-3,
    encoder_rate: Annotated[
        float, number_option("--encoder-rate", "The encoder's rate, as a part of the decoder's.", NETWORK, 0)
    ] = 0.4,
    weight_decay: Annotated[float, number_option("--weight-decay", "Of AdamW.", NETWORK, 0)] = 1e-2,
    average: Annotated[
        float, number_option("--average", "Decay of the running average that is exported.", NETWORK, 0)
    ] = 0.998,
    clip: Annotated[float, number_option("--clip", "Largest norm of the gradient.", NETWORK, 0)] = 1.0,
    steps: Steps = 20_000,
    minutes: Minutes = None,
    batch: Batch = 12,
    warmup: Warmup = 200,
    decay: DecayOption = "cosine",
    validate_every: ValidateEvery = 500,
    log_every: LogEvery = 20,
    patience: Annotated[
        int | None, number_option("--patience", "End after this many validations without a gain.", BUDGET, 1)
    ] = None,
    seed: Seed = 0,
    workers: Workers = 1,
    precision: PrecisionOption = "auto",
    accelerator: Accelerator = "auto",
    devices: Devices = 1,
    nodes: Nodes = 1,
    resume: Resume = None,
    _config: Config = None,
) -> None:
    """Train a segmenter."""
    chosen = locals()
    if size % 32:
        raise SettingsError(f"--size {size} is no multiple of 32; use {max(32, 32 * round(size / 32))}")
    if start and encoder_weights not in (None, "none"):
        raise SettingsError(f"--start holds the encoder too; leave out --encoder-weights {encoder_weights}")
    refuse_uneven(batch, devices, nodes)
    with needing_pytorch():
        from sfumato.training.run_options import RunOptions
        from sfumato.training.segmenter import SegmenterOptions
        from sfumato.training.segmenter import train_segmenter as train
        from sfumato.training.segmenter_data import SegmenterFolders
    folders = pick(
        SegmenterFolders,
        chosen,
        unmasked=tuple(unmasked or ()),
        backgrounds=tuple(backgrounds),
        cache=cache or out / "cache",
    )
    weights = encoder_weights or ("none" if start else "imagenet")
    run = pick(RunOptions, chosen)
    print(
        train(
            pick(SegmenterOptions, chosen, folders=folders, run=run, encoder_weights=weights),
            out,
            report,
            resume,
        )
    )
