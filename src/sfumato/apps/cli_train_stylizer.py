"""Offer the stylizers' trainings on a terminal: folders of pictures and a budget in, one run folder out."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from sfumato.apps.cli_options import describe
from sfumato.apps.cli_train import make_schedule, needing_pytorch, report, train_app
from sfumato.apps.cli_train_options import (
    BUDGET,
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
    file_option,
    folder_option,
    number_option,
    pick,
    refuse_uneven,
)
from sfumato.errors import SettingsError

PUBLISHED_RATE = 2e-4
PUPIL_BLOCKS = 5

Photos: TypeAlias = Annotated[Path, folder_option("--photos", "Photos.")]
Paintings: TypeAlias = Annotated[Path, folder_option("--paintings", "Paintings of one manner.")]


@train_app.command(
    "stylizer",
    help=describe(
        "Train CycleGAN as it was published (Zhu et al., 2017), or with --teacher a light generator after one.",
        "sfumato train stylizer --photos views --portraits faces --paintings monet --out runs/monet",
        "sfumato train stylizer --photos views --paintings monet --generator light --epochs 50 --out runs/light",
        "sfumato train stylizer --photos views --teacher runs/monet/last.safetensors --epochs 20 --out runs/pupil",
        "sfumato stylize portrait.jpg --style runs/monet/stylizer.onnx",
    ),
)
def train_stylizer(
    context: typer.Context,
    photos: Photos,
    out: Out,
    paintings: Annotated[
        Path | None,
        folder_option("--paintings", "Paintings of one manner; with --teacher they only measure the pupil."),
    ] = None,
    portraits: PortraitsAmong = None,
    portrait_share: PortraitShare = 0.4,
    held_out: Annotated[
        int, number_option("--held-out", "Last photos and paintings, never trained on.", DATA, 2)
    ] = 8,
    vgg: Annotated[
        Path | None,
        file_option(
            "--vgg", "Weights of VGG19 to relu3_1, to measure the result; a pupil learns by them too."
        ),
    ] = None,
    teacher: Annotated[
        Path | None, file_option("--teacher", "A generator's .safetensors or .pth to learn from.", NETWORK)
    ] = None,
    generator: Annotated[
        Literal["cyclegan", "light"],
        typer.Option(
            help="As published, or light: without statistics of the picture, so that tiles equal the whole.",
            rich_help_panel=NETWORK,
        ),
    ] = "cyclegan",
    blocks: Annotated[
        int | None,
        number_option(
            "--blocks", "Residual blocks; by default 9 from 256 pixels, 6 below, light 5.", NETWORK, 0
        ),
    ] = None,
    width: Annotated[int, number_option("--width", "Channels of the first layer.", NETWORK, 1)] = 64,
    judge_width: Annotated[
        int, number_option("--judge-width", "Channels of the discriminators' first layer.", NETWORK, 1)
    ] = 64,
    upsampling: Annotated[
        Literal["transposed", "resize"],
        typer.Option(help="As published, or resize: no checkerboard.", rich_help_panel=NETWORK),
    ] = "transposed",
    size: Annotated[
        int, number_option("--size", "Side of a training picture; a multiple of 4.", NETWORK, 32)
    ] = 256,
    cycle: Annotated[float, number_option("--cycle", "Weight of the cycle loss.", NETWORK, 0)] = 10.0,
    identity: Annotated[
        float, number_option("--identity", "Weight of the identity loss, as a part of --cycle.", NETWORK, 0)
    ] = 0.5,
    pool: Annotated[
        int, number_option("--pool", "Pictures that the discriminators see again.", NETWORK, 0)
    ] = 50,
    learning_rate: Annotated[
        float | None,
        number_option("--learning-rate", "Of Adam; by default 2e-4, for a pupil 1e-3.", NETWORK, 0),
    ] = None,
    momentum: Annotated[float, number_option("--momentum", "First beta of Adam.", NETWORK, 0, 0.999)] = 0.5,
    perceptual: Annotated[
        float, number_option("--perceptual", "Weight of a pupil's loss on the features of --vgg.", NETWORK, 0)
    ] = 0.1,
    epochs: Annotated[
        float, number_option("--epochs", "Epochs, where --steps does not say it.", BUDGET, 0)
    ] = 200,
    steps: Annotated[int | None, number_option("--steps", "Steps in all.", BUDGET, 1)] = None,
    minutes: Minutes = None,
    batch: Batch = 1,
    warmup: Warmup = 0,
    decay: DecayOption = "linear",
    average: Average = 0.0,
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
    """Train a stylizer."""
    chosen = locals()
    if size % 4:
        raise SettingsError(f"--size {size} is no multiple of 4; use {4 * round(size / 4)}")
    if paintings is None and teacher is None:
        raise SettingsError(
            "neither paintings nor a teacher are named; use --paintings DIR or --teacher FILE"
        )
    if teacher:
        _refuse_beside_teacher(context)
    refuse_uneven(batch, devices, nodes)
    with needing_pytorch():
        from sfumato.training.cyclegan import CycleGanOptions
        from sfumato.training.distillation import PUPIL_RATE, DistillationOptions
        from sfumato.training.run_options import RunOptions
        from sfumato.training.stylizer_runs import StylizerRun, steps_of, train_stylizer_run
        from sfumato.training.unpaired import UnpairedFolders
    folders = pick(UnpairedFolders, chosen, portraits=tuple(portraits or ()))
    rate = learning_rate if learning_rate is not None else PUPIL_RATE if teacher else PUBLISHED_RATE
    network: CycleGanOptions | DistillationOptions
    if teacher:
        depth = PUPIL_BLOCKS if blocks is None else blocks
        network = pick(DistillationOptions, chosen, blocks=depth, features=vgg, learning_rate=rate)
    else:
        network = pick(CycleGanOptions, chosen, learning_rate=rate)
    run = pick(RunOptions, chosen, steps=steps or steps_of(folders, size, epochs, batch))
    print(train_stylizer_run(StylizerRun(folders, network, run, vgg), out, report, resume))


def _refuse_beside_teacher(context: typer.Context) -> None:
    """Make sure that nothing is said of CycleGAN's training where a pupil is trained.

    Raises:
        SettingsError: something is.
    """
    for name in ("generator", "width", "judge_width", "upsampling", "cycle", "identity", "pool", "momentum"):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = "--" + name.replace("_", "-")
            raise SettingsError(
                f"{option} is of CycleGAN's training, which --teacher replaces; leave one out"
            )


@train_app.command(
    "stylizer-light",
    help=describe(
        "Train the embedded light generator: texture statistics of VGG19 beside the adversary, for a CPU.",
        "sfumato train stylizer-light --photos views --portraits faces --paintings monet --vgg vgg19.pth \\",
        "    --out runs/monet --minutes 120",
        "sfumato stylize portrait.jpg --style runs/monet/monet-light.onnx",
    ),
)
def train_stylizer_light(
    photos: Photos,
    portraits: Annotated[list[Path], folder_option("--portraits", "Portraits; may be given several times.")],
    paintings: Paintings,
    vgg: Vgg,
    out: Out,
    start: StartLight = None,
    frozen_from: FrozenFrom = 1500,
    learning_rate: Annotated[
        float, number_option("--learning-rate", "Largest rate of Adam.", NETWORK, 0)
    ] = 5e-4,
    steps: Steps = 20_000,
    minutes: Minutes = None,
    seed: Seed = 0,
) -> None:
    """Train the light stylizer."""
    chosen = locals()
    with needing_pytorch():
        from sfumato.training import stylizer
        from sfumato.training.stylizer_options import StylizerOptions
    schedule = make_schedule(steps, minutes, seed)
    options = pick(StylizerOptions, chosen, portraits=tuple(portraits), schedule=schedule)
    print(stylizer.train_stylizer(options, out, report))
