"""The head in float32, in operations that runtimes leave in float32."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, nn

from topiq_metrics.models.cfanet import CFANet

Network = TypeVar("Network", bound=nn.Module)


def keep_head_exact(net: Network) -> Network:
    """Write the head's linear layers as sums of products, and compute it in float32; in place.

    A runtime that is asked for bfloat16 or float16 computes linear layers in it, the last one included: scores near 0.8
    then come in steps of 0.004. Sums and products behind the last large operation stay in float32.
    """
    if isinstance(net, CFANet):
        for name, layer in list(net.head.named_children()):
            if isinstance(layer, nn.Linear):
                setattr(net.head, name, _LinearByProducts(layer))
        net.head.float()
        net.head.insert(0, _ToFloat32())
    return net


class _LinearByProducts(nn.Module):
    """``(N, D) -> (N, K)``."""

    def __init__(self, plain: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(plain.weight.t().contiguous(), requires_grad=False)
        self.bias = plain.bias

    def forward(self, x: Tensor) -> Tensor:
        # Summed over the middle: over the last axis, OpenVINO 2026.4 adds the bias wrongly to batches.
        return (x.unsqueeze(2) * self.weight).sum(dim=1) + self.bias


class _ToFloat32(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.float()
