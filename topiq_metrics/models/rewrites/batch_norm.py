"""BatchNorm folded into the convolution before it."""

from __future__ import annotations

from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)


def fold_batch_norm(net: Network) -> Network:
    """Fold each BatchNorm into the convolution that feeds it, in place.

    A pair is a convolution and the BatchNorm registered right after it, which holds for every backbone here. The
    products are taken in float64, so that folding rounds once.
    """
    for parent in list(net.modules()):
        previous: tuple[str, nn.Module] | None = None
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and previous and isinstance(previous[1], nn.Conv2d):
                conv = previous[1]
                dtype = conv.weight.dtype
                fused = fuse_conv_bn_eval(conv.double(), child.double())
                setattr(parent, previous[0], fused.to(dtype).requires_grad_(requires_grad=False))
                setattr(parent, name, nn.Identity())
            previous = name, child
    return net
