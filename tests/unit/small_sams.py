"""Small, randomly initialised networks of Segment Anything, in the layout of their authors' files."""

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfumato.nets.sam import authors_names
from sfumato.nets.torchvision_schema import declare_torchvision_operators

SIDE = 64


def small_sam(seed: int = 0) -> Any:
    """Return a SAM of 64 pixels and patches of 8."""
    declare_torchvision_operators()
    from transformers import SamConfig, SamModel

    torch.manual_seed(seed)
    sizes = {"image_size": SIDE, "patch_size": 8}
    encoder = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "output_channels": 32}
    config = SamConfig(
        vision_config={**sizes, **encoder, "window_size": 5, "global_attn_indexes": [1], "num_pos_feats": 16},
        prompt_encoder_config={**sizes, "hidden_size": 32},
        mask_decoder_config={"hidden_size": 32, "mlp_dim": 64, "iou_head_hidden_dim": 48},
    )
    return _shaken(SamModel(config))


def small_sam2(seed: int = 0) -> Any:
    """Return a SAM 2 as deep as the tiny one and an eighth as wide; its square has 1024 pixels like every SAM 2's."""
    declare_torchvision_operators()
    from transformers import Sam2Config, Sam2Model

    torch.manual_seed(seed)
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 12,
        "embed_dim_per_stage": [12, 24, 48, 96],
    }
    vision = {"backbone_config": backbone, "backbone_channel_list": [96, 48, 24, 12]}
    model = _shaken(Sam2Model(Sam2Config(vision_config=vision)))
    with torch.no_grad():  # one matrix in the authors' files
        model.shared_image_embedding.positional_embedding.copy_(
            model.prompt_encoder.shared_embedding.positional_embedding
        )
    return model


def _shaken(model: Any) -> Any:
    """Draw all weights, those that start as zeros as well."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "positional_embedding" not in name and "layer_norm" not in name:
                parameter.normal_(0, 0.15)
    return model.eval()


def write_sam(path: Path, model: Any) -> Path:
    """Write a SAM as its authors did, with what their files hold besides."""
    state = {name: tensor.detach().clone() for name, tensor in authors_names(model).items()}
    torch.save({**state, "pixel_mean": torch.zeros(3, 1, 1), "pixel_std": torch.ones(3, 1, 1)}, path)
    return path


BACK: tuple[tuple[str, str], ...] = (
    (r"^vision_encoder\.backbone\.", "image_encoder.trunk."),
    (r"^vision_encoder\.neck\.convs\.(\d+)\.", r"image_encoder.neck.convs.\1.conv."),
    (
        r"^prompt_encoder\.shared_embedding\.positional_embedding",
        "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
    ),
    (r"^prompt_encoder\.mask_embed\.conv1\.", "sam_prompt_encoder.mask_downscaling.0."),
    (r"^prompt_encoder\.mask_embed\.layer_norm1\.", "sam_prompt_encoder.mask_downscaling.1."),
    (r"^prompt_encoder\.mask_embed\.conv2\.", "sam_prompt_encoder.mask_downscaling.3."),
    (r"^prompt_encoder\.mask_embed\.layer_norm2\.", "sam_prompt_encoder.mask_downscaling.4."),
    (r"^prompt_encoder\.mask_embed\.conv3\.", "sam_prompt_encoder.mask_downscaling.6."),
    (r"^prompt_encoder\.", "sam_prompt_encoder."),
    (r"^mask_decoder\.upscale_conv1\.", "sam_mask_decoder.output_upscaling.0."),
    (r"^mask_decoder\.upscale_layer_norm\.", "sam_mask_decoder.output_upscaling.1."),
    (r"^mask_decoder\.upscale_conv2\.", "sam_mask_decoder.output_upscaling.3."),
    (r"^mask_decoder\.", "sam_mask_decoder."),
    (r"^no_memory_embedding$", "no_mem_embed"),
    (r"\.layers\.0\.(weight|bias)$", r".layers.1.\1"),
    (r"(hypernetworks_mlps\.\d+|prediction_head|score_head)\.proj_in\.", r"\1.layers.0."),
    (r"(hypernetworks_mlps\.\d+|prediction_head|score_head)\.proj_out\.", r"\1.layers.2."),
    (r"\.mlp\.proj_in\.", ".mlp.layers.0."),
    (r"\.mlp\.proj_out\.", ".mlp.layers.1."),
    (r"\.o_proj\.", ".out_proj."),
    (r"patch_embed\.projection\.", "patch_embed.proj."),
    (r"\.layer_norm", ".norm"),
)
"""From the names of transformers to those of `sam2.1_hiera_tiny.pt`, written down apart from what reads them."""


def write_sam2(path: Path, model: Any) -> Path:
    """Write a SAM 2 as its authors did, with a part of its memory."""
    state: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        if name == "shared_image_embedding.positional_embedding":
            continue
        if name == "prompt_encoder.point_embed.weight":
            state |= {
                f"sam_prompt_encoder.point_embeddings.{k}.weight": row[None].clone()
                for k, row in enumerate(tensor)
            }
            continue
        theirs = name
        for pattern, there in BACK:
            theirs = re.sub(pattern, there, theirs)
        state[theirs] = tensor.clone()
    memory = {"maskmem_tpos_enc": torch.zeros(7, 1, 1, 64), "memory_attention.norm.weight": torch.ones(256)}
    torch.save({"model": {**state, **memory}}, path)
    return path
