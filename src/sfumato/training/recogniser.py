"""Train a light face recogniser after MobileFaceNet; it needs faces and no names."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from sfumato.backends import make_backend
from sfumato.evaluation.identity import identity_cosine, load_mobile_face_net
from sfumato.evaluation.restoration import LEVELS
from sfumato.export import check_parity, export_onnx
from sfumato.fields import blur
from sfumato.geometry import ALIGNED_SIZE, align, face_affine
from sfumato.nets.recogniser import LightFaceNet, MobileFaceNet
from sfumato.registry import find_embedded, model_path
from sfumato.stages.detect import LightDetector
from sfumato.stages.likeness import CROP, SIZE, recognition_affine
from sfumato.training.card import ModelCard, count_parameters
from sfumato.training.crops import hold_out, list_pictures, read_picture
from sfumato.training.data_notes import note_on
from sfumato.training.degradation import compress, degrade
from sfumato.training.loop import (
    Batch,
    Report,
    Schedule,
    mixed_precision,
    set_layout,
    train,
    update_average,
    write_config,
)
from sfumato.types import FloatImage, Image

NAME = "recogniser-light"

STORED = 160
"""Side in pixels at which aligned faces are held in memory."""


@dataclass(frozen=True, slots=True)
class RecogniserOptions:
    """Say what the recogniser learns from and how.

    Attributes:
        faces: folders of FFHQ-aligned faces.
        portraits: folders of other photos; the largest face of each is aligned first.
        teacher: weights of MobileFaceNet.
        held_out: the last faces of each folder by name, never trained on.
        channels: width of the network (see `nets.recogniser.LightFaceNet`).
        blended: share of faces that are mixed of two, which are persons that the folders do not have.
        rate: largest learning rate.
    """

    faces: tuple[Path, ...]
    teacher: Path
    schedule: Schedule
    portraits: tuple[Path, ...] = ()
    held_out: int = 20
    channels: int = 40
    batch: int = 48
    blended: float = 0.3
    rate: float = 2e-3


class RecogniserTrainer:
    """Hold the recogniser, its running average and its optimizer.

    Args:
        faces: aligned, `STORED` pixels a side.
    """

    def __init__(self, options: RecogniserOptions, faces: Sequence[Image], teacher: MobileFaceNet) -> None:
        torch.manual_seed(options.schedule.seed)
        self._options, self._faces, self._teacher = options, faces, teacher
        self.net, self.average = LightFaceNet(options.channels), LightFaceNet(options.channels).eval()
        self.average.load_state_dict(self.net.state_dict())
        for net in (self.net, self._teacher):
            set_layout(net, torch.channels_last)
        self._optimizer = torch.optim.AdamW(self.net.parameters(), options.rate, weight_decay=1e-3)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Return the network and its running average."""
        return {"net": self.net, "average": self.average}

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Return the one optimizer."""
        return {"net": self._optimizer}

    def sample(self, rng: np.random.Generator) -> Batch:
        """Draw faces as photos and paintings of any quality may show them: Nx3x112x96 in -1..1."""
        faces = np.stack([self._face(rng) for _ in range(self._options.batch)])
        return {"faces": torch.from_numpy((faces.transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 128)}

    def _face(self, rng: np.random.Generator) -> Image:
        face = self._faces[int(rng.integers(len(self._faces)))]
        if rng.random() < self._options.blended:
            other = self._faces[int(rng.integers(len(self._faces)))]
            face = np.asarray(cv2.addWeighted(face, 0.5, other, 0.5, 0), dtype=np.uint8)
        return spoiled(jittered(face, rng), rng)

    def step(self, batch: Batch) -> Mapping[str, float]:
        """Take one step and return the loss: 1 minus the cosine of both embeddings."""
        self.net.train()
        faces = batch["faces"].contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), mixed_precision():
            wanted = self._teacher(faces).float()
        with mixed_precision():
            found = self.net(faces).float()
        loss = (1 - functional.cosine_similarity(found, wanted)).mean()
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own stub
        self._optimizer.step()
        update_average(self.average, self.net, 0.995)
        return {"angle": float(loss.detach())}


def jittered(face: Image, rng: np.random.Generator) -> Image:
    """Return the 112x96 face of an aligned crop, turned, scaled and moved as landmarks err, mirrored by chance."""
    matrix = np.asarray(recognition_affine(), dtype=np.float64).copy()
    matrix[:, :2] *= CROP / face.shape[0]
    turn = cv2.getRotationMatrix2D(
        (SIZE[1] / 2, SIZE[0] / 2), float(rng.normal(0, 4)), float(np.exp(rng.normal(0, 0.05)))
    )
    moved = np.vstack([turn, [0, 0, 1]]) @ np.vstack([matrix, [0, 0, 1]])
    moved[:2, 2] += rng.normal(0, 1.5, 2)
    cut = cv2.warpAffine(face, moved[:2], SIZE[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(cut[:, ::-1] if rng.random() < 0.5 else cut, dtype=np.uint8)


def spoiled(face: Image, rng: np.random.Generator) -> Image:
    """Return the face with light, colour, softness, noise and JPEG as they come, half of the time each."""
    levels: FloatImage = face.astype(np.float32)
    if rng.random() < 0.5:
        levels = np.asarray(255 * (levels / 255) ** np.exp(rng.normal(0, 0.3)), dtype=np.float32)
        cast, shift = rng.normal(1, 0.08, 3).astype(np.float32), np.float32(rng.normal(0, 8))
        levels = np.asarray(levels * cast + shift, dtype=np.float32)
    if rng.random() < 0.1:
        levels = np.repeat(levels.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() < 0.5:
        levels = blur(levels, float(rng.uniform(0.3, 2.2)))
    if rng.random() < 0.5:
        noise = rng.standard_normal(levels.shape, dtype=np.float32)
        if rng.random() < 0.5:  # coarse: brush strokes
            noise = np.float32(2.5) * blur(noise, 1.2)
        levels = np.asarray(levels + np.float32(rng.uniform(0, 20)) * noise, dtype=np.float32)
    whole = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return compress(whole, int(rng.integers(35, 95))) if rng.random() < 0.4 else whole


def read_faces(options: RecogniserOptions) -> tuple[list[Image], list[Image]]:
    """Return the aligned faces to train on, `STORED` pixels a side, and those held out, 512 pixels a side.

    Raises:
        MissingInputError: a folder has no pictures.
        InputError: a folder has no more pictures than are held out.
    """
    detector = LightDetector(make_backend(model_path(find_embedded("detector")), "cpu"))
    trained: list[Image] = []
    held: list[Image] = []
    for folder in (*options.faces, *options.portraits):
        for paths, faces, side in zip(
            hold_out(list_pictures(folder), options.held_out),
            (trained, held),
            (STORED, ALIGNED_SIZE),
            strict=True,
        ):
            for path in paths:
                picture = read_picture(path)
                if folder in options.faces:
                    faces.append(_sized(picture, side))
                elif found := detector(picture):
                    largest = max(found, key=lambda face: face.size)
                    faces.append(align(picture, face_affine(largest.points, side), side))
    return trained, held


def _sized(picture: Image, side: int) -> Image:
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def train_recogniser(options: RecogniserOptions, run: Path, report: Report) -> Path:
    """Train into the folder `run`, resuming if it holds a checkpoint, and return the exported model's path."""
    write_config(run, asdict(options))
    start = monotonic()
    teacher = load_mobile_face_net(options.teacher)
    trained, held = read_faces(options)
    report(f"{len(trained)} faces to train on, {len(held)} held out")
    trainer = RecogniserTrainer(options, trained, teacher)
    steps = train(trainer, run, options.schedule, report)
    path = run / f"{NAME}.onnx"
    net = trainer.average
    example = trainer.sample(np.random.default_rng(0))["faces"][:2]
    export_onnx(net, path, example=example)
    check_parity(net, path, example, tolerance=5e-2)
    scores = agreement(teacher, net, held)
    describe(net, options, steps, scores, minutes=(monotonic() - start) / 60).write(path)
    return path


