"""Offer the segmenter's training on a terminal: data, network and budget in, one run folder out."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from sfumato.apps.cli_options import describe
from sfumato.apps.cli_train import (
    BUDGET,
    DATA,
    Backgrounds,
    Minutes,
    Out,
    Parsed,
    Seed,
    Steps,
    folder_option,
    needing_pytorch,
    report,
    train_app,
)
from sfumato.errors import SettingsError
from sfumato.settings import did_you_mean, read_choices

NETWORK = "Network"
MACHINE = "Machine"


def _number(name: str, text: str, panel: str, least: float) -> typer.models.OptionInfo:
    info: typer.models.OptionInfo = typer.Option(name, help=text, rich_help_panel=panel, min=least)
    return info


def apply_config(context: typer.Context, config: Path | None) -> Path | None:
    """Make the choices of a file the defaults of this command; options that are given win over them.

    Raises:
        SettingsError: the file cannot be read or names an option that the command does not have.
    """
    if config is None:
        return None
    choices = {name.replace("-", "_"): value for name, value in read_choices(config).items()}
    known = {str(parameter.name): None for parameter in context.command.params}
    unknown = sorted(choices.keys() - known.keys())
    if unknown:
        raise SettingsError(f"{config} has an unknown option '{unknown[0]}'{did_you_mean(unknown[0], known)}")
    context.default_map = {**choices, **(context.default_map or {})}
    return config


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
        int, _number("--size", "Side of a training picture; a multiple of 32.", NETWORK, 32)
    ] = 256,
    learning_rate: Annotated[
        float, _number("--learning-rate", "Largest learning rate, of the decoder.", NETWORK, 0)
    ] = 2e-3,
    encoder_rate: Annotated[
        float, _number("--encoder-rate", "The encoder's rate, as a part of the decoder's.", NETWORK, 0)
    ] = 0.4,
    weight_decay: Annotated[float, _number("--weight-decay", "Of AdamW.", NETWORK, 0)] = 1e-2,
    average: Annotated[
        float, _number("--average", "Decay of the running average that is exported.", NETWORK, 0)
    ] = 0.998,
    clip: Annotated[float, _number("--clip", "Largest norm of the gradient.", NETWORK, 0)] = 1.0,
    steps: Steps = 20_000,
    minutes: Minutes = None,
    batch: Annotated[int, _number("--batch", "Pictures a step, over all devices.", BUDGET, 1)] = 12,
    warmup: Annotated[int, _number("--warmup", "Steps of warm-up.", BUDGET, 1)] = 200,
    decay: Annotated[
        Literal["cosine", "linear"],
        typer.Option(
            help="How the rate falls to zero: from the start, or only in the second half.",
            rich_help_panel=BUDGET,
        ),
    ] = "cosine",
    validate_every: Annotated[
        int, _number("--validate-every", "Steps between validations and checkpoints.", BUDGET, 1)
    ] = 500,
    log_every: Annotated[int, _number("--log-every", "Steps between lines of the log.", BUDGET, 1)] = 20,
    patience: Annotated[
        int | None, _number("--patience", "End after this many validations without a gain.", BUDGET, 1)
    ] = None,
    seed: Seed = 0,
    workers: Annotated[int, _number("--workers", "Processes that draw pictures.", MACHINE, 0)] = 1,
    precision: Annotated[
        Literal["auto", "bf16", "fp32"],
        typer.Option(help="bf16 where the device multiplies in it.", rich_help_panel=MACHINE),
    ] = "auto",
    accelerator: Annotated[
        Literal["auto", "cpu", "gpu", "mps"], typer.Option(help="What to train on.", rich_help_panel=MACHINE)
    ] = "auto",
    devices: Annotated[int, _number("--devices", "Devices a node, trained on by DDP.", MACHINE, 1)] = 1,
    nodes: Annotated[int, _number("--nodes", "Nodes, started by torchrun or SLURM.", MACHINE, 1)] = 1,
    resume: Annotated[
        Path | None,
        typer.Option(help="Checkpoint to go on from; by default OUT/last.ckpt.", exists=True, dir_okay=False),
    ] = None,
    _config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="TOML or JSON file of these options, such as a run's config.json; options given here win.",
            is_eager=True,
            callback=apply_config,
        ),
    ] = None,
) -> None:
    """Train a segmenter."""
    if size % 32:
        raise SettingsError(f"--size {size} is no multiple of 32; use {max(32, 32 * round(size / 32))}")
    if start and encoder_weights not in (None, "none"):
        raise SettingsError(f"--start holds the encoder too; leave out --encoder-weights {encoder_weights}")
    if batch % (devices * nodes):
        raise SettingsError(f"--batch {batch} cannot be dealt to {devices * nodes} devices; use a multiple")
    with needing_pytorch():
        from sfumato.training.run_options import RunOptions
        from sfumato.training.segmenter import SegmenterOptions
        from sfumato.training.segmenter import train_segmenter as train
        from sfumato.training.segmenter_data import SegmenterFolders
    folders = SegmenterFolders(
        portraits,
        people,
        tuple(unmasked or ()),
        tuple(backgrounds),
        cache or out / "cache",
        leave_out_faulty,
        mend_sides,
    )
    run = RunOptions(
        steps=steps,
        minutes=minutes,
        batch=batch,
        warmup=warmup,
        decay=decay,
        seed=seed,
        validate_every=validate_every,
        log_every=log_every,
        patience=patience,
        workers=workers,
        average=average,
        clip=clip,
        precision=precision,
        accelerator=accelerator,
        devices=devices,
        nodes=nodes,
    )
    options = SegmenterOptions(
        folders,
        run,
        network,
        encoder_weights or ("none" if start else "imagenet"),
        start,
        size,
        learning_rate,
        weight_decay,
        encoder_rate,
    )
    print(train(options, out, report, resume))
