"""A loaded network made cheaper, with no score changed beyond float rounding."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from topiq_metrics.models.rewrites.batch_norm import fold_batch_norm
from topiq_metrics.models.rewrites.gated_pool import merge_gates
from topiq_metrics.models.rewrites.onednn import fuse

Network = TypeVar("Network", bound=nn.Module)


def fold(net: Network) -> Network:
    """Apply every rewrite, in place; for inference with frozen weights. The memory layout becomes channels-last."""
    fold_batch_norm(net)
    merge_gates(net)
    fuse(net)
    return net.to(memory_format=torch.channels_last)
