"""Read Segment Anything from its authors' files or a Hugging Face folder (paper, section 2.5); it trains nothing.

The networks are those of the package transformers: SAM (Kirillov et al., "Segment anything", 2023) and SAM 2 and 2.1
(Ravi et al., "SAM 2: Segment anything in images and videos", 2024), of which only what single pictures need is read.
How large a network is, is told by its weights.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from sfumato.errors import ModelError
from sfumato.nets.sam_layout import authors_name, sam_2_sizes, sam_2_state, sam_sizes, sam_state
from sfumato.nets.torchvision_schema import declare_torchvision_operators
from sfumato.nets.weight_files import DAMAGE, State, load_weights
from sfumato.stages.sam_facts import SamFacts

if TYPE_CHECKING:
    from transformers import Sam2Model, SamModel

    Model: TypeAlias = SamModel | Sam2Model

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class SamEncoder(nn.Module):
    """Embed a picture, once for all of its faces."""

    def __init__(self, model: "Model") -> None:
        super().__init__()
        self.model = model
        if model.config.model_type != "sam":
            _settle_places(cast(Any, model).vision_encoder.backbone)

    def forward(self, rgb: Tensor) -> tuple[Tensor, ...]:
        """Map 1x3xSxS in 0..1 to embeddings, the coarsest last."""
        mean, deviation = (rgb.new_tensor(of).view(1, 3, 1, 1) for of in (IMAGENET_MEAN, IMAGENET_DEVIATION))
        pixels = (rgb - mean) / deviation
        model = cast(Any, self.model)
        if model.config.model_type == "sam":
            return (model.vision_encoder(pixels)[0],)
        maps = list(model.vision_encoder(pixels, return_dict=True).fpn_hidden_states)
        maps[0], maps[1] = model.mask_decoder.conv_s0(maps[0]), model.mask_decoder.conv_s1(maps[1])
        maps[-1] = maps[-1] + model.no_memory_embedding.view(1, -1, 1, 1)
        return tuple(maps)


class SamDecoder(nn.Module):
    """Draw the masks of one face from the picture's embeddings and prompts."""

    def __init__(self, model: "Model") -> None:
        super().__init__()
        self.model = model

    def forward(
        self, points: Tensor, labels: Tensor, boxes: Tensor, *embeddings: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return three masks (Nx3xhxw logits) and the IoU that each is thought to have (Nx3).

        Args:
            points: Nx1xPx2, (x, y) in pixels of the square that the encoder saw.
            labels: Nx1xP: 1 on the face, 0 beside it.
            boxes: Nx1x4, (x0, y0, x1, y1).
        """
        model = cast(Any, self.model)
        if model.config.model_type == "sam":
            sparse, dense = model.prompt_encoder(points, labels.long(), boxes, None)
        else:
            sparse, dense = _embedded(model.prompt_encoder, points, labels, boxes)
        finer = {"high_resolution_features": list(embeddings[:-1])} if len(embeddings) > 1 else {}
        found = model.mask_decoder(
            image_embeddings=embeddings[-1],
            image_positional_embeddings=model.get_image_wide_positional_embeddings().repeat(
                points.shape[0], 1, 1, 1
            ),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
            **finer,
        )
        return found[0][:, 0], found[1][:, 0]


def _settle_places(backbone: nn.Module) -> None:
    """Compute once where each patch of SAM 2's square is, which is the same for all pictures.

    The network enlarges its map of places anew for each; OpenVINO computes that in advance, and takes minutes for it.
    """
    held = cast(Any, backbone)
    stride = held.config.patch_stride
    size = tuple(side // step for side, step in zip(held.config.image_size, stride, strict=True))
    with torch.no_grad():
        held.register_buffer("places", held._get_pos_embed(size), persistent=False)
    held._get_pos_embed = lambda _: held.places


def _embedded(
    prompt_encoder: nn.Module, points: Tensor, labels: Tensor, boxes: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what SAM 2's prompt encoder makes of prompts, a box being two points of labels 2 and 3.

    The encoder's own way clips the labels, and OpenVINO clips whole numbers wrongly.
    """
    encoder = cast(Any, prompt_encoder)
    places = torch.cat([points, boxes.view(-1, 1, 2, 2)], dim=2) + 0.5
    marks = torch.cat(
        [labels, torch.full_like(labels[..., :1], 2), torch.full_like(labels[..., :1], 3)], dim=-1
    )
    sparse = encoder.shared_embedding(places, (encoder.input_image_size, encoder.input_image_size))
    for mark in range(4):
        sparse = sparse + (marks == mark).unsqueeze(-1) * encoder.point_embed.weight[mark]
    none = torch.zeros_like(sparse[:, :, :1]) + encoder.not_a_point_embed.weight
    dense = encoder.no_mask_embed.weight.view(1, -1, 1, 1).expand(
        points.shape[0], -1, *encoder.image_embedding_size
    )
    return torch.cat([sparse, none], dim=2), dense


def read_sam(path: Path) -> "Model":
    """Return the network of an authors' `.pth` or `.pt`, of a safetensors file of the same names, or of a folder.

    A folder is one of Hugging Face's: `config.json` and `model.safetensors`. Of a `.pth` only weights are read: no code
    in it is run, and what is not needed stays on the disk.

    Raises:
        MissingInputError: there is no such file or folder.
        ModelError: it is damaged or holds another network.
    """
    declare_torchvision_operators()
    if path.is_dir():
        return _read_folder(path)
    return sam_of(load_weights(path), path)


def sam_of(state: State, path: Path) -> "Model":
    """Return the network that holds these weights.

    Args:
        path: the file that they are from, for the error.

    Raises:
        ModelError: they are those of another network.
    """
    declare_torchvision_operators()
    tables = [state, *(value for value in state.values() if isinstance(value, dict))]
    tensors = {
        str(name).removeprefix("module."): value
        for table in tables
        for name, value in table.items()
        if isinstance(value, Tensor)
    }
    try:
        if "image_encoder.trunk.patch_embed.proj.weight" in tensors:
            return _sam_2_of(tensors)
        if "image_encoder.patch_embed.proj.weight" in tensors:
            return _sam_1_of(tensors)
    except (KeyError, RuntimeError, ValueError, IndexError) as error:
        raise ModelError(f"{path} holds another network than SAM or SAM 2; get a whole copy") from error
    raise ModelError(f"{path} holds no Segment Anything; name a file of SAM or SAM 2")


def facts_of(model: "Model") -> SamFacts:
    """Return how pictures are brought to the network."""
    prompts = cast(Any, model).config.prompt_encoder_config
    return SamFacts("pad" if model.config.model_type == "sam" else "stretch", int(prompts.image_size))


def authors_names(model: "Model") -> dict[str, Tensor]:
    """Return the weights of a SAM under the names of its authors' files.

    Raises:
        ValueError: it is a SAM 2.
    """
    if model.config.model_type != "sam":
        raise ValueError("only SAM is written under its authors' names")
    state = dict(model.state_dict())
    state.pop("shared_image_embedding.positional_embedding")
    return {authors_name(name): tensor for name, tensor in state.items()}


def kind_of_folder(path: Path) -> str:
    """Return which network a folder of Hugging Face's holds: sam, sam2 or sam2_video.

    Raises:
        ModelError: neither of them.
    """
    try:
        kind = json.loads((path / "config.json").read_bytes()).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{path} has no config.json of Hugging Face; name a whole folder") from error
    if kind not in ("sam", "sam2", "sam2_video"):
        raise ModelError(f"{path} holds a network of {kind}; name a folder of SAM or SAM 2")
    return str(kind)


def _read_folder(path: Path) -> "Model":
    from transformers import Sam2Model, SamModel

    kind = kind_of_folder(path)
    loader = SamModel if kind == "sam" else Sam2Model
    loading = {"local_files_only": True, "use_safetensors": True, "output_loading_info": True}
    try:
        model, found = cast(Any, loader).from_pretrained(path, dtype=torch.float32, **loading)
    except (*DAMAGE, ImportError) as error:
        raise ModelError(
            f"{path} cannot be read as {kind}; get a whole copy, with model.safetensors"
        ) from error
    missing = sorted(
        name for name in found["missing_keys"] if "shared_" not in name
    )  # which are one, and stored once
    if missing:
        raise ModelError(f"{path} holds no {missing[0]}; get a whole copy")
    return _ready(model)


def _sam_1_of(tensors: Mapping[str, Tensor]) -> "Model":
    from transformers import SamConfig, SamModel

    return _filled(SamModel(SamConfig(**sam_sizes(tensors))), sam_state(tensors))


def _sam_2_of(tensors: Mapping[str, Tensor]) -> "Model":
    from transformers import Sam2Config, Sam2Model

    return _filled(Sam2Model(Sam2Config(**sam_2_sizes(tensors))), sam_2_state(tensors))


def _filled(model: nn.Module, state: Mapping[str, Tensor]) -> "Model":
    model.load_state_dict(state, assign=True)  # the tensors of the file, not a copy of them
    return _ready(model)


def _ready(model: nn.Module) -> "Model":
    """Return the network in float32, with one matrix of places for the picture and the prompts."""
    held = cast(Any, model)
    held.prompt_encoder.shared_embedding.positional_embedding = (
        held.shared_image_embedding.positional_embedding
    )
    return cast("Model", model.float().eval().requires_grad_(False))
