"""Say what files of Segment Anything's authors hold: names of tensors, and sizes that these tell; it builds nothing."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

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


def sam_state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of SAM's authors under the names of transformers."""
    state = {
        _renamed(name, (*_SAM, *_COMMON)): tensor
        for name, tensor in tensors.items()
        if name not in ("pixel_mean", "pixel_std")
    }
    return _with_places(state)


def sam_2_state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of SAM 2's authors that single pictures need, under the names of transformers."""
    state = {
        _SAM_2_NECK.sub(r"\1.", _SAM_2_MLP.sub(_sam_2_mlp, _renamed(name, (*_SAM_2, *_COMMON)))): tensor
        for name, tensor in tensors.items()
        if name.startswith(_SAM_2_PARTS)
    }
    points = [state.pop(f"prompt_encoder.point_embed.{k}.weight") for k in range(4)]
    state["prompt_encoder.point_embed.weight"] = torch.cat(points)
    return _with_places(state)


def _with_places(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights with the matrix of places for the picture too, which is that of the prompts."""
    places = state["prompt_encoder.shared_embedding.positional_embedding"]
    return {**state, "shared_image_embedding.positional_embedding": places}


def authors_name(name: str) -> str:
    """Return the name in the authors' file of a tensor of transformers' SAM."""
    for old, new in (*_SAM, *_COMMON):
        name = name.replace(new, old)
    return _OUR_HEAD.sub(lambda found: f"{found[1]}layers.{_HEAD_LAYERS.index(found[2])}.", name)


def _renamed(name: str, parts: tuple[tuple[str, str], ...]) -> str:
    for old, new in parts:
        name = name.replace(old, new)
    return _AUTHORS_HEAD.sub(lambda found: f"{found[1]}{_HEAD_LAYERS[int(found[2])]}", name)


def _sam_2_mlp(found: re.Match[str]) -> str:
    return f"{found[1]}.mlp.{('proj_in', 'proj_out')[int(found[2])]}."


def sam_sizes(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
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


def sam_2_sizes(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
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


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    return len({found[1] for found in (re.match(pattern, name) for name in tensors) if found})
