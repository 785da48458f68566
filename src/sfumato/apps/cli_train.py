"""Offer the trainings on a terminal: folders and budgets in, one run folder out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from sfumato.apps.cli_options import describe
from sfumato.apps.cli_train_options import (
    DATA,
    NETWORK,
    Minutes,
    Out,
    PortraitsAmong,
    Seed,
    Steps,
    Vgg,
    file_option,
    folder_option,
    number_option,
    pick,
)
from sfumato.errors import BackendMissingError

if TYPE_CHECKING:
    from sfumato.training.loop import Schedule

Parsed: TypeAlias = Annotated[
    Path, folder_option("--portraits", "Portraits in EasyPortrait's layout: images/train, annotations/train.")
]
Backgrounds: TypeAlias = Annotated[
    list[Path], folder_option("--backgrounds", "Photos without people; may be given several times.")
]

train_app = typer.Typer(
    help=describe(
        "Train a network: checkpoints, a log, an ONNX file and its card go into one folder. Needs sfumato\\[train].",
        "sfumato train restorer --images faces/ --vgg vgg19.pth --out runs/restorer",
        "sfumato train detector --help",
    )
)


@train_app.command(
    "detector",
    help=describe(
        "Train the face detector on synthetic scenes and on photos that YuNet labels.",
        "sfumato train detector --portraits easyportrait --people photos --backgrounds views \\",
        "    --yunet yunet.onnx --out runs/detector --minutes 90",
    ),
)
def train_detector(
    portraits: Parsed,
    people: Annotated[
        list[Path], folder_option("--people", "Photos with people; may be given several times.")
    ],
    backgrounds: Backgrounds,
    yunet: Annotated[Path, file_option("--yunet", "ONNX file of YuNet with dynamic sizes.")],
    out: Out,
    scrfd: Annotated[
        Path | None, file_option("--scrfd", "ONNX file of SCRFD with landmarks, to settle YuNet's points.")
    ] = None,
    start: Annotated[
        Path | None, file_option("--start", "Start from these weights: safetensors or ONNX of a run.")
    ] = None,
    learning_rate: Annotated[float, typer.Option(help="Largest learning rate.", min=0)] = 2e-3,
    steps: Steps = 20_000,
    minutes: Minutes = None,
    seed: Seed = 0,
) -> None:
    """Train the face detector."""
    with needing_pytorch():
        from sfumato.training import detector
        from sfumato.training.scene_layers import SceneFolders
    folders = SceneFolders(portraits, tuple(people), tuple(backgrounds))
    options = detector.DetectorOptions(
        folders, yunet, scrfd, start, rate=learning_rate, schedule=make_schedule(steps, minutes, seed)
    )
    print(detector.train_detector(options, out, report))


@train_app.command(
    "restorer",
    help=describe(
        "Train the light face restorer on aligned 512x512 faces, degraded on the way.",
        "sfumato train restorer --images faces/ --vgg vgg19.pth --recognition mobilefacenet.ckpt \\",
        "    --out runs/restorer --minutes 90",
    ),
)
def train_restorer(
    images: Annotated[Path, folder_option("--images", "Aligned 512x512 faces.")],
    vgg: Vgg,
    out: Out,
    recognition: Annotated[
        Path | None,
        file_option("--recognition", "Weights of MobileFaceNet, so that who is restored stays that person."),
    ] = None,
    start: Annotated[
        Path | None,
        file_option(
            "--start", "Go on from these weights of a light restorer: .safetensors or .onnx.", NETWORK
        ),
    ] = None,
    pixels_only: Annotated[
        int,
        number_option(
            "--pixels-only", "First steps in which VGG19 and the discriminator do not count.", NETWORK, 0
        ),
    ] = 1600,
    feature: Annotated[float, number_option("--feature", "Weight of VGG19's activations.", NETWORK, 0)] = 1.0,
    texture: Annotated[float, number_option("--texture", "Weight of their deviations.", NETWORK, 0)] = 0.5,
    adversarial: Annotated[
        float, number_option("--adversarial", "Weight of the discriminator.", NETWORK, 0)
    ] = 0.02,
    identity: Annotated[float, number_option("--identity", "Weight of the likeness.", NETWORK, 0)] = 2.0,
    rate: Annotated[float, number_option("--learning-rate", "Of AdamW.", NETWORK, 0)] = 1e-3,
    steps: Steps = 20_000,
    minutes: Minutes = None,
    seed: Seed = 0,
) -> None:
    """Train the restorer."""
    chosen = locals()
    with needing_pytorch():
        from sfumato.training.restorer import train_restorer as train
        from sfumato.training.restorer_options import LossWeights, RestorerOptions
    weights, schedule = pick(LossWeights, chosen), make_schedule(steps, minutes, seed)
    options = pick(RestorerOptions, chosen, weights=weights, schedule=schedule)
    print(train(options, out, report))


@train_app.command(
    "recogniser",
    help=describe(
        "Train the light face recogniser, which measures likeness, after MobileFaceNet.",
        "sfumato train recogniser --faces aligned --portraits people --teacher mobilefacenet.ckpt \\",
        "    --out runs/recogniser --minutes 15",
    ),
)
def train_recogniser(
    faces: Annotated[
        list[Path], folder_option("--faces", "Aligned 512x512 faces; may be given several times.")
    ],
    teacher: Annotated[Path, file_option("--teacher", "Weights of MobileFaceNet.")],
    out: Out,
    portraits: PortraitsAmong = None,
    held_out: Annotated[
        int, number_option("--held-out", "Last pictures of each folder, never trained on.", DATA, 2)
    ] = 20,
    channels: Annotated[
        int, number_option("--channels", "Width of the network: of its first blocks.", NETWORK, 8)
    ] = 40,
    steps: Steps = 20_000,
    minutes: Minutes = None,
    seed: Seed = 0,
) -> None:
    """Train the recogniser."""
    chosen = locals()
    with needing_pytorch():
        from sfumato.training.recogniser import RecogniserOptions
        from sfumato.training.recogniser import train_recogniser as train
    schedule, folders = make_schedule(steps, minutes, seed), tuple(portraits or ())
    options = pick(RecogniserOptions, chosen, faces=tuple(faces), portraits=folders, schedule=schedule)
    print(train(options, out, report))


@contextmanager
def needing_pytorch() -> Iterator[None]:
    """Turn a missing package of the training extra into one line.

    Raises:
        BackendMissingError: PyTorch or another package of the extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise BackendMissingError(
            f"{error.name} is not installed; try: pip install 'sfumato[train]'"
        ) from error


def make_schedule(steps: int, minutes: float | None, seed: int) -> "Schedule":
    """Return the budget of a run."""
    from sfumato.training.loop import Schedule

    return Schedule(steps=steps, minutes=minutes, seed=seed)


def report(line: str) -> None:
    """Print a line of a training at once, also into a file."""
    print(line, flush=True)
