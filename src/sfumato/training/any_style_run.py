"""Run the training of the networks that paint in the manner of any one picture, by Lightning, and export both."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from sfumato.export import check_parity, export_onnx
from sfumato.export_style import add_facts, margin_of
from sfumato.nets.any_style import CODE, export_copy
from sfumato.stages.any_style import STYLE_SIDE
from sfumato.stages.style_facts import StyleFacts
from sfumato.training.any_style import AnyStyle, AnyStyleModule, AnyStyleOptions
from sfumato.training.any_style_draw import AnyStyleDraw, AnyStyleFolders, AnyStyleHeldOut
from sfumato.training.card import ModelCard, count_parameters
from sfumato.training.data_notes import note_on
from sfumato.training.lightning_run import DrawnData, run_training
from sfumato.training.loop import Report, write_config
from sfumato.training.loss_curve import draw_all_losses, draw_loss_curve, read_curve
from sfumato.training.run_options import RunOptions
from sfumato.training.start import refuse_other_start

ENCODER, PAINTER = "any-style-encoder", "any-style"
"""Names of the exported files."""

ANY_UNDERPAINT = 0.3
"""Part of the broad painting in what is painted over; the training does without."""


@dataclass(frozen=True, slots=True)
class AnyStyleRun:
    """Say what to train on, and how."""

    folders: AnyStyleFolders
    network: AnyStyleOptions
    run: RunOptions = field(default_factory=RunOptions)


def train_any_style(options: AnyStyleRun, run: Path, report: Report, resume: Path | None = None) -> Path:
    """Train, draw the losses, export the averaged networks, write their card and return the painter's ONNX file.

    Args:
        resume: checkpoint to go on from; by default `run/last.ckpt`, where it exists.

    Raises:
        InputError: a folder has too few pictures, or the run that is gone on with started from other weights.
    """
    refuse_other_start(run, "last.ckpt", options.network.start)
    flat = asdict(options)
    write_config(run, {"task": "any-style", "options": {**flat["folders"], **flat["run"], **flat["network"]}})
    size = options.network.size
    module = AnyStyleModule(options.network, options.run.seed)
    data = DrawnData(AnyStyleDraw(options.folders, size), AnyStyleHeldOut(options.folders, size), options.run)
    steps, seconds = run_training(module, data, run, options.run, report, resume)
    path = run / f"{PAINTER}.onnx"
    if not module.trainer.is_global_zero:
        return path  # the first of several processes writes it
    draw_loss_curve(run)
    draw_all_losses(run)
    export_any_style(module.net, run, grain=options.folders.grain)
    write_any_style_card(options, run, module.net, steps=steps, minutes=seconds / 60)
    return path


def export_any_style(net: AnyStyle, folder: Path, *, grain: float = 0.0) -> float:
    """Write both networks for OpenVINO, the painter with how it is to be used; return the largest difference.

    Args:
        grain: what the painter was trained with.

    Raises:
        ModelError: a code differs by more than 0.02 or a level by more than half of one.
    """
    encoder, painter = net.encoder.cpu().eval(), export_copy(net.painter.cpu())
    picture = torch.rand(1, 3, STYLE_SIDE, STYLE_SIDE)
    export_onnx(encoder, folder / f"{ENCODER}.onnx", example=picture)
    apart = check_parity(encoder, folder / f"{ENCODER}.onnx", picture, tolerance=2e-2)
    code, path = torch.randn(1, CODE, 1, 1), folder / f"{PAINTER}.onnx"
    export_onnx(painter, path, example={"input": torch.rand(1, 3, 64, 64), "code": code})
    tile = {"input": torch.rand(1, 3, 96, 128), "code": code}
    apart = max(apart, check_parity(painter, path, tile, tolerance=5e-3))
    add_facts(path, StyleFacts("tile", margin_of(painter.radius), grain, ANY_UNDERPAINT))
    return apart


def write_any_style_card(
    options: AnyStyleRun, run: Path, net: AnyStyle, *, steps: int, minutes: float
) -> Path:
    """Write the card beside the painter."""
    folders = options.folders
    lines = [note_on(folders.photos, folders.held_out), *(note_on(path, 0) for path in folders.portraits)]
    lines += [note_on(path, folders.held_out) for path in folders.styles]
    card = ModelCard(
        name=PAINTER,
        task="Paints a photo in the manner of any one picture, which any-style-encoder describes",
        parameters=count_parameters(net),
        data=(
            *lines,
            "VGG19 to relu3_1, used in the losses only, no part of the model: weights from ImageNet",
        ),
        licence="that of the data allows what it allows; the code is under Apache-2.0",
        command="sfumato train any-style --photos DIR --portraits DIR --styles DIR --vgg FILE"
        + (f" --start {options.network.start.name}" if options.network.start else ""),
        steps=steps,
        minutes=minutes,
        seed=options.run.seed,
        scores={
            f"loss on {folders.held_out} held-out photos and styles": float(
                read_curve(run, "val_loss")[-1, 1]
            )
        },
        limits=("a manner is looked at in the middle square of the picture, at 256 pixels",),
    )
    return card.write(run / f"{PAINTER}.onnx")
