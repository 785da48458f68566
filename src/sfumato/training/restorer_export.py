"""Write a trained restorer as ONNX, with its card."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from sfumato.export import check_parity, export_onnx
from sfumato.geometry import ALIGNED_SIZE
from sfumato.training.card import ModelCard, count_parameters
from sfumato.training.restorer_options import RestorerOptions

NAME = "restorer-light"


def export_restorer(net: nn.Module, options: RestorerOptions, run: Path, steps: int) -> Path:
    """Write `restorer-light.onnx` and its card into `run` after checking that OpenVINO agrees with the network."""
    path = run / f"{NAME}.onnx"
    coarse = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    example = functional.interpolate(coarse, (ALIGNED_SIZE, ALIGNED_SIZE), mode="bicubic").clamp(0, 1)
    export_onnx(net, path, example=example)
    check_parity(net, path, example, tolerance=4e-3)
    describe_restorer(net, options, steps, {}).write(path)
    return path


def describe_restorer(
    net: nn.Module, options: RestorerOptions, steps: int, scores: Mapping[str, float]
) -> ModelCard:
    """Return the card of a trained restorer."""
    return ModelCard(
        name=NAME,
        task="Restores an FFHQ-aligned 512x512 face: deblurs, denoises, removes JPEG marks; RGB 0..1 in and out",
        parameters=count_parameters(net),
        data=(
            f"{options.images.name}: FFHQ-aligned faces; the embedded model saw 800 of CelebAMask-HQ (non-commercial "
            "research), damaged on the way",
            f"{options.vgg.name}: VGG19 (ImageNet) compares pictures during training; no weight of it is contained",
            *_recognised(options),
            *_started(options),
        ),
        licence="non-commercial research, as its training data",
        command=_command(options),
        steps=steps,
        minutes=options.schedule.minutes or 0.0,
        seed=options.schedule.seed,
        scores=scores,
        limits=(
            "it sharpens what is there and invents little: a face of under 32 pixels stays soft",
            "skin that was blurred stays smooth: pores and hairs that are gone do not come back",
            "side faces, children and covered faces are rare among aligned portraits",
        ),
    )


def _recognised(options: RestorerOptions) -> tuple[str, ...]:
    if options.recognition is None:
        return ()
    return (
        f"{options.recognition.name}: MobileFaceNet tells persons apart in training; no weight is contained",
    )


def _started(options: RestorerOptions) -> tuple[str, ...]:
    return (
        (f"training began from the weights of {options.start.name}, which saw the same kinds of data",)
        if options.start
        else ()
    )


def _command(options: RestorerOptions) -> str:
    parts = {
        "images": options.images,
        "vgg": options.vgg,
        "recognition": options.recognition,
        "start": options.start,
    }
    named = " ".join(f"--{name} {path.name}" for name, path in parts.items() if path is not None)
    return f"sfumato train restorer {named}"
