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
    Vgg,
    Warmup,
    Workers,
    file_option,
    folder_option,
    number_option,
    refuse_uneven,
)
from sfumato.errors import SettingsError

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
    photos: Photos,
    out: Out,
    paintings: Annotated[
        Path | None, folder_option("--paintings", "Paintings of one manner; not needed with --teacher.")
    ] = None,
    portraits: Annotated[
        list[Path] | None,
        folder_option("--portraits", "Portraits among the photos; may be given several times."),
    ] = None,
    portrait_share: Annotated[
        float,
        typer.Option(help="Part of the photos that are portraits.", min=0, max=1, rich_help_panel=DATA),
    ] = 0.4,
    held_out: Annotated[
        int, number_option("--held-out", "Last photos and paintings, never trained on.", DATA, 1)
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
    momentum: Annotated[float, number_option("--momentum", "First beta of Adam.", NETWORK, 0)] = 0.5,
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
    average: Annotated[
        float,
        number_option(
            "--average", "Decay of the running average that is exported; 0 is none, as published.", NETWORK, 0
        ),
    ] = 0.0,
    clip: Annotated[
        float | None, number_option("--clip", "Largest norm of the gradient; by default any.", NETWORK, 0)
    ] = None,
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
    """Train a stylizer."""
    if size % 4:
        raise SettingsError(f"--size {size} is no multiple of 4; use {4 * round(size / 4)}")
    if paintings is None and teacher is None:
        raise SettingsError(
            "neither paintings nor a teacher are named; use --paintings DIR or --teacher FILE"
        )
    refuse_uneven(batch, devices, nodes)
    with needing_pytorch():
        from sfumato.training.cyclegan import CycleGanOptions
        from sfumato.training.distillation import DistillationOptions
        from sfumato.training.run_options import RunOptions
        from sfumato.training.stylizer_runs import StylizerRun, steps_of, train_stylizer_run
        from sfumato.training.unpaired import UnpairedFolders
    folders = UnpairedFolders(
        photos, None if teacher else paintings, tuple(portraits or ()), portrait_share, held_out
    )
    network: CycleGanOptions | DistillationOptions
    if teacher:
        network = DistillationOptions(
            teacher, 5 if blocks is None else blocks, vgg, perceptual, learning_rate or 1e-3, size
        )
    else:
        network = CycleGanOptions(
            generator,
            blocks,
            width,
            judge_width,
            upsampling,
            cycle,
            identity,
            pool,
            learning_rate or 2e-4,
            momentum,
            size,
        )
    run = RunOptions(
        steps=steps or steps_of(folders, size, epochs, batch),
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
    print(train_stylizer_run(StylizerRun(folders, network, run, vgg), out, report, resume))


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
    steps: Steps = 20_000,
    minutes: Minutes = None,
    seed: Seed = 0,
) -> None:
    """Train the light stylizer."""
    with needing_pytorch():
        from sfumato.training import stylizer
        from sfumato.training.stylizer_options import StylizerOptions
    schedule = make_schedule(steps, minutes, seed)
    options = StylizerOptions(photos, tuple(portraits), paintings, vgg, schedule)
    print(stylizer.train_stylizer(options, out, report))


@train_app.command(
    "any-style",
    help=describe(
        "Train the networks that paint in the manner of any one picture, for sfumato stylize --style PAINTING.jpg.",
        "sfumato train any-style --photos views --portraits faces --styles monet --styles prints \\",
        "    --vgg vgg19.pth --out runs/any --minutes 150",
    ),
)
def train_any_style(
    photos: Photos,
    styles: Annotated[
        list[Path], folder_option("--styles", "Paintings of any manner; may be given several times.")
    ],
    vgg: Vgg,
    out: Out,
    portraits: Annotated[
        list[Path] | None,
        folder_option("--portraits", "Portraits among the photos; may be given several times."),
    ] = None,
    portrait_share: Annotated[
        float,
        typer.Option(help="Part of the photos that are portraits.", min=0, max=1, rich_help_panel=DATA),
    ] = 0.4,
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
    similarity: Annotated[
        float, number_option("--similarity", "Weight of the floor under the similarity.", NETWORK, 0)
    ] = 10.0,
    similarity_floor: Annotated[
        float, number_option("--similarity-floor", "Structural similarity that is left.", NETWORK, 0)
    ] = 0.5,
    learning_rate: Annotated[float, number_option("--learning-rate", "Of Adam.", NETWORK, 0)] = 1e-3,
    steps: Steps = 20_000,
    minutes: Minutes = None,
    batch: Batch = 4,
    warmup: Warmup = 100,
    decay: DecayOption = "cosine",
    average: Annotated[
        float, number_option("--average", "Decay of the running average that is exported.", NETWORK, 0)
    ] = 0.995,
    clip: Annotated[
        float | None, number_option("--clip", "Largest norm of the gradient; by default any.", NETWORK, 0)
    ] = None,
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
    """Train both networks."""
    if size % 16:
        raise SettingsError(f"--size {size} is no multiple of 16; use {16 * round(size / 16)}")
    refuse_uneven(batch, devices, nodes)
    with needing_pytorch():
        from sfumato.training.any_style import AnyStyleOptions
        from sfumato.training.any_style_draw import AnyStyleFolders
        from sfumato.training.any_style_run import AnyStyleRun
        from sfumato.training.any_style_run import train_any_style as train
        from sfumato.training.run_options import RunOptions
    folders = AnyStyleFolders(
        photos,
        tuple(styles),
        tuple(portraits or ()),
        portrait_share,
        photo_styles,
        recoloured,
        grain,
        held_out,
    )
    network = AnyStyleOptions(
        vgg, blocks, size, gram, moments, content, flatness, similarity, similarity_floor, learning_rate
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
    print(train(AnyStyleRun(folders, network, run), out, report, resume))
