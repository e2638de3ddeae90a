"""Frozen BatchNorm carried by the weights of the convolution before it, in each step of a training in bfloat16."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from topiq_metrics.models.rewrites.batch_norm import pairs

_CONVOLVE, _NORMALISE = "_conv_forward", "forward"


def carry_norms(net: nn.Module) -> None:
    """Make a network with frozen BatchNorm quicker to train in bfloat16 on a CPU, in place.

    Its state and its gradients are as before, but for rounding: each convolution multiplies its weights by what the
    BatchNorm after it would multiply their results by, which are far more. Depthwise ones run in float32, since
    oneDNN's gradient of their weights takes several times longer in bfloat16.

    Raises:
        ValueError: if a BatchNorm is not frozen, or a convolution pads otherwise than with zeros.
    """
    for _, _, conv, norm in pairs(net):
        if norm.training or norm.running_mean is None or not norm.affine or conv.padding_mode != "zeros":
            raise ValueError("Only a frozen BatchNorm after a convolution padded with zeros can be carried.")
        # What `nn.Conv2d.forward` calls, and with it that of subclasses which pad first.
        setattr(conv, _CONVOLVE, _Carrying(conv, norm))
        setattr(norm, _NORMALISE, _carried)


def return_norms(net: nn.Module) -> None:
    """Undo `carry_norms`, in place; what was not carried stays as it is."""
    for _, _, conv, norm in pairs(net):
        if vars(conv).pop(_CONVOLVE, None) is not None:
            del vars(norm)[_NORMALISE]


class _Carrying:
    """A convolution and its BatchNorm in one; not a closure, so that a copied network has its own."""

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
        self.conv = conv
        self.norm = norm

    def __call__(self, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        conv, norm = self.conv, self.norm
        mean, variance = (cast(Tensor, each) for each in (norm.running_mean, norm.running_var))
        scale = norm.weight * torch.rsqrt(variance + norm.eps)
        shift = norm.bias + ((0 if bias is None else bias) - mean) * scale
        weight = weight * scale.view(-1, 1, 1, 1)
        geometry: Any = conv.stride, conv.padding, conv.dilation, conv.groups
        if not conv.groups == conv.in_channels > 1:
            return F.conv2d(images, weight, shift, *geometry)
        with torch.autocast(images.device.type, enabled=False):
            return F.conv2d(images.to(weight.dtype), weight, shift, *geometry).to(images.dtype)


def _carried(images: Tensor) -> Tensor:
    return images
