"""Turn a trained light generator into a model file with a measured card; it trains nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sfumato.evaluation.style import score_stylizer
from sfumato.nets.vgg import load_vgg
from sfumato.styles import open_style
from sfumato.training.card import ModelCard
from sfumato.training.crops import hold_out, list_pictures, read_picture
from sfumato.training.stylizer_options import DATA_NOTES, StylizerOptions
from sfumato.types import Image

LIMITS = (
    "the strokes are a few pixels wide; large pictures are painted at half their size first, which widens them",
    "it sees 45 pixels around each pixel: it knows nothing of the composition",
    "the Frechet figures use the VGG19 features that the training losses use too: they flatter it beside a "
    "stylizer that was not trained on them",
    "black and white become lighter and darker, as paint has neither; night scenes lose depth",
)


def measure(
    model: Path, photos: Sequence[Image], paintings: Sequence[Image], vgg: Path, *, held_out: int
) -> Mapping[str, float]:
    """Paint photos and measure them against all paintings and against the last `held_out`, which it never saw."""
    scores = score_stylizer(
        open_style(str(model), "cpu").paint, photos, paintings, load_vgg(vgg), held_out=held_out
    )
    every = len(paintings)
    return {
        f"Frechet distance of {len(photos)} held-out photos, painted, to {every} paintings ({every - held_out} of "
        "them trained on), as a part of the untouched photos' distance": scores.fraction,
        f"the same to the {held_out} held-out paintings": scores.unseen_fraction,
        "SSIM of luminance at 256x256 between held-out photos and painted ones": scores.ssim,
    }


def held_out_scores(model: Path, options: StylizerOptions) -> Mapping[str, float]:
    """Paint the held-out photos and measure them against all and against the held-out paintings."""
    _, photos = hold_out(list_pictures(options.photos), options.photos_held_out)
    return measure(
        model,
        [read_picture(path) for path in photos],
        [read_picture(path) for path in list_pictures(options.paintings)],
        options.vgg,
        held_out=options.paintings_held_out,
    )


def make_card(
    parameters: int,
    *,
    data: tuple[str, ...],
    scores: Mapping[str, float],
    steps: int,
    minutes: float,
    seed: int,
) -> ModelCard:
    """Return the card of the embedded Monet generator."""
    return ModelCard(
        name="monet-light",
        task="Paints a photo in the manner of Claude Monet's landscapes",
        parameters=parameters,
        data=data,
        licence="as the code, as far as the data allow: some of them are for non-commercial research only",
        command="sfumato train stylizer-light --photos DIR --portraits DIR --paintings DIR --vgg FILE",
        steps=steps,
        minutes=minutes,
        seed=seed,
        scores=scores,
        limits=LIMITS,
    )


def write_card(options: StylizerOptions, model: Path, parameters: int, *, steps: int, minutes: float) -> Path:
    """Measure the model on the held-out photos and paintings and write its card beside it."""
    card = make_card(
        parameters,
        data=describe_data(options),
        scores=held_out_scores(model, options),
        steps=steps,
        minutes=minutes,
        seed=options.schedule.seed,
    )
    return card.write(model)


def describe_data(options: StylizerOptions) -> tuple[str, ...]:
    """Return one line for each folder trained on; `DATA_NOTES` says what is known of a folder's licence."""
    return (
        note_on(options.photos, options.photos_held_out),
        *(note_on(folder, 0) for folder in options.portraits),
        note_on(options.paintings, options.paintings_held_out),
        "VGG19 to relu3_1, used in the losses only, no part of the model: weights from ImageNet",
    )


def note_on(folder: Path, held_out: int) -> str:
    """Return one line on a folder: how many of its pictures were trained on, and what is known of them."""
    count = len(list_pictures(folder))
    note = DATA_NOTES.get(folder.name, "licence not stated here")
    return f"{folder.name}: {count - held_out} pictures, {held_out} more held out; {note}"
