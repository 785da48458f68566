"""Read Segment Anything from its authors' files or a Hugging Face folder (paper, section 2.5); it trains nothing.

The networks are those of the package transformers: SAM (Kirillov et al., "Segment anything", 2023) and SAM 2 and 2.1
(Ravi et al., "SAM 2: Segment anything in images and videos", 2024), of which only what single pictures need is read.
How large a network is, is told by its weights.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from sfumato.errors import ModelError
from sfumato.nets.torchvision_schema import declare_torchvision_operators
from sfumato.nets.weight_files import DAMAGE, State, load_weights
from sfumato.stages.sam_facts import SamFacts

if TYPE_CHECKING:
    from transformers import Sam2Model, SamModel

    Model: TypeAlias = SamModel | Sam2Model

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)

SAM_2_DEPTHS: Mapping[tuple[int, ...], Mapping[str, Any]] = {
    (1, 2, 7, 2): {"global": (5, 7, 9), "heads": 1, "windows": (8, 4, 14, 7)},  # tiny
    (1, 2, 11, 2): {"global": (7, 10, 13), "heads": 1, "windows": (8, 4, 14, 7)},  # small
    (2, 3, 16, 3): {"global": (12, 16, 20), "heads": 2, "windows": (8, 4, 14, 7)},  # base plus
    (2, 6, 36, 4): {"global": (23, 33, 43), "heads": 2, "windows": (8, 4, 16, 8)},  # large
}
"""What the weights of SAM 2 do not tell, by blocks a stage (its `sam2/configs`)."""

_COMMON = (
    ("mask_decoder.output_upscaling.0.", "mask_decoder.upscale_conv1."),
    ("mask_decoder.output_upscaling.1.", "mask_decoder.upscale_layer_norm."),
    ("mask_decoder.output_upscaling.3.", "mask_decoder.upscale_conv2."),
    ("mask_downscaling.0.", "mask_embed.conv1."),
    ("mask_downscaling.1.", "mask_embed.layer_norm1."),
    ("mask_downscaling.3.", "mask_embed.conv2."),
    ("mask_downscaling.4.", "mask_embed.layer_norm2."),
    ("mask_downscaling.6.", "mask_embed.conv3."),
    ("prompt_encoder.point_embeddings.", "prompt_encoder.point_embed."),
    ("pe_layer.positional_encoding_gaussian_matrix", "shared_embedding.positional_embedding"),
    ("patch_embed.proj.", "patch_embed.projection."),
    (".norm", ".layer_norm"),
)
"""Beginnings and parts of names in the authors' files, and in transformers, of SAM and SAM 2."""

_SAM = (
    ("image_encoder.blocks.", "vision_encoder.layers."),
    ("image_encoder.", "vision_encoder."),
    ("neck.0.", "neck.conv1."),
    ("neck.1.", "neck.layer_norm1."),
    ("neck.2.", "neck.conv2."),
    ("neck.3.", "neck.layer_norm2."),
)

_SAM_2 = (
    ("sam_prompt_encoder.", "prompt_encoder."),
    ("sam_mask_decoder.", "mask_decoder."),
    ("image_encoder.neck.", "vision_encoder.neck."),
    ("image_encoder.trunk.", "vision_encoder.backbone."),
    ("no_mem_embed", "no_memory_embedding"),
    (".out_proj.", ".o_proj."),
)

_SAM_2_PARTS = ("image_encoder.", "sam_prompt_encoder.", "sam_mask_decoder.", "no_mem_embed")
"""Beginnings of what single pictures need of SAM 2; the rest, its memory, is for videos."""

_HEAD = r"((?:output_hypernetworks_mlps\.\d+|iou_prediction_head|pred_obj_score_head)\.)"
_HEAD_LAYERS = ("proj_in.", "layers.0.", "proj_out.")
_AUTHORS_HEAD = re.compile(rf"{_HEAD}layers\.([012])\.")
_OUR_HEAD = re.compile(rf"{_HEAD}(proj_in\.|layers\.0\.|proj_out\.)")
_SAM_2_MLP = re.compile(r"(transformer\.layers\.\d+|backbone\.blocks\.\d+)\.mlp\.layers\.([01])\.")
_SAM_2_NECK = re.compile(r"(vision_encoder\.neck\.convs\.\d+)\.conv\.")


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
    return {_authors_name(name): tensor for name, tensor in state.items()}


def _authors_name(name: str) -> str:
    for old, new in (*_SAM, *_COMMON):
        name = name.replace(new, old)
    return _OUR_HEAD.sub(lambda found: f"{found[1]}layers.{_HEAD_LAYERS.index(found[2])}.", name)


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


def _renamed(name: str, parts: tuple[tuple[str, str], ...]) -> str:
    for old, new in parts:
        name = name.replace(old, new)
    return _AUTHORS_HEAD.sub(lambda found: f"{found[1]}{_HEAD_LAYERS[int(found[2])]}", name)


