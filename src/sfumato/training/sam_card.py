"""Measure a small Segment Anything as the pipeline asks it, and write its card; it trains nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import nn

from sfumato.backends import OpenVinoBackend, inspect_model
from sfumato.conversion import DECODER, ENCODER
from sfumato.download import digest_of
from sfumato.registry import find_embedded, model_path
from sfumato.stages.sam import SamSegmenter, overlap
from sfumato.stages.sam_facts import KEY, read_sam_facts
from sfumato.stages.segment import LightSegmenter
from sfumato.training.card import ModelCard, count_parameters
from sfumato.training.sam_draw import Portrait, moved_face
from sfumato.training.sam_options import NAME, SamOptions
from sfumato.types import FACE_CLASSES, Face, Image


def measure_sam(folder: Path, portraits: Sequence[Portrait]) -> dict[str, float]:
    """Return how well the exported network finds the face of each portrait, and which of two that are asked for.

    Args:
        folder: of `encoder.onnx` and `decoder.onnx`.
    """
    segment = open_exported(folder)
    alone = [
        _region_iou(segment, portrait.sample.image, portrait.face, _marked(portrait))
        for portrait in portraits
    ]
    asked, other = [], []
    for first, second in zip(portraits[::2], portraits[1::2], strict=False):
        height = min(first.sample.image.shape[0], second.sample.image.shape[0])
        both = np.ascontiguousarray(np.hstack([p.sample.image[:height] for p in (first, second)]))
        width = first.sample.image.shape[1]
        moved = moved_face(second.face, np.array([[1.0, 0.0, width], [0.0, 1.0, 0.0]]))
        marks = [np.zeros(both.shape[:2], np.bool_) for _ in range(2)]
        marks[0][:, :width] = _marked(first)[:height]
        marks[1][:, width:] = _marked(second)[:height]
        for face, right, wrong in ((first.face, 0, 1), (moved, 1, 0)):
            asked.append(_region_iou(segment, both, face, marks[right]))
            other.append(_region_iou(segment, both, face, marks[wrong]))
    return {
        "mean IoU of the face region (val, whole picture)": float(np.mean(alone)),
        "worst IoU (val, whole picture)": float(np.min(alone)),
        "mean IoU with the face asked for, of two side by side": float(np.mean(asked)),
        "mean IoU with the other one": float(np.mean(other)),
    }


def open_exported(folder: Path) -> SamSegmenter:
    """Return the segmenter of `encoder.onnx` and `decoder.onnx` in a folder, with the embedded U-Net beside it."""
    facts = read_sam_facts(inspect_model(folder / ENCODER, KEY).metadata, str(folder / ENCODER))
    backends = [OpenVinoBackend(folder / name) for name in (ENCODER, DECODER)]
    parts = LightSegmenter(OpenVinoBackend(model_path(find_embedded("segmenter"))))
    return SamSegmenter(backends[0], backends[1], facts, parts)


def _marked(portrait: Portrait) -> NDArray[np.bool_]:
    return np.isin(portrait.sample.labels, FACE_CLASSES)


def _region_iou(segment: SamSegmenter, image: Image, face: Face, true: NDArray[np.bool_]) -> float:
    """Return the IoU of SAM's own mask, at the size of the picture, with the true one."""
    logits, matrix = segment.region(image, face, segment.embed(image))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    there = cv2.warpAffine(logits, matrix, image.shape[1::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return overlap(there > 0, true)


def describe(
    net: nn.Module, options: SamOptions, steps: int, scores: dict[str, float], *, minutes: float
) -> ModelCard:
    """Return the card of a trained SAM."""
    return ModelCard(
        name=NAME,
        task="Finds the face that it is asked for, by box and points: Segment Anything's architecture, small",
        parameters=count_parameters(net),
        data=tuple(_data(options)),
        licence="research use, as the licence of CelebAMask-HQ asks",
        command=_command(options),
        steps=steps,
        minutes=minutes,
        seed=options.run.seed,
        scores=scores,
        limits=(
            "made to see that prompts work: it knows faces alone, and none of what the published SAM knows",
            f"masks have {4 * options.size // options.patch} pixels a side for the whole picture",
        ),
    )


def _data(options: SamOptions) -> Iterator[str]:
    yield (
        f"{options.portraits.name}: labelled portraits, split train (CelebAMask-HQ converted: non-commercial research)"
    )
    for folder in options.backgrounds:
        yield f"{folder.name}: pictures without people; licence not stated"
    if options.start is not None:
        yield f"{options.start.name}: weights started from; sha256 {digest_of(options.start)}"


def _command(options: SamOptions) -> str:
    run = options.run
    words = [f"sfumato train sam --portraits {options.portraits.name}"]
    words += [f"--backgrounds {folder.name}" for folder in options.backgrounds]
    words += ["--leave-out-faulty"] if options.leave_out_faulty else []
    words += [f"--start {options.start.name}"] if options.start else []
    words += [f"--minutes {run.minutes:g}" if run.minutes else f"--steps {run.steps}"]
    words += [
        f"--size {options.size} --patch {options.patch} --width {options.width} --depth {options.depth}"
    ]
    words += [
        f"--heads {options.heads} --channels {options.channels} --learning-rate {options.learning_rate:g}"
    ]
    words += [f"--batch {run.batch} --seed {run.seed} --out runs/sam"]
    return " ".join(words)
