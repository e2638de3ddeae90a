"""What pyiqa's CFANet has in its state dict and our network does without."""

from __future__ import annotations

import torch
from torch import Tensor

from topiq_metrics.models.backbones.swin import GRIDS, SwinB, relative_position_index, shift_mask
from topiq_metrics.models.cfanet import CFANet

_CLASSES = 1000


def unused_tensors(net: CFANet) -> dict[str, Tensor]:
    """Zeros for the weights that pyiqa's network never uses, by pyiqa's keys.

    They are the self-attention of the cross-scale blocks, and a Swin's final norm and classifier.
    """
    dim = net.config.dim
    attention = {
        "in_proj_weight": (3 * dim, dim),
        "in_proj_bias": (3 * dim,),
        "out_proj.weight": (dim, dim),
        "out_proj.bias": (dim,),
    }
    shapes: dict[str, tuple[int, ...]] = {
        f"attn_blks.{index}.layers.0.self_attn.{name}": shape
        for index in range(len(net.cross_attention))
        for name, shape in attention.items()
    }
    if isinstance(net.backbone, SwinB):
        width = net.backbone.channels[-1]
        shapes |= {f"semantic_model.norm.{name}": (width,) for name in ("weight", "bias")}
        shapes |= {"semantic_model.head.weight": (_CLASSES, width), "semantic_model.head.bias": (_CLASSES,)}
    return {key: torch.zeros(shape, dtype=torch.float32) for key, shape in shapes.items()}


def constants(net: CFANet) -> dict[str, Tensor]:
    """What pyiqa's Swin keeps although it can be computed, by pyiqa's keys."""
    found: dict[str, Tensor] = {}
    if not isinstance(net.backbone, SwinB):
        return found
    # Stages and mergings take turns after the patch embedding.
    stages = [list(stage.children()) for stage in list(net.backbone.features)[1::2]]
    for stage, blocks in enumerate(stages):
        for block in range(len(blocks)):
            prefix = f"semantic_model.layers.{stage}.blocks.{block}."
            found[f"{prefix}attn.relative_position_index"] = relative_position_index()
            if block % 2 and stage < len(GRIDS):
                found[f"{prefix}attn_mask"] = shift_mask(GRIDS[stage])
    return found
