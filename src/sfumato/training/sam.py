"""Train a small Segment Anything on labelled portraits, asked as the pipeline asks; it reads the authors' layout back.

The losses are the paper's (Kirillov et al., "Segment anything", 2023, section 3 and appendix A): focal and Dice loss,
20 to 1, of the best of three masks, and the squared error of the IoU that each mask says of itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from sfumato.backends import OpenVinoBackend
from sfumato.conversion import DECODER, ENCODER
from sfumato.download import digest_of
from sfumato.errors import InputError, ModelError
from sfumato.export_sam import export_sam
from sfumato.geometry import transform_points
from sfumato.nets.sam import SamDecoder, SamEncoder, authors_names, read_sam
from sfumato.nets.torchvision_schema import declare_torchvision_operators
from sfumato.registry import find_embedded, model_path
from sfumato.stages.detect import LightDetector
from sfumato.stages.sam import LABELS, SamSegmenter, make_prompts, overlap, square_affine
from sfumato.stages.sam_facts import KEY, SamFacts, read_sam_facts
from sfumato.stages.segment import LightSegmenter
from sfumato.training.card import ModelCard, count_parameters
from sfumato.training.lightning_callbacks import SCORE, write_weights
from sfumato.training.lightning_run import Drawn, DrawnData, run_training
from sfumato.training.loop import Report, write_config
from sfumato.training.loss_curve import draw_loss_curve
from sfumato.training.parsing_samples import Sample, read_rgb
from sfumato.training.photometry import vary_photo
from sfumato.training.run_options import RunOptions
from sfumato.training.segmenter_data import SegmenterFolders, load_portraits
from sfumato.training.start import refuse_other_start
from sfumato.types import FACE_CLASSES, Affine, Face, Image, Mask

if TYPE_CHECKING:
    from transformers import SamModel

NAME = "sam-small"

VARIED = 0.5
"""Share of the pictures under another light, camera and file, which cost most of the drawing's time."""


@dataclass(frozen=True, slots=True)
class SamOptions:
    """Say what to train the small SAM on, and how large it is.

    Attributes:
        portraits: data set in EasyPortrait's layout.
        backgrounds: folders of photos without people.
        size, patch: side of the square and of a patch in pixels.
        width, depth, heads: of the image encoder; every third block looks at the whole picture.
        channels: of the embedding and of the mask decoder.
        start: a SAM in its authors' layout to go on from, such as an earlier run's or the published one; its sizes then
            hold, see `sized_as`.
    """

    portraits: Path
    backgrounds: tuple[Path, ...]
    run: RunOptions = field(default_factory=RunOptions)
    size: int = 128
    patch: int = 8
    width: int = 128
    depth: int = 5
    heads: int = 4
    channels: int = 128
    start: Path | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 2e-2
    cache: Path = Path("cache")
    leave_out_faulty: bool = False


def sized_as(options: SamOptions, start: Path) -> SamOptions:
    """Return the options with the start and the sizes of a SAM to go on from.

    Raises:
        ModelError: the file holds no SAM, or SAM 2.
    """
    model = read_sam(start)
    if model.config.model_type != "sam":
        raise ModelError(f"{start} holds SAM 2, whose training is not offered; start from SAM")
    vision = cast(Any, model).config.vision_config
    return replace(
        options,
        start=start,
        size=vision.image_size,
        patch=vision.patch_size,
        width=vision.hidden_size,
        depth=vision.num_hidden_layers,
        heads=vision.num_attention_heads,
        channels=vision.output_channels,
    )


@dataclass(frozen=True, slots=True)
class Portrait:
    """A labelled portrait and the face that the detector finds in it."""

    sample: Sample
    face: Face


