"""Key names: pyiqa's checkpoints and ours.

Levels and blocks are counted alike on both sides: levels from shallow to deep, cross-scale blocks in the order in
which they run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Literal

from torch import Tensor

Renames = tuple[tuple[str, str], ...]

# (ours, pyiqa's); # stands for a number
_ATTENTION = (("in_proj.", "in_proj_"), ("out_proj.", "out_proj."))
_FFN = (("ffn.0.", "linear1."), ("ffn.3.", "linear2."))
_SELF_BLOCK = (
    ("norm_query.", "norm1."),
    ("norm_ffn.", "norm2."),
    *((f"attention.{ours}", f"self_attn.{theirs}") for ours, theirs in _ATTENTION),
    *_FFN,
)
_CROSS_BLOCK = (
    ("norm_query.", "norm1."),
    ("norm_memory.", "norm2."),
    ("norm_ffn.", "norm3."),
    *((f"attention.{ours}", f"multihead_attn.{theirs}") for ours, theirs in _ATTENTION),
    *_FFN,
)
# In torchvision's list of layers, stages and mergings take turns after the patch embedding.
_SWIN: Renames = (
    ("backbone.features.0.0.", "semantic_model.patch_embed.proj."),
    ("backbone.features.0.2.", "semantic_model.patch_embed.norm."),
    *(
        (f"backbone.features.{2 * stage + 1}.#.{ours}", f"semantic_model.layers.{stage}.blocks.#.{theirs}")
        for stage in range(4)
        for ours, theirs in (("mlp.0.", "mlp.fc1."), ("mlp.3.", "mlp.fc2."), ("", ""))
    ),
    *((f"backbone.features.{2 * stage + 2}.", f"semantic_model.layers.{stage}.downsample.") for stage in range(3)),
)
_RENAMES: Renames = (
    *_SWIN,
    ("backbone.", "semantic_model."),
    ("reduce.#.", "dim_reduce.#."),
    *((f"self_attention.#.{ours}", f"sa_attn_blks.#.layers.0.{theirs}") for ours, theirs in _SELF_BLOCK),
    *((f"cross_attention.#.{ours}", f"attn_blks.#.layers.0.{theirs}") for ours, theirs in _CROSS_BLOCK),
    *((f"pool_attention.{ours}", f"attn_pool.{theirs}") for ours, theirs in _SELF_BLOCK),
    ("head.", "score_linear."),
)
_POOL_RENAMES: dict[str, Renames] = {
    "NR": (("gated_pools.#.split.", "weight_pool.#.splitconv."), ("gated_pools.#.gate.", "weight_pool.#.weight_blk.")),
    "FR": (("gated_pools.#.gate.", "weight_pool.#."),),
}

# The decoder layers have a self-attention that the network never calls, and Swin a classifier.
_UNUSED = ("attn_blks.#.layers.0.self_attn.", "semantic_model.norm.", "semantic_model.head.")

# Swin's constants: every block has the first, every other block but for the last stage's the second.
_SWIN_CONSTANT = re.compile(
    r"semantic_model\.layers\.(?:\d\.blocks\.\d+\.attn\.relative_position_index"
    r"|(?P<stage>[012])\.blocks\.\d*[13579]\.attn_mask)"
)


def is_pyiqa(state: Mapping[str, Tensor]) -> bool:
    """Whether the keys are pyiqa's."""
    return any(key.startswith("semantic_model.") for key in state)


def from_pyiqa(state: Mapping[str, Tensor], mode: Literal["NR", "FR"]) -> dict[str, Tensor]:
    """Give a state dict of pyiqa's our keys.

    What the network never uses is dropped, and so are constants if they are those that our network computes; a key
    that is not known stays as it is, for the strict load to report.
    """
    used = {
        key: value
        for key, value in state.items()
        if not any(_regex(p).match(key) for p in _UNUSED) and not _is_known_constant(key, value)
    }
    renames = tuple((theirs, ours) for ours, theirs in _POOL_RENAMES[mode] + _RENAMES)
    return {_rename(key, renames): value for key, value in used.items()}


def to_pyiqa(state: Mapping[str, Tensor], mode: Literal["NR", "FR"]) -> dict[str, Tensor]:
    """Give a state dict of ours pyiqa's keys; those that pyiqa's network has but never uses stay missing."""
    renames = _POOL_RENAMES[mode] + _RENAMES
    return {_rename(key, renames): value for key, value in state.items()}


def _is_known_constant(key: str, value: Tensor) -> bool:
    match = _SWIN_CONSTANT.fullmatch(key)
    if match is None:
        return False
    from topiq_metrics.models.backbones.swin import GRIDS, relative_position_index, shift_mask

    expected = shift_mask(GRIDS[int(match["stage"])]) if match["stage"] else relative_position_index()
    return value.shape == expected.shape and bool((value.cpu() == expected).all())


def _rename(key: str, renames: Renames) -> str:
    for old, new in renames:
        if match := _regex(old).match(key):
            return new.replace("#", match[1] if match.groups() else "") + key[match.end() :]
    return key


@cache
def _regex(prefix: str) -> re.Pattern[str]:
    return re.compile(re.escape(prefix).replace(r"\#", r"(\d+)"))
