"""Offer the trainings on a terminal: folders and budgets in, one run folder out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from sfumato.apps.cli_options import describe
from sfumato.apps.cli_train_options import Minutes, Out, Seed, Steps, Vgg, file_option, folder_option
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
        "Train a network: checkpoints, a log, an ONNX file and its card go into one folder. Needs sfumato[train].",
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
        "sfumato train restorer --images faces/ --vgg vgg19.pth --out runs/restorer --minutes 90",
    ),
)
def train_restorer(
    images: Annotated[Path, folder_option("--images", "Aligned 512x512 faces.")],
    vgg: Vgg,
    out: Out,
    steps: Steps = 20_000,
    minutes: Minutes = None,
    seed: Seed = 0,
) -> None:
    """Train the restorer."""
    with needing_pytorch():
        from sfumato.training import restorer
    options = restorer.RestorerOptions(images, vgg, make_schedule(steps, minutes, seed))
    print(restorer.train_restorer(options, out, report))


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
