"""Tell by the names of its tensors which network a file of weights holds; it builds none."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from sfumato.errors import ModelError
from sfumato.nets import generators, segmenters
from sfumato.nets.weight_files import State, load_weights
from sfumato.registry import Task


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a file holds.

    Attributes:
        network: its name for people.
    """

    task: Task
    network: str


SIGNS: Mapping[Recognised, tuple[str, ...]] = {
    Recognised("stylizer", "a light generator"): (generators.FIRST_LIGHT,),
    Recognised("segmenter", "SAM 2"): (
        "image_encoder.trunk.patch_embed.proj.weight",
        "sam_mask_decoder.iou_token.weight",
    ),
    Recognised("segmenter", "SAM"): (
        "image_encoder.patch_embed.proj.weight",
        "mask_decoder.iou_token.weight",
    ),
    Recognised("segmenter", "a light U-Net"): (segmenters.FIRST_LIGHT, "head.weight"),
    Recognised("segmenter", "a U-Net with an EfficientNet"): (
        segmenters.FIRST_PAPER,
        "segmentation_head.0.weight",
    ),
    Recognised("restorer", "GFPGAN"): ("stylegan_decoder.constant_input.weight", "conv_body_first.weight"),
    Recognised("restorer", "RestoreFormer"): ("quantize.embedding.weight", "decoder.conv_in.weight"),
    Recognised("stylizer", "CycleGAN's generator"): (
        generators.FIRST_PUBLISHED,
        "model.10.conv_block.1.weight",
    ),
}
"""Tensors that a network has, all of them, and the others not."""

OTHERS: Mapping[str, str] = {
    "position_emb": "CodeFormer",
    "body.0.rdb1.conv1.weight": "Real-ESRGAN",
    "model.diffusion_model.input_blocks.0.0.weight": "Stable Diffusion",
    "image_encoder.layers.0.blocks.0.conv1.c.weight": "MobileSAM",
    "model.8.weight": "CycleGAN's discriminator",
}
"""A tensor of each network that people may try, and that sfumato does not run."""

PREFIXES = ("module.", "unet.", "vqvae.")
"""Beginnings of names that say nothing of the network."""


def recognise(path: Path) -> Recognised:
    """Return what a file of weights, or a folder of Hugging Face's, holds; of a `.pth` no code is run.

    Raises:
        MissingInputError: there is no such file.
        ModelError: it is damaged, or holds nothing that sfumato runs; what it holds is named as far as it is known.
    """
    if path.is_dir():
        from sfumato.nets.sam import kind_of_folder

        return Recognised("segmenter", "SAM" if kind_of_folder(path) == "sam" else "SAM 2")
    return recognise_names(tensor_names(load_weights(path)), path)


def tensor_names(state: State) -> set[str]:
    """Return the names of all tensors of a file, without the prefixes and the name of the table they lie in."""
    inner = [value for value in state.values() if isinstance(value, dict)]
    names = {
        name
        for table in (state, *inner)
        for name, value in table.items()
        if isinstance(value, Tensor) and isinstance(name, str)
    }
    for prefix in PREFIXES:
        names = {name.removeprefix(prefix) for name in names}
    return names


def recognise_names(names: Collection[str], path: Path) -> Recognised:
    """Return the network that has tensors of these names.

    Args:
        path: of the file, for the error.

    Raises:
        ModelError: sfumato knows none.
    """
    for found, signs in SIGNS.items():
        if all(sign in names for sign in signs):
            return found
    for sign, other in OTHERS.items():
        if sign in names:
            raise ModelError(
                f"{path} holds {other}, which sfumato does not run; name CycleGAN, GFPGAN, a U-Net or SAM"
            )
    first = ", ".join(sorted(names)[:3]) or "none"
    raise ModelError(
        f"{path} holds no network that sfumato knows (its tensors: {first}); name CycleGAN, GFPGAN, a U-Net or SAM"
    )
