"""Name the options that trainings share, with their help, and read them from a file; nothing is trained here."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import typer

from sfumato.errors import SettingsError
from sfumato.settings import read_choices
from sfumato.settings_parsing import did_you_mean

Chosen = TypeVar("Chosen")

DATA = "Data"
NETWORK = "Network"
BUDGET = "Budget"
MACHINE = "Machine"


def folder_option(name: str, text: str) -> typer.models.OptionInfo:
    """Return the option of a folder of training data, which must exist."""
    info: typer.models.OptionInfo = typer.Option(
        name, help=text, rich_help_panel=DATA, exists=True, file_okay=False
    )
    return info


def file_option(name: str, text: str, panel: str = DATA) -> typer.models.OptionInfo:
    """Return the option of a file, which must exist."""
    info: typer.models.OptionInfo = typer.Option(
        name, help=text, rich_help_panel=panel, exists=True, dir_okay=False
    )
    return info


def number_option(
    name: str, text: str, panel: str, least: float, most: float | None = None
) -> typer.models.OptionInfo:
    """Return the option of a number that is neither less than `least` nor more than `most`."""
    info: typer.models.OptionInfo = typer.Option(name, help=text, rich_help_panel=panel, min=least, max=most)
    return info


def pick(options: type[Chosen], chosen: Mapping[str, Any], **others: object) -> Chosen:
    """Return a dataclass of options, each field taken from `others` or from the command's parameter of its name."""
    named = {field.name: chosen[field.name] for field in fields(options) if field.name in chosen}  # type: ignore[arg-type]  # a dataclass
    return options(**{**named, **others})


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


Out: TypeAlias = Annotated[
    Path, typer.Option("--out", help="Folder of the run; one that holds a checkpoint goes on from there.")
]
Vgg: TypeAlias = Annotated[Path, file_option("--vgg", "Weights of VGG19 to relu3_1.")]
StartLight: TypeAlias = Annotated[
    Path | None,
    file_option("--start", "Go on from these weights of a light generator: .safetensors or .onnx.", NETWORK),
]
FrozenFrom: TypeAlias = Annotated[
    int,
    number_option("--frozen-from", "Step from which the normalisations keep their statistics.", NETWORK, 0),
]
Steps: TypeAlias = Annotated[int, number_option("--steps", "Steps in all.", BUDGET, 1)]
Minutes: TypeAlias = Annotated[float | None, number_option("--minutes", "Minutes in all.", BUDGET, 0.01)]
Seed: TypeAlias = Annotated[int, number_option("--seed", "Seed of every choice.", BUDGET, 0)]
Batch: TypeAlias = Annotated[int, number_option("--batch", "Pictures a step, over all devices.", BUDGET, 1)]
Warmup: TypeAlias = Annotated[int, number_option("--warmup", "Steps of warm-up.", BUDGET, 0)]
DecayOption: TypeAlias = Annotated[
    Literal["cosine", "linear"],
    typer.Option(
        "--decay",
        help="How the rate falls to zero: from the start, or only in the second half.",
        rich_help_panel=BUDGET,
    ),
]
ValidateEvery: TypeAlias = Annotated[
    int, number_option("--validate-every", "Steps between validations and checkpoints.", BUDGET, 1)
]
LogEvery: TypeAlias = Annotated[
    int, number_option("--log-every", "Steps between lines of the log.", BUDGET, 1)
]
Workers: TypeAlias = Annotated[int, number_option("--workers", "Processes that draw pictures.", MACHINE, 0)]
PrecisionOption: TypeAlias = Annotated[
    Literal["auto", "bf16", "fp32"],
    typer.Option("--precision", help="bf16 where the device multiplies in it.", rich_help_panel=MACHINE),
]
Accelerator: TypeAlias = Annotated[
    Literal["auto", "cpu", "gpu", "mps"],
    typer.Option("--accelerator", help="What to train on.", rich_help_panel=MACHINE),
]
Devices: TypeAlias = Annotated[
    int, number_option("--devices", "Devices a node, trained on by DDP.", MACHINE, 1)
]
Nodes: TypeAlias = Annotated[
    int, number_option("--nodes", "Nodes, started by torchrun or SLURM.", MACHINE, 1)
]
Resume: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--resume", help="Checkpoint to go on from; by default OUT/last.ckpt.", exists=True, dir_okay=False
    ),
]
Patience: TypeAlias = Annotated[
    int | None, number_option("--patience", "End after this many validations without a gain.", BUDGET, 1)
]
Average: TypeAlias = Annotated[
    float,
    number_option("--average", "Decay of the running average that is exported; 0 is none.", NETWORK, 0, 1),
]
Clip: TypeAlias = Annotated[
    float | None, number_option("--clip", "Largest norm of the gradient; by default any.", NETWORK, 0)
]
PortraitsAmong: TypeAlias = Annotated[
    list[Path] | None,
    folder_option("--portraits", "Portraits among the photos; may be given several times."),
]
PortraitShare: TypeAlias = Annotated[
    float, number_option("--portrait-share", "Part of the photos that are portraits.", DATA, 0, 1)
]
Config: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="TOML or JSON file of these options, such as a run's config.json; options given here win.",
        is_eager=True,
        callback=apply_config,
    ),
]


def refuse_uneven(batch: int, devices: int, nodes: int) -> None:
    """Make sure that every device gets as many pictures as the others.

    Raises:
        SettingsError: the batch cannot be dealt evenly.
    """
    if batch % (devices * nodes):
        raise SettingsError(f"--batch {batch} cannot be dealt to {devices * nodes} devices; use a multiple")
