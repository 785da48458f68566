"""Train the embedded face detector on synthetic scenes and on pictures that YuNet labelled."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from sfumato.backends import OpenVinoBackend
from sfumato.evaluation.detection import Rule, evaluate_detector
from sfumato.export import check_parity, export_onnx
from sfumato.nets.detector import DetectorNet
from sfumato.stages.detect import STRIDES, LightDetector
from sfumato.training.card import ModelCard, count_parameters
from sfumato.training.detector_targets import detector_losses, encode_scene
from sfumato.training.face_labels import LabelledFace, label_picture
from sfumato.training.loop import (
    Batch,
    Report,
    Schedule,
    mixed_precision,
    train,
    update_average,
    write_config,
)
from sfumato.training.scene_decoys import find_decoy, mark_busy
from sfumato.training.scene_layers import (
    Label,
    Layer,
    SceneFolders,
    SceneSources,
    is_sure,
    label_once,
    list_pictures,
    load_sources,
    read_picture,
    split_people,
)
from sfumato.training.scenes import draw_scene
from sfumato.training.scrfd import Scrfd
from sfumato.training.start import load_weights, refuse_other_start
from sfumato.types import Face

NAME = "detector-light"

Labels: TypeAlias = Mapping[str, Sequence[LabelledFace]]
"""The faces that YuNet found, by the path of the picture."""


@dataclass(frozen=True, slots=True)
class DetectorOptions:
    """Say what to train on and how.

    Attributes:
        folders: the pictures.
        yunet: the ONNX file of YuNet with dynamic sizes, which labels them.
        scrfd: the ONNX file of SCRFD with landmarks, which then settles the points of YuNet's faces; None keeps them.
        start: weights to start from: of an earlier run, or a model exported from one.
    """

    folders: SceneFolders
    yunet: Path
    scrfd: Path | None = None
    start: Path | None = None
    batch: int = 16
    rate: float = 2e-3
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=20000))


class DetectorTrainer:
    """Hold the network, its running average and the optimizer."""

    def __init__(
        self, sources: SceneSources, *, batch: int, rate: float, seed: int = 0, start: Path | None = None
    ) -> None:
        torch.manual_seed(seed)
        self._sources, self._batch = sources, batch
        self.net = DetectorNet()
        if start is not None:
            load_weights(self.net, start, NAME)
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self.average = deepcopy(self.net).requires_grad_(False).eval()
        self._optimizer = torch.optim.AdamW(self.net.parameters(), lr=rate, weight_decay=1e-2)
        self._steps = 0
        self._decoys: deque[Layer] = deque(maxlen=600)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Return the network and its running average."""
        return {"net": self.net, "average": self.average}

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Return the optimizer."""
        return {"adamw": self._optimizer}

    def sample(self, rng: np.random.Generator) -> Batch:
        """Draw a batch of scenes and what the network should say about them."""
        scenes = [draw_scene(self._sources, rng, decoys=self._decoys) for _ in range(self._batch)]
        busy = [mark_busy(s.image.shape, [*s.rows, *s.ignored]) for s in scenes]
        batch = {
            "image": torch.from_numpy(np.stack([scene.image for scene in scenes])),
            "busy": torch.from_numpy(np.stack(busy)),
        }
        for stride in STRIDES:
            batch[f"stride{stride}"] = torch.from_numpy(np.stack([encode_scene(s, stride) for s in scenes]))
        return batch

    def step(self, batch: Batch) -> Mapping[str, float]:
        """Take one step of AdamW, in bfloat16 where the processor has it, and move the average."""
        image = batch["image"].movedim(-1, 1).float() / 255
        with mixed_precision():
            outputs = self.net(image.contiguous(memory_format=torch.channels_last))
        losses = detector_losses(outputs, (batch["stride8"], batch["stride16"]))
        total: Tensor = losses["score"] + 1.5 * losses["box"] + 8 * losses["points"]
        self._optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]  # torch's own stub
        nn.utils.clip_grad_norm_(self.net.parameters(), 10.0)
        self._optimizer.step()
        self._steps += 1
        self._gather_decoys(batch, outputs)
        update_average(self.average, self.net, min(0.998, (1 + self._steps) / (10 + self._steps)))
        return {name: float(value.detach()) for name, value in {"total": total, **losses}.items()}

    def _gather_decoys(self, batch: Batch, outputs: tuple[Tensor, Tensor]) -> None:
        """Remember what this step mistook for faces; later batches therefore depend on the training so far."""
        images, busy = batch["image"].numpy(), batch["busy"].numpy()
        for stride, output in zip(STRIDES, outputs, strict=True):
            maps = output.detach().float().numpy()
            scenes = zip(images, maps, busy, strict=True)
            found = [find_decoy(image, seen, stride, taken) for image, seen, taken in scenes]
            self._decoys.extend(decoy for decoy in found if decoy is not None)


def label_pictures(options: DetectorOptions, run: Path) -> Labels:
    """Label all pictures with people once, into a file of `run` that is named by the networks that label."""
    folders = options.folders
    paths = list_pictures(folders.parsed / "images" / "train")
    paths += [path for held_out in (False, True) for path in split_people(folders, held_out=held_out)]
    return label_once(paths, lambda: _make_labeller(options), run / f"labels-{teachers_of(options)}.json")


def teachers_of(options: DetectorOptions) -> str:
    """Return what changes when another network labels."""
    files = [options.yunet, *([options.scrfd] if options.scrfd else [])]
    return sha256(b"".join(sha256(path.read_bytes()).digest() for path in files)).hexdigest()[:12]


def _make_labeller(options: DetectorOptions) -> Label:
    yunet = OpenVinoBackend(options.yunet, exact=True)
    if options.scrfd is None:
        return lambda image: label_picture(image, yunet)
    scrfd = Scrfd(options.scrfd)
    return lambda image: scrfd.settle_points(image, label_picture(image, yunet))


def train_detector(options: DetectorOptions, run: Path, report: Report) -> Path:
    """Train, export, check and measure; return the path of the ONNX file in `run`, with its card beside it.

    Raises:
        InputError: `run` holds a run that started from other weights.
        ModelError: the weights to start from are those of another network.
    """
    refuse_other_start(run, "last.pt", options.start)
    write_config(run, {"options": asdict(options)})
    labels = label_pictures(options, run)
    sources = load_sources(options.folders, labels, sharpen=options.scrfd is None)
    trainer = DetectorTrainer(
        sources, batch=options.batch, rate=options.rate, seed=options.schedule.seed, start=options.start
    )
    steps = train(trainer, run, options.schedule, report)
    path = export_detector(trainer.average, run / f"{NAME}.onnx")
    write_card(options, path, steps, measure_held_out(path, options, labels))
    return path


def measure_held_out(path: Path, options: DetectorOptions, labels: Labels) -> dict[str, float]:
    """Return recall, precision and landmark error on the people kept out of training, for two face sizes."""
    detect = LightDetector(OpenVinoBackend(path))
    pictures = split_people(options.folders, held_out=True)
    teacher = "the points trained on (SCRFD's)" if options.scrfd else "YuNet"
    truth = {str(path): _sure_and_doubtful(labels[str(path)]) for path in pictures}
    scores: dict[str, float] = {}
    for size in (32, 64):
        named = ((str(path), read_picture(path)[0]) for path in pictures)
        sums, _ = evaluate_detector(detect, named, truth, Rule(size=size))
        where = f"faces of {size} px and more in held-out pictures of people"
        scores[f"recall, {where}, against YuNet"] = sums.recall
        scores[f"precision, {where}, against YuNet"] = sums.precision
        scores[f"median landmark error in eye distances, {where}, against {teacher}"] = sums.landmark_error
    return scores


def _sure_and_doubtful(labels: Sequence[LabelledFace]) -> list[Face]:
    """Return the labels as reference faces; what is not surely a face has a score of 0."""
    return [x.face if is_sure(x) else replace(x.face, score=0.0) for x in labels]


def export_detector(net: nn.Module, path: Path) -> Path:
    """Write the network as ONNX and check that OpenVINO computes the same to 0.02 strides and scores."""
    example = torch.rand(1, 3, 128, 160)
    plain = DetectorNet().eval()
    plain.load_state_dict(net.state_dict())
    export_onnx(plain, path, example=example, outputs=[f"stride{stride}" for stride in STRIDES])
    check_parity(plain, path, example, tolerance=2e-2)
    return path


def _points_and_start(options: DetectorOptions) -> Iterator[str]:
    if options.scrfd:
        yield f"points settled by {options.scrfd.name} (SCRFD of InsightFace, non-commercial research)"
    if options.start:
        yield f"started from {options.start.name}, sha256 {sha256(options.start.read_bytes()).hexdigest()}"


def _command(options: DetectorOptions) -> str:
    folders, schedule = options.folders, options.schedule
    words = [f"sfumato train detector --portraits {folders.parsed.name}"]
    words += [f"--people {'/'.join(folder.parts[-2:])}" for folder in folders.people]
    words += [f"--backgrounds {folder.name}" for folder in folders.grounds]
    words += [f"--yunet {options.yunet.name}"]
    words += [f"--scrfd {options.scrfd.name}"] if options.scrfd else []
    words += [f"--start {options.start.name}"] if options.start else []
    words += [f"--learning-rate {options.rate:g}"]
    words += [f"--minutes {schedule.minutes:g}" if schedule.minutes else f"--steps {schedule.steps}"]
    return " ".join([*words, f"--seed {schedule.seed} --out runs/detector"])


def write_card(options: DetectorOptions, path: Path, steps: int, scores: Mapping[str, float]) -> Path:
    """Write the card beside the model."""
    card = ModelCard(
        name=NAME,
        task="Face detector: box, five landmarks, score",
        parameters=count_parameters(DetectorNet()),
        data=(
            f"{options.folders.parsed.name}: faces cut by masks (CelebAMask-HQ: non-commercial research)",
            *[f"{'/'.join(folder.parts[-2:])}: photographs with people" for folder in options.folders.people],
            *[f"{folder.name}: grounds without faces" for folder in options.folders.grounds],
            f"labels of boxes and points by {options.yunet.name} (YuNet, MIT)",
            *_points_and_start(options),
        ),
        licence="research use, as the licence of CelebAMask-HQ asks"
        + (", and non-commercial, as the licence of SCRFD's weights asks" if options.scrfd else ""),
        command=_command(options),
        steps=steps,
        minutes=options.schedule.minutes or 0.0,
        seed=options.schedule.seed,
        scores=scores,
        limits=(
            "faces turned in the plane by more than about 50 degrees are missed one time in ten",
            "far profiles and faces below about 30 pixels are missed more often",
            "masks, statues and drawings may count as faces",
        ),
    )
    return card.write(path)