class SmallSam(nn.Module):
    """Hold a SAM and answer for whole batches."""

    def __init__(self, options: SamOptions) -> None:
        super().__init__()
        self.model = _fresh(options) if options.start is None else cast("SamModel", read_sam(options.start))
        self.model.requires_grad_(True)
        places: nn.Parameter = (
            self.model.shared_image_embedding.positional_embedding
        )  # the prompts' too: they are tied
        if options.start is None:
            nn.init.normal_(
                places
            )  # as the authors draw it; what transformers draws is too fine to be learnt from
        places.requires_grad_(False)
        self._parts = SamEncoder(self.model), SamDecoder(self.model)  # in a tuple: weights are stored once

    def forward(self, batch: Drawn) -> tuple[Tensor, Tensor]:
        """Return the logits of three masks (Nx3xhxw) and the IoU that each says of itself (Nx3)."""
        encoder, decoder = self._parts
        embeddings = encoder(batch["image"].float() / 255)
        labels = torch.from_numpy(LABELS).to(batch["points"]).expand(len(batch["points"]), 1, -1)
        answer: tuple[Tensor, Tensor] = decoder(batch["points"], labels, batch["boxes"], *embeddings)
        return answer


def _fresh(options: SamOptions) -> "SamModel":
    declare_torchvision_operators()
    from transformers import SamConfig, SamModel

    channels, sizes = options.channels, {"image_size": options.size, "patch_size": options.patch}
    encoder = {
        **sizes,
        "hidden_size": options.width,
        "num_hidden_layers": options.depth,
        "num_attention_heads": options.heads,
        "output_channels": channels,
        "window_size": max(1, options.size // options.patch // 2),
        "global_attn_indexes": list(range(2, options.depth, 3)),
        "num_pos_feats": channels // 2,
        "initializer_range": 0.02,
    }
    decoder = {"hidden_size": channels, "mlp_dim": 4 * channels, "iou_head_hidden_dim": channels}
    prompts = {**sizes, "hidden_size": channels}
    return SamModel(
        SamConfig(vision_config=encoder, prompt_encoder_config=prompts, mask_decoder_config=decoder)
    )


def sam_loss(logits: Tensor, said: Tensor, mask: Tensor) -> Tensor:
    """Return the loss of three masks (Nx3xhxw logits, Nx3 IoU) of one face each (Nxhxw in 0..1)."""
    true = mask[:, None].expand_as(logits)
    chance = torch.sigmoid(logits)
    right = chance * true + (1 - chance) * (1 - true)
    focal = functional.binary_cross_entropy_with_logits(logits, true, reduction="none")
    focal = (focal * (1 - right) ** 2).mean((2, 3))
    both = (chance * true).sum((2, 3))
    dice = 1 - (2 * both + 1) / (chance.sum((2, 3)) + true.sum((2, 3)) + 1)
    best = (20 * focal + dice).min(1).values
    return (best + ((said - mask_iou(logits, mask).detach()) ** 2).mean(1)).mean()


def mask_iou(logits: Tensor, mask: Tensor) -> Tensor:
    """Return the IoU of each mask (NxMxhxw logits) with the true one (Nxhxw), NxM."""
    found, true = logits > 0, mask[:, None] > 0.5
    either = (found | true).sum((2, 3)).clamp(min=1)
    return (found & true).sum((2, 3)) / either


class SamModule(pl.LightningModule):
    """Hold the network, its loss, its optimizer and its validation."""

    def __init__(self, options: SamOptions) -> None:
        super().__init__()
        self.options = options
        torch.manual_seed(options.run.seed)
        self.net = SmallSam(options)

    def training_step(self, batch: Drawn, _index: int) -> Tensor:
        """Return the loss of a batch."""
        logits, said = self.net(batch)
        loss = sam_loss(logits, said, batch["mask"])
        self.log("loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Drawn, _index: int) -> None:
        """Log the IoU of the mask that says of itself to be the best."""
        logits, said = self.net(batch)
        chosen = mask_iou(logits, batch["mask"]).gather(1, said.argmax(1, keepdim=True))
        self.log(SCORE, chosen.mean(), batch_size=len(logits), prog_bar=True, sync_dist=True)
        self.log("val_loss", sam_loss(logits, said, batch["mask"]), batch_size=len(logits), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW, without decay of biases, norms and embeddings."""
        rate = self.options.learning_rate
        weights = [p for p in self.net.parameters() if p.ndim > 1]
        others = [p for p in self.net.parameters() if p.ndim <= 1]
        groups: list[dict[str, Any]] = [
            {"params": weights, "weight_decay": self.options.weight_decay, "initial_lr": rate},
            {"params": others, "weight_decay": 0.0, "initial_lr": rate},
        ]
        return torch.optim.AdamW(groups, rate)


class SamDraw:
    """Draw a picture of one or two portraits, one of whose faces is asked for."""

    def __init__(
        self, portraits: Sequence[Portrait], backgrounds: Sequence[Image], options: SamOptions
    ) -> None:
        self._portraits, self._backgrounds, self._options = portraits, backgrounds, options

    def __call__(self, rng: np.random.Generator) -> Drawn:
        """Return `image`, 3xSxS bytes, and the prompts and the `mask` of a face."""
        side = self._options.size
        scene = self._background(rng)
        count = min(len(self._portraits), 2 if rng.random() < 0.4 else 1)
        laid = []
        for place, index in enumerate(rng.choice(len(self._portraits), count, replace=False)):
            window = slice(place * side // count, (place + 1) * side // count)
            portrait = self._portraits[int(index)]
            laid.append(lay_portrait(scene, window, portrait, draw_matrix(portrait.face, window, side, rng)))
        face, mask = laid[int(rng.integers(count))]
        image = vary_photo(scene, rng) if rng.random() < VARIED else scene
        return to_tensors(image, _jittered(face, rng), mask, self._options)

    def _background(self, rng: np.random.Generator) -> Image:
        side = self._options.size
        if not self._backgrounds:
            return np.full((side, side, 3), rng.integers(0, 256, 3), np.uint8)
        photo = self._backgrounds[int(rng.integers(len(self._backgrounds)))]
        return np.array(cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def draw_matrix(face: Face, window: slice, side: int, rng: np.random.Generator) -> Affine:
    """Return a matrix that lays a face, turned, scaled and half of the time mirrored, into columns of a square."""
    width = window.stop - window.start
    height = max(face.box[3] - face.box[1], face.box[2] - face.box[0])
    scale = float(np.exp(rng.uniform(np.log(0.3), np.log(0.9)))) * width / height
    turn = np.radians(rng.normal(0, 14))
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    if rng.random() < 0.5:
        linear[:, 0] *= -1
    spread = max(0.0, 0.5 - 0.45 * scale * height / width)
    there = np.array(
        [
            (window.start + window.stop) / 2 + rng.uniform(-spread, spread) * width,
            side / 2 + rng.uniform(-spread, spread) * side,
        ]
    )
    centre = np.array([(face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2])
    return np.column_stack([linear, there - linear @ centre])


def lay_portrait(scene: Image, window: slice, portrait: Portrait, matrix: Affine) -> tuple[Face, Mask]:
    """Lay a portrait into columns of the scene, in place, and return its face and mask there."""
    image, labels = portrait.sample.image, portrait.sample.labels
    size = (scene.shape[1], scene.shape[0])
    marked = np.isin(labels, FACE_CLASSES).astype(np.float32)
    laid = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR)
    inside = cv2.warpAffine(np.ones(labels.shape, np.uint8), matrix, size, flags=cv2.INTER_NEAREST)
    mask = cv2.warpAffine(marked, matrix, size, flags=cv2.INTER_LINEAR)
    beyond = np.ones(scene.shape[1], np.bool_)
    beyond[window] = False
    inside[:, beyond] = 0
    scene[inside > 0] = laid[inside > 0]
    return moved_face(portrait.face, matrix), np.asarray(mask * inside, dtype=np.float32)


def moved_face(face: Face, matrix: Affine) -> Face:
    """Return the face where the matrix leads it; a mirrored one has its eyes and mouth corners in image order."""
    points = transform_points(matrix, face.points)
    if np.linalg.det(matrix[:, :2]) < 0:
        points = points[[1, 0, 2, 4, 3]]
    x0, y0, x1, y1 = face.box
    corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]], dtype=np.float32)
    there = transform_points(matrix, corners)
    centre, reach = there.mean(axis=0), np.abs(there - there.mean(axis=0)).max(axis=0)
    return _face((*(centre - reach), *(centre + reach)), points, face.score)


def _face(box: Sequence[float], points: NDArray[np.float32], score: float) -> Face:
    a, b, c, d, e = ((float(x), float(y)) for x, y in points)
    x0, y0, x1, y1 = (float(value) for value in box)
    return Face((x0, y0, x1, y1), (a, b, c, d, e), score)


def _jittered(face: Face, rng: np.random.Generator) -> Face:
    """Return the face as detectors err: box and landmarks a few per cent aside."""
    box = (np.array(face.box) + rng.normal(0, 0.04 * face.size, 4)).tolist()
    points = face.points + rng.normal(0, 0.02 * face.size, (5, 2)).astype(np.float32)
    return _face(box, points.astype(np.float32), face.score)


def to_tensors(image: Image, face: Face, mask: Mask, options: SamOptions) -> Drawn:
    """Return a square picture as bytes, the prompts of a face, and its mask at the resolution of the answer."""
    prompts = make_prompts(face)
    cells = 4 * options.size // options.patch
    coarse = cv2.resize(mask, (cells, cells), interpolation=cv2.INTER_AREA)
    return {
        "image": torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))),
        "points": torch.from_numpy(prompts.points)[None],
        "boxes": torch.tensor(prompts.box, dtype=torch.float32)[None],
        "mask": torch.from_numpy(coarse),
    }


class SquaredPortraits(Dataset[Drawn]):
    """Show each portrait whole in the network's square."""

    def __init__(self, portraits: Sequence[Portrait], options: SamOptions) -> None:
        self._portraits, self._options = portraits, options

    def __len__(self) -> int:
        return len(self._portraits)

    def __getitem__(self, index: int) -> Drawn:
        """Return one portrait's tensors, as `SamDraw` does."""
        portrait, side = self._portraits[index], self._options.size
        scene = np.full((side, side, 3), 128, np.uint8)
        matrix = square_affine(portrait.sample.labels.shape, SamFacts("pad", side))
        face, mask = lay_portrait(scene, slice(0, side), portrait, matrix)
        return to_tensors(scene, face, mask, self._options)


def with_faces(samples: Sequence[Sample], detector: LightDetector) -> list[Portrait]:
    """Return the portraits in which the detector finds a face, with the largest."""
    found = [(sample, detector(sample.image)) for sample in samples]
    return [Portrait(sample, max(faces, key=lambda face: face.size)) for sample, faces in found if faces]


def train_sam(options: SamOptions, run: Path, report: Report, resume: Path | None = None) -> Path:
    """Train, write the weights in the authors' layout, convert, measure on val, write the card; return the weights.

    Raises:
        InputError: the data set is faulty or has no such split, or the run to go on with started from other weights.
    """
    checkpoint = resume or run / "last.ckpt"
    refuse_other_start(checkpoint.parent, checkpoint.name, options.start)
    flat = asdict(options)
    write_config(run, {"task": "sam", "options": {**flat.pop("run"), **flat}})
    folders = SegmenterFolders(
        options.portraits,
        None,
        (),
        (),
        options.cache,
        leave_out_faulty=options.leave_out_faulty,
        mend_sides=True,  # a face as a whole has none
    )
    samples = load_portraits(
        folders, ("train", "val"), options.size, workers=options.run.workers, report=report
    )
    detector = LightDetector(OpenVinoBackend(model_path(find_embedded("detector"))))
    portraits = {split: with_faces(found, detector) for split, found in samples.items()}
    report(", ".join(f"{split}: {len(found)} faces" for split, found in portraits.items()))
    for split, found in portraits.items():
        if len(found) < 2:
            raise InputError(
                f"{options.portraits}: fewer than two faces are found in {split}; name other portraits"
            )
    backgrounds = [
        read_rgb(path, options.size) for folder in options.backgrounds for path in sorted(folder.iterdir())
    ]
    module = SamModule(options)
    draw = SamDraw(portraits["train"], backgrounds, options)
    data = DrawnData(draw, SquaredPortraits(portraits["val"], options), options.run)
    steps, seconds = run_training(module, data, run, options.run, report, resume)
    path = run / f"{NAME}.safetensors"
    if not module.trainer.is_global_zero:
        return path  # the first of several processes writes it
    draw_loss_curve(run)
    state = {name: tensor.detach().clone() for name, tensor in authors_names(module.net.model.cpu()).items()}
    write_weights(state, path, {"step": str(steps)})
    export_sam(read_sam(path), run, path)
    scores = measure_sam(run, portraits["val"])
    describe(module.net, options, steps, scores, minutes=seconds / 60).write(path)
    return path


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
    from sfumato.backends import inspect_model

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
