"""Measure a trained segmenter as the pipeline uses it and write its card; it trains nothing."""

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from sfumato.backends import OpenVinoBackend
from sfumato.evaluation.parsing import ParsingScores, evaluate_segmenter
from sfumato.evaluation.speed import time_network
from sfumato.registry import find_embedded, model_path
from sfumato.stages.detect import LightDetector
from sfumato.stages.segment import LightSegmenter
from sfumato.training.card import ModelCard, count_parameters
from sfumato.types import Image, Labels

if TYPE_CHECKING:
    from sfumato.training.segmenter import SegmenterOptions

TASKS: Mapping[str, str] = {
    "unet-light": "Portrait segmentation into the nine classes of EasyPortrait, a light U-Net",
    "unet-efficientnet-b2": "Portrait segmentation into the nine classes of EasyPortrait, the paper's U-Net",
}

LIMITS = (
    "teeth: in converted CelebAMask-HQ labels they are a heuristic, mouth pixels that are bright and unsaturated",
    "beards: skin in converted CelebAMask-HQ, person in EasyPortrait; the network follows its training data",
)


def parse_with(model: Path) -> Callable[[Image], Labels]:
    """Return what labels a picture as `sfumato segment` does, with this segmenter and the embedded detector."""
    segment = LightSegmenter(OpenVinoBackend(model))
    detect = LightDetector(OpenVinoBackend(model_path(find_embedded("detector"))))
    return lambda image: segment(image, detect(image)).labels()


def write_segmenter_card(
    model: Path, net: nn.Module, options: "SegmenterOptions", *, steps: int, minutes: float
) -> Path:
    """Write the card of `model`, exported from `net`, beside it; scores are those of the val split of the portraits."""
    card = ModelCard(
        name=model.stem,
        task=TASKS[options.network],
        parameters=count_parameters(net),
        data=tuple(f"{path.name}: {use}" for path, use in _data(options)),
        licence="research use, as the licence of CelebAMask-HQ asks",
        command=_command(options),
        steps=steps,
        minutes=minutes,
        seed=options.run.seed,
        scores={**_val_scores(model, options.folders.portraits), **_speed(model)},
        limits=LIMITS,
    )
    return card.write(model)


def _data(options: "SegmenterOptions") -> Iterator[tuple[Path, str]]:
    folders = options.folders
    yield (
        folders.portraits,
        "labelled portraits, split train (CelebAMask-HQ converted: non-commercial research)",
    )
    if folders.people:
        yield folders.people, "photos with masks of whole people; licence not stated"
    for folder in folders.unmasked:
        yield folder, "photos of people without masks, which teach where no face is; licence not stated"
    for folder in folders.backgrounds:
        yield folder, "pictures without people; licence not stated"
    if options.start:
        yield options.start, f"weights started from; sha256 {sha256(options.start.read_bytes()).hexdigest()}"
    elif options.encoder_weights != "none":
        yield (
            Path("encoder"),
            f"started from ImageNet weights (Apache-2.0), --encoder-weights {options.encoder_weights}",
        )


def _command(options: "SegmenterOptions") -> str:
    folders, run = options.folders, options.run
    words = [
        "sfumato train segmenter",
        f"--network {options.network}",
        f"--portraits {folders.portraits.name}",
    ]
    words += [f"--people {folders.people.name}"] if folders.people else []
    words += [f"--unmasked {folder.name}" for folder in folders.unmasked]
    words += [f"--backgrounds {folder.name}" for folder in folders.backgrounds]
    words += ["--mend-sides"] if folders.mend_sides else []
    words += [f"--start {options.start.name}"] if options.start else []
    words += [f"--encoder-weights {options.encoder_weights}"] if not options.start else []
    words += ["--leave-out-faulty"] if folders.leave_out_faulty else []
    words += [f"--minutes {run.minutes:g}" if run.minutes else f"--steps {run.steps}"]
    words += [f"--size {options.size} --batch {run.batch} --learning-rate {options.learning_rate:g}"]
    words += [f"--encoder-rate {options.encoder_rate:g} --weight-decay {options.weight_decay:g}"]
    words += [f"--average {run.average:g} --warmup {run.warmup} --validate-every {run.validate_every}"]
    words += [f"--clip {run.clip:g}"] if run.clip is not None else []
    words += [f"--seed {run.seed} --out runs/segmenter"]
    return " ".join(words)


def listed(scores: ParsingScores) -> Mapping[str, float]:
    """Return the scores by the names that a card shows."""
    where = "val split, whole pipeline"
    return {
        f"mean IoU over background, person, skin, brows, eyes, lips ({where})": scores.mean,
        f"IoU of the face region ({where})": scores.face,
        f"boundary F1 of the face region, 2 px at 512 ({where})": scores.boundary_f1["face"],
        f"pixel accuracy ({where})": scores.accuracy,
        **{f"IoU of {name} ({where})": value for name, value in scores.classes.items()},
        **{f"boundary F1 of {name} ({where})": value for name, value in scores.boundary_f1.items()},
    }


def _val_scores(model: Path, portraits: Path) -> Mapping[str, float]:
    """Return the scores on the masks as they are and, where some have left and right swapped, with these set right."""
    scores = evaluate_segmenter(parse_with(model), portraits, "val")
    if not scores.swapped:
        return listed(scores)
    name = f"mean IoU likewise, with left and right of {scores.swapped} masks set right (--mend-sides)"
    return {**listed(scores), name: scores.mended_mean}


def _speed(model: Path) -> Mapping[str, float]:
    backend = OpenVinoBackend(model)
    return {
        f"milliseconds for one {side}x{side} picture, median of 20": time_network(backend, side).median
        for side in (256, 512)
    }
