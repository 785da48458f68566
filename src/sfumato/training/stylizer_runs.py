"""Run a training of a stylizer by Lightning: CycleGAN (paper, section 2.2) or a light generator after a teacher."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import ceil
from pathlib import Path

from sfumato.evaluation.style_folders import StyleFolders
from sfumato.export_style import export_style
from sfumato.nets.generators import Generator
from sfumato.training.card import ModelCard, count_parameters
from sfumato.training.cyclegan import CycleGanModule, CycleGanOptions
from sfumato.training.data_notes import note_on
from sfumato.training.distillation import DistillationModule, DistillationOptions
from sfumato.training.lightning_run import DrawnData, run_training
from sfumato.training.loop import Report, write_config
from sfumato.training.loss_curve import draw_all_losses, draw_loss_curve, read_curve
from sfumato.training.run_options import RunOptions
from sfumato.training.stylizer_export import measure
from sfumato.training.unpaired import HeldOut, UnpairedDraw, UnpairedFolders

MODEL = "stylizer"
"""Name of the exported files."""


@dataclass(frozen=True, slots=True)
class StylizerRun:
    """Say what to train a stylizer on, and how.

    Attributes:
        network: of CycleGAN, or of a distillation.
        vgg: weights of VGG19 to relu3_1, to measure the result on what is held out; without them it is not measured.
    """

    folders: UnpairedFolders
    network: CycleGanOptions | DistillationOptions
    run: RunOptions = field(default_factory=RunOptions)
    vgg: Path | None = None


def flatten_run(options: StylizerRun) -> dict[str, object]:
    """Return every choice by its own name, as `--config` reads it back."""
    flat = asdict(options)
    network = {
        name: value for name, value in flat.pop("network").items() if name != "features"
    }  # which `vgg` is
    return {**flat.pop("folders"), **flat.pop("run"), **network, **flat}


def steps_of(folders: UnpairedFolders, size: int, epochs: float, batch: int) -> int:
    """Return the steps of so many epochs; an epoch shows as many pictures as the larger domain has."""
    return max(1, ceil(epochs * UnpairedDraw(folders, size).epoch / batch))


def train_stylizer_run(options: StylizerRun, run: Path, report: Report, resume: Path | None = None) -> Path:
    """Train, draw the losses, export the averaged generator, write its card and return the ONNX file.

    Args:
        resume: checkpoint to go on from; by default `run/last.ckpt`, where it exists.

    Raises:
        InputError: a folder has too few pictures.
        ModelError: the teacher is no generator.
    """
    write_config(run, {"task": "stylizer", "options": flatten_run(options)})
    network, size = options.network, options.network.size
    module = (
        CycleGanModule(network, options.run.seed)
        if isinstance(network, CycleGanOptions)
        else DistillationModule(network, options.run.seed)
    )
    draw, held_out = UnpairedDraw(options.folders, size), HeldOut(options.folders, size)
    steps, seconds = run_training(
        module, DrawnData(draw, held_out, options.run), run, options.run, report, resume
    )
    path = run / f"{MODEL}.onnx"
    if not module.trainer.is_global_zero:
        return path  # the first of several processes writes it
    draw_loss_curve(run)
    draw_all_losses(run)
    net = module.generator.cpu()
    export_style(net, path)
    write_run_card(options, run, net, steps=steps, minutes=seconds / 60)
    return path


def write_run_card(options: StylizerRun, run: Path, net: Generator, *, steps: int, minutes: float) -> Path:
    """Measure the exported generator on what was held out and write its card beside it."""
    path, network = run / f"{MODEL}.onnx", options.network
    folders = options.folders
    distilled = isinstance(network, DistillationOptions)
    manner = "as its teacher does" if distilled else f"in the manner of the paintings in {folders.name}"
    named = [
        f"--photos {folders.photos.name}",
        *(f"--portraits {folder.name}" for folder in folders.portraits),
    ]
    if folders.paintings:
        named.append(f"--paintings {folders.paintings.name}")
    if isinstance(network, DistillationOptions):
        named.append(f"--teacher {network.teacher.name}")
    card = ModelCard(
        name=run.name,
        task=f"Paints a photo {manner}",
        parameters=count_parameters(net),
        data=describe_folders(folders),
        licence="that of the data allows what it allows; the code is under Apache-2.0",
        command=f"sfumato train stylizer {' '.join(named)} --config config.json",
        steps=steps,
        minutes=minutes,
        seed=options.run.seed,
        scores=_scores(options, run),
        limits=("trained on what the data lines say, and measured on nothing else",),
    )
    return card.write(path)


def describe_folders(folders: UnpairedFolders) -> tuple[str, ...]:
    """Return one line for each folder trained on."""
    lines = [note_on(folders.photos, folders.held_out)]
    lines += [note_on(folder, 0) for folder in folders.portraits]
    return (*lines, note_on(folders.paintings, folders.held_out)) if folders.paintings else tuple(lines)


def _scores(options: StylizerRun, run: Path) -> Mapping[str, float]:
    """Return the last validation loss and, where VGG's weights are given, the measures on what was held out."""
    scores = {
        f"loss on {options.folders.held_out} held-out pictures": float(read_curve(run, "val_loss")[-1, 1])
    }
    folders = options.folders
    if options.vgg is None or folders.paintings is None:
        return scores
    held_out = folders.held_out
    measured = StyleFolders(folders.photos, folders.paintings, options.vgg, held_out, held_out)
    return {**scores, **measure(run / f"{MODEL}.onnx", measured)}