def _sam_1_of(tensors: Mapping[str, Tensor]) -> "Model":
    from transformers import SamConfig, SamModel

    config = SamConfig(**_sam_1_sizes(tensors))
    state = {
        _renamed(name, (*_SAM, *_COMMON)): tensor
        for name, tensor in tensors.items()
        if name not in ("pixel_mean", "pixel_std")
    }
    state["shared_image_embedding.positional_embedding"] = state[
        "prompt_encoder.shared_embedding.positional_embedding"
    ]
    return _filled(SamModel(config), state)


def _sam_1_sizes(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the configuration that the weights of a SAM tell."""
    encoder = "image_encoder."
    depth = _count(tensors, rf"{encoder}blocks\.(\d+)\.")
    _, grid, _, hidden = tensors[f"{encoder}pos_embed"].shape
    patch = tensors[f"{encoder}patch_embed.proj.weight"].shape[-1]
    reaches = [len(tensors[f"{encoder}blocks.{k}.attn.rel_pos_h"]) for k in range(depth)]
    broad = [k for k, reach in enumerate(reaches) if reach == 2 * grid - 1]
    windows = [(reach + 1) // 2 for k, reach in enumerate(reaches) if k not in broad]
    width = tensors["prompt_encoder.no_mask_embed.weight"].shape[1]
    cross = tensors["mask_decoder.transformer.layers.0.cross_attn_token_to_image.q_proj.weight"]
    return {
        "vision_config": {
            "hidden_size": hidden,
            "num_hidden_layers": depth,
            "num_attention_heads": hidden // tensors[f"{encoder}blocks.0.attn.rel_pos_h"].shape[1],
            "output_channels": width,
            "image_size": grid * patch,
            "patch_size": patch,
            "mlp_dim": len(tensors[f"{encoder}blocks.0.mlp.lin1.weight"]),
            "window_size": windows[0] if windows else 0,
            "global_attn_indexes": broad,
            "num_pos_feats": width // 2,
        },
        "prompt_encoder_config": {"hidden_size": width, "image_size": grid * patch, "patch_size": patch},
        "mask_decoder_config": {
            "hidden_size": width,
            "mlp_dim": len(tensors["mask_decoder.transformer.layers.0.mlp.lin1.weight"]),
            "num_hidden_layers": _count(tensors, r"mask_decoder\.transformer\.layers\.(\d+)\."),
            "attention_downsample_rate": width // len(cross),
            "iou_head_hidden_dim": len(tensors["mask_decoder.iou_prediction_head.layers.0.weight"]),
        },
    }


def _sam_2_of(tensors: Mapping[str, Tensor]) -> "Model":
    from transformers import Sam2Config, Sam2Model

    config = Sam2Config(**_sam_2_sizes(tensors))
    state = {
        _SAM_2_NECK.sub(r"\1.", _SAM_2_MLP.sub(_sam_2_mlp, _renamed(name, (*_SAM_2, *_COMMON)))): tensor
        for name, tensor in tensors.items()
        if name.startswith(_SAM_2_PARTS)
    }
    state["shared_image_embedding.positional_embedding"] = state[
        "prompt_encoder.shared_embedding.positional_embedding"
    ]
    points = [state.pop(f"prompt_encoder.point_embed.{k}.weight") for k in range(4)]
    state["prompt_encoder.point_embed.weight"] = torch.cat(points)
    return _filled(Sam2Model(config), state)


def _sam_2_mlp(found: re.Match[str]) -> str:
    return f"{found[1]}.mlp.{('proj_in', 'proj_out')[int(found[2])]}."


def _sam_2_sizes(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the configuration that the weights of a SAM 2 tell, and `SAM_2_DEPTHS`."""
    trunk = "image_encoder.trunk."
    depth = _count(tensors, rf"{trunk}blocks\.(\d+)\.")
    widths = [len(tensors[f"{trunk}blocks.{k}.attn.proj.weight"]) for k in range(depth)]
    stages = sorted(set(widths))
    blocks = tuple(widths.count(width) for width in stages)
    known = SAM_2_DEPTHS[blocks]
    background = tensors[f"{trunk}pos_embed"].shape[-2:]
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": stages[0],
        "num_attention_heads": known["heads"],
        "embed_dim_per_stage": stages,
        "num_attention_heads_per_stage": [known["heads"] * 2**k for k in range(4)],
        "blocks_per_stage": list(blocks),
        "global_attention_blocks": list(known["global"]),
        "window_size_per_stage": list(known["windows"]),
        "window_positional_embedding_background_size": list(background),
    }
    return {"vision_config": {"backbone_config": backbone, "backbone_channel_list": stages[::-1]}}


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


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    return len({found[1] for found in (re.match(pattern, name) for name in tensors) if found})
