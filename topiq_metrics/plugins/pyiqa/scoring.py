"""What scores inside pyiqa while nobody needs a gradient of the weights: a folded copy, in bounded memory."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from topiq_metrics.inference.backends import Backend, choose_backend
from topiq_metrics.inference.backends.base import undisturbed
from topiq_metrics.inference.memory import DEFAULT_MAX_MEMORY
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.models.folding import fold
from topiq_metrics.models.network import is_traced, is_transformed
from topiq_metrics.weights.sharing import HOLDINGS

BACKEND_VARIABLE = "TOPIQ_METRICS_PYIQA_BACKEND"
PRECISION_VARIABLE = "TOPIQ_METRICS_PYIQA_PRECISION"
MEMORY_VARIABLE = "TOPIQ_METRICS_PYIQA_MAX_MEMORY"

_PROBES = 16
"""Weights that are looked at in every call, since writing to a parameter's ``data`` leaves no other trace."""

OWN_OPTIONS = {
    "backend": (BACKEND_VARIABLE, "torch"),
    "precision": (PRECISION_VARIABLE, "float32"),
    "max_memory": (MEMORY_VARIABLE, DEFAULT_MAX_MEMORY),
}
"""Options that pyiqa's class does not have: the variable and the default of each."""


def backend_of(options: dict[str, Any]) -> Backend:
    """Take ``backend``, ``precision`` and ``max_memory`` out of options, or out of the environment.

    Raises:
        ValueError: if there is no such backend, precision or size; of the environment, with the variable's name.
        ModuleNotFoundError: if an extra is needed.
    """
    chosen, variables = {}, []
    for name, (variable, default) in OWN_OPTIONS.items():
        chosen[name] = options.pop(name, None)
        if chosen[name] is None and (value := os.environ.get(variable)):
            chosen[name] = value
            variables.append(f"{variable}={value}")
        chosen[name] = default if chosen[name] is None else chosen[name]
    try:
        return choose_backend(chosen["backend"], chosen["precision"], chosen["max_memory"])
    except ValueError as error:
        raise ValueError(
            f"{error} (In the environment: {', '.join(variables)}.)" if variables else str(error)
        ) from None


def folded_copy(net: CFANet, structure: Structure, images: Sequence[Tensor]) -> CFANet | None:
    """The folded copy of a network that gives what the network gives for these images; None where that is not sure.

    It is none in training mode, under autocast, for images or weights that are not in float32, where the graph is
    traced, transformed or compiled, where layers have hooks or were replaced, and where a gradient of the weights may
    be wanted: with gradients on and images that need none.
    """
    wants_gradient = torch.is_grad_enabled() and any(x.requires_grad for x in images)
    if torch.is_grad_enabled() and not wants_gradient and any(p.requires_grad for p in net.parameters()):
        return None
    if net.training or any(x.dtype != torch.float32 for x in images) or _is_watched(images[0].device.type):
        return None
    if not structure.is_that_of(net):
        return None
    return HOLDINGS.make_once(net, "pyiqa", _Copy).of(net)


def forget(net: CFANet, *, certainly: bool) -> None:
    """Have the next call look at all weights, or, if they have ``certainly`` changed, fold anew."""
    HOLDINGS.make_once(net, "pyiqa", _Copy).doubt(certainly=certainly)


@dataclass(frozen=True)
class Structure:
    """The kinds of a network's layers, as it was built."""

    kinds: tuple[type[nn.Module], ...]

    @classmethod
    def of(cls, net: nn.Module) -> Structure:
        return cls(tuple(map(type, net.modules())))

    def is_that_of(self, net: nn.Module) -> bool:
        """Whether a network still has just these layers, with nothing attached to them."""
        modules = list(net.modules())
        return tuple(map(type, modules)) == self.kinds and not any(map(_is_altered, modules))


def _is_altered(module: nn.Module) -> bool:
    own = vars(module)
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return "forward" in own or any(own[name] for name in hooks)


def _is_watched(device: str) -> bool:
    """Whether more than the scores are looked at, or they are to be of another precision."""
    return torch.is_autocast_enabled(device) or torch.compiler.is_compiling() or is_traced() or is_transformed()


class _Copy:
    """A network's folded copy, made anew where the weights are not those any more that it was made of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: tuple[_Weights, CFANet] | None = None
        self._is_doubtful = False

    def of(self, net: CFANet) -> CFANet | None:
        weights = _Weights.of(net)
        if weights is None:
            return None
        with self._lock:
            if self._made is not None:
                known, found = self._made
                if weights.are(known) and not (self._is_doubtful and known.sums != weights.summed().sums):
                    self._is_doubtful = False
                    return found
            with undisturbed():
                found = fold(copy.deepcopy(net).requires_grad_(requires_grad=False))
            self._made = weights.summed(), found
            self._is_doubtful = False
            return found

    def doubt(self, *, certainly: bool) -> None:
        with self._lock:
            self._is_doubtful = True
            if certainly:
                self._made = None


@dataclass(frozen=True)
class _Weights:
    """What tells a network's weights from what they are after an edit.

    Attributes:
        layers: each layer, by its identity.
        tensors: each parameter and buffer, held, so that no other can take its place in memory unnoticed.
        values: where each one's values lie, likewise.
        versions: how often each has been written to.
        probes: a few values.
        sums: of all values and of their squares, by tensor; empty until asked for.
    """

    layers: tuple[nn.Module, ...]
    tensors: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    versions: tuple[int, ...]
    probes: tuple[float, ...]
    sums: tuple[float, ...] = ()

    @classmethod
    def of(cls, net: nn.Module) -> _Weights | None:
        """None where the weights are of a kind of which that cannot be told."""
        parameters, buffers = tuple(net.parameters()), tuple(net.buffers())
        tensors = (*parameters, *buffers)
        device = tensors[0].device
        for tensor in tensors:
            is_exact = tensor.dtype == torch.float32 or not tensor.is_floating_point()
            if tensor.is_inference() or not is_exact or tensor.device != device:
                return None
        # Stand-ins, as of `torch.func.functional_call` and `DataParallel`, are no parameters.
        if not parameters or any(type(parameter) is not nn.Parameter for parameter in parameters):
            return None
        layers = tuple(module for module in net.modules() if not any(True for _ in module.children()))
        versions = tuple(tensor._version for tensor in tensors)  # noqa: SLF001
        largest = sorted(parameters, key=lambda parameter: -parameter.numel())[:_PROBES]
        with torch.no_grad():
            probes = torch.stack([tensor.detach().reshape(-1)[tensor.numel() // 2] for tensor in largest]).tolist()
        return cls(layers, tensors, tuple(tensor.detach() for tensor in tensors), versions, tuple(probes))

    def are(self, other: _Weights) -> bool:
        """Whether these are the others, as far as that can be told without looking at all values."""
        return (
            len(self.tensors) == len(other.tensors)
            and len(self.layers) == len(other.layers)
            and all(a is b for a, b in zip(self.layers, other.layers, strict=True))
            and all(a is b for a, b in zip(self.tensors, other.tensors, strict=True))
            and all(a.data_ptr() == b.data_ptr() for a, b in zip(self.values, other.values, strict=True))
            and self.versions == other.versions
            and self.probes == other.probes
        )

    def summed(self) -> _Weights:
        with torch.no_grad():
            flat = [value.reshape(-1).float() for value in self.values]
            sums = torch.stack([part for value in flat for part in (value.sum(), value.dot(value))]).tolist()
        return replace(self, sums=tuple(sums))
