"""Turn a trained light generator into a model file with a measured card; it trains nothing."""

from collections.abc import Mapping
from pathlib import Path

from sfumato.evaluation.style_folders import StyleFolders, measure_style, paint_in
from sfumato.nets.generator import GeneratorLight
from sfumato.training.card import ModelCard, count_parameters
from sfumato.training.crops import list_pictures
from sfumato.training.data_notes import note_on
from sfumato.training.stylizer_options import StylizerOptions


def measure(model: Path, folders: StyleFolders) -> Mapping[str, float]:
    """Paint the held-out photos and measure them against all paintings and against the held-out ones."""
    scores = measure_style(paint_in(str(model)), folders)
    every, unseen = len(list_pictures(folders.paintings)), folders.paintings_held_out
    return {
        f"Frechet distance of {folders.photos_held_out} held-out photos, painted, to {every} paintings "
        f"({every - unseen} of them trained on), as a part of the untouched photos' distance": scores.fraction,
        f"the same to the {unseen} held-out paintings": scores.unseen_fraction,
        "as the first, on EfficientNet-Lite0's features, by which no style here is trained": scores.second_fraction,
        "SSIM of luminance at 256x256 between held-out photos and painted ones": scores.ssim,
    }


def write_card(
    options: StylizerOptions, model: Path, net: GeneratorLight, *, steps: int, minutes: float
) -> Path:
    """Measure the model on the held-out photos and paintings and write its card beside it."""
    folders = StyleFolders(
        options.photos, options.paintings, options.vgg, options.photos_held_out, options.paintings_held_out
    )
    card = ModelCard(
        name=model.stem,
        task=f"Paints a photo in the manner of the paintings in {options.paintings.name}",
        parameters=count_parameters(net),
        data=describe_data(options),
        licence="as the code, as far as the data allow: see their lines",
        command="sfumato train stylizer-light --photos DIR --portraits DIR --paintings DIR --vgg FILE",
        steps=steps,
        minutes=minutes,
        seed=options.schedule.seed,
        scores=measure(model, folders),
        limits=(
            "the strokes are a few pixels wide; large pictures are painted at half their size first, which widens them",
            f"it sees {net.radius} pixels around each pixel: it knows nothing of the composition",
            "the Frechet figures use the VGG19 features that the training losses use too: they flatter it beside a "
            "stylizer that was not trained on them",
            "black and white become lighter and darker, as paint has neither; night scenes lose depth",
        ),
    )
    return card.write(model)


def describe_data(options: StylizerOptions) -> tuple[str, ...]:
    """Return one line for each folder trained on; `data_notes` says what is known of a folder's licence."""
    return (
        note_on(options.photos, options.photos_held_out),
        *(note_on(folder, 0) for folder in options.portraits),
        note_on(options.paintings, options.paintings_held_out),
        "VGG19 to relu3_1, used in the losses only, no part of the model: weights from ImageNet",
    )
