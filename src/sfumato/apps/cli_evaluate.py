"""Offer the measurements of the embedded networks on a terminal."""

from math import isnan
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from sfumato.apps.cli_options import DeviceOption, ExactOption, JsonOption, describe
from sfumato.apps.cli_pipeline import build_chosen, choose_settings
from sfumato.apps.cli_report import Voice
from sfumato.apps.cli_train import needing_pytorch

Data: TypeAlias = Annotated[
    Path, typer.Option("--data", help="Folder to measure on.", exists=True, file_okay=False)
]

evaluate_app = typer.Typer(
    help=describe(
        "Measure the embedded networks on labelled pictures. Needs sfumato[train].",
        "sfumato evaluate detector --data eval --leave-out paintings",
        "sfumato evaluate segmenter --data easyportrait --json",
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
) -> None:
    """Measure the detector."""
    with needing_pytorch():
        from sfumato.evaluation.detection import evaluate_folder
    pipeline = build_chosen(context, choose_settings({"device": device, "exact": exact}))
    scores, _ = evaluate_folder(pipeline.detect_faces, data, leave_out=leave_out)
    error = _number(scores.landmark_error)
    counts = {"found": scores.found, "missed": scores.missed, "false": scores.false}
    voice = Voice(json=as_json)
    voice.say(f"recall {scores.recall:.3f}, precision {scores.precision:.3f}: " + _listed(counts))
    voice.say(
        f"landmark error {error:.3f} of the distance of the eyes" if error is not None else "no face found"
    )
    voice.tell({"recall": scores.recall, "precision": scores.precision, "landmark_error": error, **counts})


@evaluate_app.command(
    "segmenter",
    help=describe(
        "Intersection over union of each class on a folder in EasyPortrait's layout.",
        "sfumato evaluate segmenter --data easyportrait",
        "sfumato evaluate segmenter --data easyportrait --split test --json",
    ),
)
def evaluate_segmenter(
    context: typer.Context,
    data: Data,
    split: Annotated[str, typer.Option("--split", help="Sub-folder of images and of annotations.")] = "val",
    device: DeviceOption = None,
    exact: ExactOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the segmenter, faces found by the detector."""
    with needing_pytorch():
        from sfumato.evaluation.parsing import evaluate_segmenter as measure
    pipeline = build_chosen(context, choose_settings({"device": device, "exact": exact}))
    scores = measure(pipeline.segment, data, split)
    voice = Voice(json=as_json)
    totals = {"mean": scores.mean, "face": scores.face, "accuracy": scores.accuracy}
    for name, value in {**scores.classes, **totals}.items():
        voice.say(f"{name:12} {value:.3f}")
    classes = {name: _number(value) for name, value in scores.classes.items()}
    voice.tell({"classes": classes, **{name: _number(value) for name, value in totals.items()}})


def _number(value: float) -> float | None:
    """Return the value as JSON holds it, which knows no NaN."""
    return None if isnan(value) else value


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