def agreement(teacher: nn.Module, net: nn.Module, faces: Sequence[Image]) -> Mapping[str, float]:
    """Return how well the network's word on likeness agrees with its teacher's.

    Pairs: each face with itself damaged, at every level of `LEVELS` but sharp, and each face with the next.
    """
    pairs = [
        (face, degrade(face, damage, np.random.default_rng(k)))
        for level, damage in LEVELS.items()
        if level != "sharp"
        for k, face in enumerate(faces)
    ]
    pairs += list(zip(faces, (*faces[1:], faces[0]), strict=True))
    said = np.array([[identity_cosine(judge, *pair) for judge in (teacher, net)] for pair in pairs])
    return {
        "mean absolute difference of the cosine to the teacher's": float(
            np.abs(said[:, 0] - said[:, 1]).mean()
        ),
        "correlation with the teacher's cosine": float(np.corrcoef(said.T)[0, 1]),
        "pairs": float(len(pairs)),
        **{f"{name} of different persons": value for name, value in _spread(said[-len(faces) :]).items()},
    }


def _spread(said: NDArray[np.float64]) -> Mapping[str, float]:
    return {"teacher's mean cosine": float(said[:, 0].mean()), "mean cosine": float(said[:, 1].mean())}


def describe(
    net: nn.Module, options: RecogniserOptions, steps: int, scores: Mapping[str, float], *, minutes: float
) -> ModelCard:
    """Return the card of a trained recogniser."""
    folders = (*options.faces, *options.portraits)
    return ModelCard(
        name=NAME,
        task="Says by a cosine how much two aligned faces look like one person, such as a face and its painting",
        parameters=count_parameters(net),
        data=(
            *(f"{note_on(folder, options.held_out)}; no names" for folder in folders),
            f"{options.teacher.name}: MobileFaceNet, whose embeddings are learned; its training data are for research",
        ),
        licence="research use, as its teacher's and its faces'",
        command="sfumato train recogniser --faces DIR --portraits DIR --teacher FILE --out DIR",
        steps=steps,
        minutes=minutes,
        seed=options.schedule.seed,
        scores=scores,
        limits=(
            "to compare pictures of one face with each other; to find or to name persons it is not good enough",
            "portraits of adults, most of them from the United States, most of them from the front",
        ),
    )
