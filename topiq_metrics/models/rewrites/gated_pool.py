"""Gated local pooling with the products taken of convolutions that nothing stands between, and pooled part by part."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from torch import Tensor, nn

from topiq_metrics.models.pooling import GatedPool, GatedPoolFR, GatedPoolNR

Network = TypeVar("Network", bound=nn.Module)


def merge_gates(net: Network) -> Network:
    """Take the products of convolutions that nothing stands between, and pool each part by itself; in place."""
    _replace(net, GatedPoolNR, FoldedGatedPoolNR)
    _replace(net, GatedPoolFR, FoldedGatedPoolFR)
    return net


class FoldedGatedPoolNR(GatedPool):
    """`GatedPoolNR` whose gate takes the features themselves.

    The gate's first convolution follows the second half of the split with nothing between them: together they are one
    convolution to the gate's few channels, and half of the split is not needed.
    """

    def __init__(self, plain: GatedPoolNR) -> None:
        super().__init__(plain.out_channels)
        split, (first, *rest) = plain.split, cast("list[nn.Conv2d]", list(plain.gate))
        weights, biases = split.weight.double().chunk(2), cast(Tensor, split.bias).double().chunk(2)
        inner = first.weight.double().flatten(1)
        self.features = nn.Sequential(_pointwise(weights[0], biases[0], like=split), nn.GELU())
        merged = inner @ weights[1].flatten(1)
        bias = inner @ biases[1] + cast(Tensor, first.bias).double()
        self.gate = nn.Sequential(_pointwise(merged, bias, like=first), *rest)

    def gated(self, *features: Tensor) -> tuple[Tensor, ...]:
        mask = self.gate(*features)
        out: Tensor = self.features(*features)
        return (out * mask if out.requires_grad else out.mul_(mask),)


class FoldedGatedPoolFR(GatedPool):
    """`GatedPoolFR` that never builds the map of 3C channels."""

    def __init__(self, plain: GatedPoolFR) -> None:
        super().__init__(plain.out_channels)
        self.gate = plain.gate

    def gated(self, *features: Tensor) -> tuple[Tensor, ...]:
        distorted, reference = features
        difference = distorted - reference
        if difference.requires_grad:
            difference = (difference.square() + 1e-12).sqrt()
        else:
            difference = difference.square_().add_(1e-12).sqrt_()
        mask = self.gate(difference)
        return mask * distorted, mask * reference, mask * difference


def _pointwise(weight: Tensor, bias: Tensor, *, like: nn.Conv2d) -> nn.Conv2d:
    """A 1x1 convolution, frozen, of the dtype and on the device of another."""
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1, device="meta")
    for name, value in (("weight", weight.reshape(*weight.shape[:2], 1, 1)), ("bias", bias)):
        setattr(conv, name, nn.Parameter(value.detach().to(like.weight.dtype), requires_grad=False))
    return conv


def _replace(net: nn.Module, kind: type[nn.Module], make: Callable[..., nn.Module]) -> None:
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is kind:
                setattr(parent, name, make(child).train(child.training))
