"""Eager PyTorch: as it is, or with the large products in half precision."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TypeVar
from weakref import ref

import torch
from torch import Tensor, nn

from topiq_metrics.inference.backends.base import Run, check_precision
from topiq_metrics.inference.strips import score_within
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.models.network import QualityNetwork

Network = TypeVar("Network", bound=QualityNetwork)

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def open_network(net: QualityNetwork, precision: str, max_memory: int | None) -> Run:
    """See `topiq_metrics.inference.backends.Backend.open`.

    Raises:
        ValueError: if the device of the network does not have the precision, or is slower in it than in float32.
    """
    if precision == "float32":
        # What runs a network is kept for as long as the network lives, so it must not keep it alive.
        own = ref(net)

        def run_exactly(image: Tensor, reference: Tensor | None = None) -> Tensor:
            living = own()
            if living is None:
                raise RuntimeError("The network is gone: what runs it lives no longer than the network itself.")
            return score_within(living, image, reference, max_memory=max_memory)

        return run_exactly

    device = next(net.parameters()).device.type
    check_precision(precision, device)
    reduced = reduce_precision(net, DTYPES[precision])

    def run(image: Tensor, reference: Tensor | None = None) -> Tensor:
        with torch.autocast(device, DTYPES[precision]):
            return score_within(reduced, image, reference, max_memory=max_memory).float()

    return run


def reduce_precision(net: Network, dtype: torch.dtype) -> Network:
    """A copy for ``torch.autocast`` whose convolutions and linear layers have weights of ``dtype``.

    Autocast alone would cast the weights anew in every call. What costs accuracy and saves little time stays
    in float32: the backbone's first step, since rounding an image hides its finest noise, sums of tokens, the head.
    All tensors but the cast ones are those of the network.
    """
    reduced = share(net)
    first_step = reduced.backbone.layers(0) if isinstance(reduced, CFANet) else []
    last_layers = list(reduced.head) if isinstance(reduced, CFANet) else []
    exact = {module for layer in (*first_step, *last_layers) for module in layer.modules()}
    for module in reduced.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and module not in exact:
            for name, parameter in list(module.named_parameters()):
                setattr(module, name, nn.Parameter(parameter.to(dtype), requires_grad=False))
    if isinstance(reduced, CFANet):
        reduced.backbone.replace_step(0, _InFloat32(first_step))
        del reduced.head[:]
        reduced.head.append(_InFloat32(last_layers))
    return reduced


def share(net: Network) -> Network:
    """A copy with the same tensors in memory."""
    return copy.deepcopy(net, {id(tensor): tensor for tensor in (*net.parameters(), *net.buffers())})


class _InFloat32(nn.Module):
    """Layers outside of autocast."""

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            out: Tensor = self.layers(x.float())
        return out
