"""Offer the measurements of the embedded networks on a terminal."""

from collections.abc import Mapping
from math import isnan
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from sfumato.apps.cli_options import (
    DeviceOption,
    ExactOption,
    JsonOption,
    OverwriteOption,
    QuietOption,
    describe,
)
from sfumato.apps.cli_pipeline import build_chosen, choose_settings
from sfumato.apps.cli_report import Voice
from sfumato.apps.cli_train import needing_pytorch
from sfumato.apps.cli_train_options import DATA, Vgg, folder_option, number_option

Data: TypeAlias = Annotated[
    Path, typer.Option("--data", help="Folder to measure on.", exists=True, file_okay=False)
]

evaluate_app = typer.Typer(
    help=describe(
        "Measure the networks on pictures. Needs sfumato\\[train].",
        "sfumato evaluate detector --data eval --leave-out paintings",
        "sfumato evaluate segmenter --data easyportrait --json",
        "sfumato evaluate segmenters --data easyportrait --models light,sam-vit-b --out report/",
        "sfumato evaluate pipeline --images photos/ --out report/",
        "sfumato evaluate stylizer --photos views --paintings monet --vgg vgg19.pth",
    )
)


@evaluate_app.command(
    "detector",
    help=describe(
        "Recall, precision and landmark error on the pictures that DIR/faces.json names.",
        "sfumato evaluate detector --data eval",
        "sfumato evaluate detector --data eval --leave-out paintings --leave-out drawings --json",
    ),
)
def evaluate_detector(
    context: typer.Context,
    data: Data,
    leave_out: Annotated[list[str], typer.Option("--leave-out", help="Sub-folder to leave out.")] = [],  # noqa: B006
    device: DeviceOption = None,
    exact: ExactOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure the detector."""
    with needing_pytorch():
        from sfumato.evaluation.detection import evaluate_folder
    pipeline = build_chosen(context, choose_settings({"device": device, "exact": exact}))
    scores, _ = evaluate_folder(pipeline.detect_faces, data, leave_out=leave_out)
    error = _number(scores.landmark_error)
    counts = {"found": scores.found, "missed": scores.missed, "false": scores.false}
    voice = Voice(json=as_json, quiet=quiet)
    voice.say(f"recall {scores.recall:.3f}, precision {scores.precision:.3f}: " + _listed(counts))
    voice.say(
        f"landmark error {error:.3f} of the distance of the eyes" if error is not None else "no face found"
    )
    frontal = _number(scores.frontal_error)
    if frontal is not None:
        voice.say(f"{frontal:.3f} on the {len(scores.frontal_errors)} frontal faces")
    errors = {"landmark_error": error, "frontal_landmark_error": frontal}
    voice.tell({"recall": scores.recall, "precision": scores.precision, **errors, **counts})


@evaluate_app.command(
    "segmenter",
    help=describe(
        "Overlap (IoU, F1) and border (F1 within 2 px at 512) of each class on a data set in EasyPortrait's layout.",
        "sfumato evaluate segmenter --data easyportrait",
        "sfumato evaluate segmenter --data easyportrait --split test --json",
        "sfumato evaluate segmenter --data easyportrait --model runs/paper/unet-efficientnet-b2.onnx --save shown/",
    ),
)
def evaluate_segmenter(
    context: typer.Context,
    data: Data,
    split: Annotated[str, typer.Option("--split", help="Sub-folder of images and of annotations.")] = "val",
    model: Annotated[
        Path | None,
        typer.Option(
            help="ONNX file of a segmenter, instead of the embedded one.", exists=True, dir_okay=False
        ),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Folder for photo, prediction and truth side by side, one PNG each.")
    ] = None,
    mend_sides: Annotated[
        bool, typer.Option("--mend-sides", help="Swap left and right in masks that have them swapped.")
    ] = False,
    device: DeviceOption = None,
    exact: ExactOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure a segmenter, faces found by the detector."""
    with needing_pytorch():
        from sfumato.evaluation.parsing import evaluate_segmenter as measure
        from sfumato.evaluation.side_by_side import SideBySide
        from sfumato.training.segmenter_card import parse_with
    pipeline = build_chosen(context, choose_settings({"device": device, "exact": exact}))
    parse = parse_with(model) if model else pipeline.segment
    show = SideBySide(save, overwrite=overwrite) if save else None
    scores = measure(parse, data, split, show, mend_sides=mend_sides)
    voice = Voice(json=as_json, quiet=quiet)
    voice.say(f"{'':12} {'IoU':>6} {'F1':>6} {'border':>6}")
    for name in scores.classes:
        values = (scores.classes[name], scores.f1[name], scores.boundary_f1[name])
        voice.say(f"{name:12} " + " ".join(f"{value:6.3f}" for value in values))
    voice.say(f"{'face':12} {scores.face:6.3f} {'':6} {scores.boundary_f1['face']:6.3f}")
    voice.say(f"mean IoU {scores.mean:.3f}, pixel accuracy {scores.accuracy:.3f}")
    if scores.swapped:
        voice.say(
            f"{scores.swapped} masks have left and right swapped; "
            f"set right (--mend-sides), the mean IoU is {scores.mended_mean:.3f}"
        )
    voice.tell(
        {
            "classes": _numbers(scores.classes),
            "f1": _numbers(scores.f1),
            "boundary_f1": _numbers(scores.boundary_f1),
            **_numbers({"mean": scores.mean, "face": scores.face, "accuracy": scores.accuracy}),
            "swapped": scores.swapped,
            "mended_mean": _number(scores.mended_mean),
        }
    )


@evaluate_app.command(
    "stylizer",
    help=describe(
        "How near painted photos come to paintings (Frechet distance on VGG19's relu3_1, as a part of the untouched "
        "photos') and how much of the photos is kept (SSIM). The last of each folder by name count as held out.",
        "sfumato evaluate stylizer --photos views --paintings monet --vgg vgg19.pth",
        "sfumato evaluate stylizer --photos views --paintings monet --vgg vgg19.pth --style runs/monet/stylizer.onnx",
        "sfumato evaluate stylizer --photos views --paintings monet --vgg vgg19.pth --painted others/ --json",
    ),
)
def evaluate_stylizer(
    photos: Annotated[Path, folder_option("--photos", "Photos; the last by name are measured on.")],
    paintings: Annotated[Path, folder_option("--paintings", "Paintings; the last by name count as unseen.")],
    vgg: Vgg,
    style: Annotated[str, typer.Option("--style", help="Name of a style, or a generator's file.")] = "monet",
    painted: Annotated[
        Path | None,
        folder_option("--painted", "The same photos as another program painted them, by the same names."),
    ] = None,
    photos_held_out: Annotated[
        int, number_option("--photos-held-out", "How many photos are measured on.", DATA, 2)
    ] = 120,
    paintings_held_out: Annotated[
        int, number_option("--paintings-held-out", "How many paintings are unseen ones.", DATA, 2)
    ] = 60,
    save: Annotated[
        Path | None, typer.Option(help="Folder for the photos as they are measured, painted, as PNG.")
    ] = None,
    exact: ExactOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure a stylizer, faces painted too."""
    with needing_pytorch():
        from sfumato.evaluation.side_by_side import PaintingFiles
        from sfumato.evaluation.style_folders import StyleFolders, measure_style, paint_in, painted_in
    folders = StyleFolders(photos, paintings, vgg, photos_held_out, paintings_held_out)
    paint = paint_in(style, exact=bool(exact)) if painted is None else painted_in(painted)
    show = PaintingFiles(save, overwrite=overwrite) if save else None
    scores = measure_style(paint, folders, show)
    voice = Voice(json=as_json, quiet=quiet)
    voice.say(
        f"Frechet fraction {scores.fraction:.3f}, to unseen paintings alone {scores.unseen_fraction:.3f}"
    )
    voice.say(
        f"on EfficientNet-Lite0's features, by which no style here is trained, {scores.second_fraction:.3f}"
    )
    voice.say(f"SSIM of luminance {scores.ssim:.3f}, on {photos_held_out} photos at 256x256")
    voice.tell(
        {
            "fraction": scores.fraction,
            "unseen_fraction": scores.unseen_fraction,
            "second_fraction": scores.second_fraction,
            "ssim": scores.ssim,
            "photos": photos_held_out,
        }
    )


def _number(value: float) -> float | None:
    """Return the value as JSON holds it, which knows no NaN."""
    return None if isnan(value) else value


def _numbers(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in values.items()}


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
