"""BatchNorm folded into the convolution before it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

Network = TypeVar("Network", bound=nn.Module)


def fold_batch_norm(net: Network) -> Network:
    """Fold each BatchNorm into the convolution that feeds it, in place.

    The products are taken in float64, so that folding rounds once.
    """
    for parent, name, conv, norm in list(pairs(net)):
        _fold(conv, norm)
        setattr(parent, name, nn.Identity())
    return net


def pairs(net: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Conv2d, nn.BatchNorm2d]]:
    """Each convolution with the BatchNorm that it feeds, and the parent of the latter and its name there.

    A pair is a convolution and the BatchNorm registered right after it, which holds for every backbone here.
    """
    for parent in net.modules():
        previous: nn.Module | None = None
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d) and isinstance(previous, nn.Conv2d):
                yield parent, name, previous, child
            previous = child


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Take ``norm`` into ``conv``, frozen; tensor by tensor, since copies of whole modules cost a command's start."""
    dtype = conv.weight.dtype
    tensors = (conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    weight, bias, mean, variance, scale, shift = (
        None if tensor is None else tensor.detach().double() for tensor in tensors
    )
    if weight is None or mean is None or variance is None:
        raise ValueError("Only a BatchNorm that knows its mean and variance can be folded.")
    fused = fuse_conv_bn_weights(weight, bias, mean, variance, norm.eps, scale, shift)
    conv.weight, conv.bias = (nn.Parameter(tensor.detach().to(dtype), requires_grad=False) for tensor in fused)
