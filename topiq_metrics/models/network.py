"""What every quality network here has."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad


class NetworkConfig(Protocol):
    """Configuration of a network, a frozen dataclass.

    Attributes:
        mode: ``"NR"`` for no-reference, ``"FR"`` for full-reference.
        bins: 1 to predict a score, K > 1 to predict a distribution over the ratings 1…K.
    """

    @property
    def mode(self) -> Literal["NR", "FR"]: ...

    @property
    def bins(self) -> int: ...


class QualityNetwork(nn.Module):
    """Takes RGB in [0, 1], ``(N, 3, H, W)``, and in ``"FR"`` mode the reference; gives ``(N,)``.

    Attributes:
        config: the architecture.
        name: the metric whose network it is, or empty. Texts that show the network show both, since torchmetrics
            tells networks apart by them.
    """

    config: NetworkConfig
    name: str

    def extra_repr(self) -> str:
        return f"name={self.name!r}, config={self.config}"


def fingerprint(net: QualityNetwork) -> str:
    """Digest architecture and weights: equal networks have equal digests, in every process."""
    digest = hashlib.sha256(net.extra_repr().encode())
    for key, value in net.state_dict().items():
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def is_traced() -> bool:
    """Whether a graph is made by tracing now: sizes are tensors."""
    return torch._C._get_tracing_state() is not None  # noqa: SLF001


def is_transformed() -> bool:
    """Whether `torch.func` is at work, whose tangents and batches get through PyTorch's own operators only."""
    return forward_ad._current_level >= 0 or torch._C._functorch.maybe_current_level() is not None  # noqa: SLF001


class _Rounding(threading.local):
    is_plain = False


_ROUNDING = _Rounding()


@contextlib.contextmanager
def rounded_alike(maps: Sequence[Tensor]) -> Iterator[None]:
    """Compute maps of an image and of its reference in the same operations, although only one needs a gradient.

    Else equal pictures would differ by rounding, of which the square root of a difference makes a wrong gradient.
    """
    was = _ROUNDING.is_plain
    _ROUNDING.is_plain = was or (torch.is_grad_enabled() and any(x.requires_grad for x in maps))
    try:
        yield
    finally:
        _ROUNDING.is_plain = was


def is_rounded_alike() -> bool:
    """Whether the operations must be those of a gradient, also where none is needed."""
    return _ROUNDING.is_plain


@contextlib.contextmanager
def for_all_modes() -> Iterator[None]:
    """Make tensors that can be used anywhere, although the caller may be in inference mode."""
    with torch.inference_mode(False), torch.no_grad():
        yield


@contextlib.contextmanager
def float32_by_default() -> Iterator[None]:
    """Have new tensors be float32, although the caller may have set another default dtype."""
    # The default is the whole process's: of several threads the last one out gives the caller's back.
    _defaults.enter()
    try:
        yield
    finally:
        _defaults.leave()


class _Defaults:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.before = torch.float32

    def enter(self) -> None:
        with self.lock:
            if self.users == 0:
                self.before = torch.get_default_dtype()
            self.users += 1
            if torch.get_default_dtype() != torch.float32:
                torch.set_default_dtype(torch.float32)

    def leave(self) -> None:
        with self.lock:
            self.users -= 1
            if self.users == 0 and self.before != torch.float32:
                torch.set_default_dtype(self.before)


_defaults = _Defaults()
