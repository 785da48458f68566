"""Open the networks that judge pictures, and say how far each is to be trusted; they judge nothing here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import TypeVar

import torch

from sfumato.download import digest_of
from sfumato.errors import ModelError
from sfumato.evaluation.identity import identity_cosine, load_mobile_face_net
from sfumato.nets.segmenter import Encoder
from sfumato.nets.vgg import VggFeatures, load_vgg
from sfumato.training.imagenet import load_lite0
from sfumato.types import Compare

Network = TypeVar("Network")


@dataclass(frozen=True, slots=True)
class LikenessJudge:
    """Tells how much two FFHQ-aligned crops look like one person.

    Attributes:
        name: as it is shown.
        note: how far it is to be trusted.
        compare: returns a cosine; None where nothing can tell.
    """

    name: str
    note: str
    compare: Compare | None


def open_mobile_face_net(path: Path) -> LikenessJudge:
    """Return MobileFaceNet with the weights of a checkpoint.

    Raises:
        ModelError: the file holds no such network.
    """
    net = _read(load_mobile_face_net, path, "MobileFaceNet")
    note = (
        f"Likeness is measured by MobileFaceNet ({path.name}, sha256 {digest_of(path)[:12]}), which decides on "
        "nothing while a picture is made. The embedded restorer learnt by a MobileFaceNet, and the embedded recogniser "
        "from one: these weights may favour what they do."
    )
    return LikenessJudge("MobileFaceNet", note, partial(identity_cosine, net))


def judge_by_pipeline(name: str, compare: Compare | None) -> LikenessJudge:
    """Return the recogniser that the pipeline has itself, "light" or another."""
    if name != "light":
        return LikenessJudge(name, f"Likeness is measured by {name}.", compare)
    note = (
        "Likeness is measured by the embedded recogniser, which also decides on restorations and is thus not "
        "independent; name another by --recognition."
    )
    return LikenessJudge("embedded recogniser", note, compare)


def open_lite() -> Encoder:
    """Return EfficientNet-Lite0 as trained on ImageNet, from its package, its weights laid out as CPUs compute fastest.

    Raises:
        BackendMissingError: the package is not installed.
    """
    encoder = Encoder()
    load_lite0(encoder)
    encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # PyTorch's stubs lack this overload
    return encoder.requires_grad_(False).eval()


def open_vgg(path: Path) -> VggFeatures:
    """Return VGG19 to relu3_1 with the weights of a file.

    Raises:
        ModelError: the file holds no such network.
    """
    return _read(load_vgg, path, "VGG19 to relu3_1")


def _read(load: Callable[[Path], Network], path: Path, what: str) -> Network:
    try:
        return load(path)
    except (RuntimeError, KeyError, TypeError, EOFError, UnpicklingError) as error:
        raise ModelError(f"{path} holds no weights of {what}; name another file") from error
