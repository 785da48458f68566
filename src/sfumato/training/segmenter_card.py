"""Measure a trained segmenter as the pipeline uses it and write its card; it trains nothing."""

from collections.abc import Callable, Mapping
from pathlib import Path

from sfumato.backends import OpenVinoBackend
from sfumato.evaluation.parsing import ParsingScores, evaluate_segmenter
from sfumato.nets.segmenter import LightUNet
from sfumato.registry import find_embedded, model_path
from sfumato.stages.detect import LightDetector
from sfumato.stages.segment import LightSegmenter
from sfumato.training.card import ModelCard, count_parameters
from sfumato.training.loop import Schedule
from sfumato.types import Image, Labels

LIMITS = (
    "trained on few portraits, most of them frontal and posed; profiles, hands over faces and odd light go wrong",
    "the teeth of the training labels are a heuristic: mouth pixels that are bright and unsaturated",
    "beards count as skin, where EasyPortrait counts them as person",
)


def parse_with(model: Path) -> Callable[[Image], Labels]:
    """Return what labels a picture as `sfumato segment` does, with this segmenter and the embedded detector."""
    segment = LightSegmenter(OpenVinoBackend(model))
    detect = LightDetector(OpenVinoBackend(model_path(find_embedded("detector"))))
    return lambda image: segment(image, detect(image)).labels()


def write_segmenter_card(
    model: Path, data: Mapping[str, Path], schedule: Schedule, *, steps: int, minutes: float
) -> Path:
    """Write the card of `model` beside it; scores are those of the val split of the portraits.

    Args:
        data: folders by the option that named them: portraits, people, backgrounds.
    """
    folders = " ".join(f"--{name.split()[0]} {path.name}" for name, path in data.items())
    budget = f"--minutes {schedule.minutes:g}" if schedule.minutes else f"--steps {schedule.steps}"
    card = ModelCard(
        name=model.stem,
        task="Portrait segmentation into the nine classes of EasyPortrait, a light U-Net",
        parameters=count_parameters(LightUNet()),
        data=tuple(f"{path.name} ({name}): {describe_data(name)}" for name, path in data.items()),
        licence="research use, as the licence of CelebAMask-HQ asks",
        command=f"sfumato train segmenter {folders} --out runs/segmenter {budget} --seed {schedule.seed}",
        steps=steps,
        minutes=minutes,
        seed=schedule.seed,
        scores=listed(evaluate_segmenter(parse_with(model), data["portraits"], "val")),
        limits=LIMITS,
    )
    return card.write(model)


def describe_data(name: str) -> str:
    """Return what a folder is used for; its licence is its owner's to state."""
    uses = {
        "portraits": "labelled portraits, split train (CelebAMask-HQ converted: non-commercial research)",
        "people": "photos with masks of whole people; licence not stated",
    }
    return uses.get(name, "pictures without people; licence not stated")


def listed(scores: ParsingScores) -> Mapping[str, float]:
    """Return the scores by the names that a card shows."""
    where = "val split, whole pipeline"
    return {
        f"mean IoU over background, person, skin, brows, eyes, lips ({where})": scores.mean,
        f"IoU of the face region ({where})": scores.face,
        f"pixel accuracy ({where})": scores.accuracy,
        **{f"IoU of {name} ({where})": value for name, value in scores.classes.items()},
    }
