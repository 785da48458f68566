"""Fill a network with weights of an earlier run or of an exported model, to train on from there."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # comes with onnx
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from sfumato.errors import InputError, ModelError
from sfumato.nets.embedded import stored_weights
from sfumato.nets.paper_unet import UNUSED_WEIGHTS


def load_weights(net: nn.Module, path: Path, name: str) -> None:
    """Fill `net` with the weights of a safetensors file of a run, or of an ONNX file that `export` wrote.

    An ONNX file holds them in float16, and neither counters of BatchNorm nor what the network never uses: those keep
    their values.

    Args:
        name: of the network, for the error.

    Raises:
        ModelError: the file is damaged or holds another network.
    """
    try:
        stored = _read_onnx(path, net) if path.suffix == ".onnx" else load_file(path)
        net.load_state_dict(stored)
    except (SafetensorError, DecodeError, RuntimeError) as error:
        raise ModelError(
            f"{path} holds no weights of {name}; name best.safetensors or the ONNX file of its run, or another network"
        ) from error


def _read_onnx(path: Path, net: nn.Module) -> Mapping[str, torch.Tensor]:
    """Return the weights of the graph by their names in `net`, whatever wrapped it for the export."""
    stored = stored_weights(onnx.load(str(path)))
    wrapped = {f"net.{name}": name for name in net.state_dict()}
    state = {
        name: tensor
        for name, tensor in net.state_dict().items()
        if name.endswith("num_batches_tracked") or name.startswith(UNUSED_WEIGHTS)
    }
    for name, array in stored.items():
        own = wrapped.get(name, name)
        if own in net.state_dict():
            state[own] = torch.from_numpy(array.astype(np.float32)).reshape(net.state_dict()[own].shape)
    return state


def refuse_other_start(run: Path, checkpoint: str, start: Path | None) -> None:
    """Make sure that a run that goes on from `run/checkpoint` started where this one is to start.

    Raises:
        InputError: it started from other weights, which the checkpoint would put in the place of `start`.
    """
    config = run / "config.json"
    if not (run / checkpoint).exists() or not config.exists():
        return
    before = json.loads(config.read_text(encoding="utf-8")).get("options", {}).get("start")
    if before != (str(start) if start else None):
        raise InputError(
            f"{run} holds a run that started from {before or 'fresh weights'}; use another --out, or the same --start"
        )
