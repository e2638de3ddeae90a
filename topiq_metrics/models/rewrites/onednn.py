"""Convolutions that finish their output while it is in the cache: activation and residual sum at once, on a CPU."""

from __future__ import annotations

from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from topiq_metrics.models.network import is_rounded_alike, is_traced, is_transformed

_ACTIVATIONS = {nn.ReLU: "relu", nn.ReLU6: "hardtanh", nn.GELU: "gelu", nn.Sigmoid: "sigmoid"}
_SCALARS = {"hardtanh": [0.0, 6.0]}
_ALGORITHMS = {"gelu": "none"}

_PACKED_PIXELS = 8192
"""Of an output, up to which laying out the weights anew in every call costs more than keeping them laid out."""


@runtime_checkable
class Fusible(Protocol):
    """A block that knows how its convolutions take in what follows them."""

    def fused(self) -> nn.Module:
        """The same block, with the same parameters, whose BatchNorms have been folded before."""
        ...


def fuse(net: nn.Module) -> nn.Module:
    """Take each convolution and the activation after it as one, in place; for inference with frozen weights."""
    for parent in list(net.modules()):
        if isinstance(parent, nn.Sequential):
            _fuse_sequence(parent)
        for name, child in list(parent.named_children()):
            if isinstance(child, Fusible):
                setattr(parent, name, child.fused().train(child.training))
    return net


def _fuse_sequence(layers: nn.Sequential) -> None:
    conv: tuple[str, nn.Conv2d] | None = None
    for name, layer in list(layers.named_children()):
        if conv is not None and type(layer) in _ACTIVATIONS:
            setattr(layers, conv[0], FusedConv2d(conv[1], layer).train(layer.training))
            setattr(layers, name, nn.Identity())
        if type(layer) is nn.Conv2d:
            conv = name, layer
        elif not isinstance(layer, nn.Identity):
            conv = None


class FusedConv2d(nn.Conv2d):
    """A convolution and the activation after it, with the parameters of the plain convolution.

    On a CPU, where nothing is differentiated or traced, oneDNN computes both at once; for small images of one
    size, one after the other, from weights that are kept in its own layout. Elsewhere it is the plain convolution and
    its activation.
    """

    def __init__(self, conv: nn.Conv2d, activation: nn.Module) -> None:
        super().__init__(
            conv.in_channels,
            conv.out_channels,
            cast("tuple[int, int]", conv.kernel_size),
            cast("tuple[int, int]", conv.stride),
            cast("tuple[int, int]", conv.padding),
            cast("tuple[int, int]", conv.dilation),
            conv.groups,
            device="meta",
        )
        self.weight = conv.weight
        self.bias = conv.bias
        self.activation = activation
        self._packed: tuple[tuple[torch.Size, int, int], Tensor | None] | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self._is_fused(x):
            return _activate(super().forward(x), self.activation)
        attribute = _ACTIVATIONS.get(type(self.activation), "none")
        arguments = attribute, _SCALARS.get(attribute, []), _ALGORITHMS.get(attribute, "")
        x = x.to(self.weight.dtype)
        convolve = torch.ops.mkldnn._convolution_pointwise  # noqa: SLF001
        out: Tensor = convolve(x, *self._operands(x), *arguments)
        return out

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        """The activation of the convolution and a residual together."""
        if not self._is_fused(x):
            return _activate(super().forward(x).add_(residual), self.activation)
        arguments: tuple[Any, ...] = "add", 1.0, _ACTIVATIONS[type(self.activation)], [], None
        x, residual = x.to(self.weight.dtype), residual.to(self.weight.dtype)
        convolve = torch.ops.mkldnn._convolution_pointwise.binary  # noqa: SLF001
        out: Tensor = convolve(x, residual, *self._operands(x), *arguments)
        return out

    def _is_fused(self, x: Tensor) -> bool:
        if torch.compiler.is_compiling() or is_traced() or is_transformed() or is_rounded_alike():
            return False
        if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
            return False
        weight = self.weight
        is_cast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == weight.dtype
        return (
            x.device.type == weight.device.type == "cpu"
            and weight.dtype in (torch.float32, torch.bfloat16)
            and (x.dtype == weight.dtype or is_cast)
            and (is_cast or not torch.is_autocast_enabled("cpu"))
            and not (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad))
        )

    def _operands(self, x: Tensor) -> tuple[Any, ...]:
        geometry = list(self.padding), list(self.stride), list(self.dilation), self.groups
        weight, (rows, columns) = self.weight, self.stride
        pixels = x.shape[0] * x.shape[2] * x.shape[3] // (rows * columns)
        if pixels <= _PACKED_PIXELS and not weight.is_inference():
            # The layout is for one size. Weights are told apart by where they lie and how often they were written to.
            state = x.shape, weight.data_ptr(), weight._version  # noqa: SLF001
            known, packed = self._packed or (None, None)
            if known == state and packed is None:
                reorder = torch.ops.mkldnn._reorder_convolution_weight  # noqa: SLF001
                packed = reorder(weight.detach(), *geometry, list(x.shape))
            # One assignment, since other threads may bring other sizes.
            self._packed = state, packed if known == state else None
            if known == state:
                return packed, self.bias, *geometry
        return weight, self.bias, *geometry

    def __getstate__(self) -> dict[str, Any]:
        # What is packed can neither be copied nor saved.
        return {**vars(self), "_packed": None}


def _activate(x: Tensor, activation: nn.Module) -> Tensor:
    # In place where no gradient needs the input: a large map costs more to get than to compute.
    if isinstance(activation, nn.GELU) and not x.requires_grad and not is_transformed():
        out: Tensor = torch.ops.aten.gelu_(x)
    else:
        out = activation(x)
    return out
