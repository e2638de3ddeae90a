"""A network with what makes it take any image: the size rule, its device and dtype, batches by size."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from topiq_metrics.errors import ImageTooSmallError
from topiq_metrics.images import SizePolicy
from topiq_metrics.inference.backends import Backend, choose_backend
from topiq_metrics.models.network import QualityNetwork
from topiq_metrics.weights.sharing import place_of, placed

Images: TypeAlias = "Tensor | tuple[Tensor, ...]"
"""A batch ``(N, 3, H, W)``, or N images ``(3, H, W)`` of any sizes; a tuple, since FeatureShare needs a hash."""


class Scorer(nn.Module):
    """Score validated images, each at the size that the rule gives it: ``(N,)``, in float32 also under autocast.

    The network may be in use elsewhere, so nothing that happens to this module or a parent of it reaches the network:
    it is no child module. Moving the module to another device, or `set_dtype`, swaps the network for its copy there,
    which all who ask for it share. Copies of this module share the network; a pickle has the network inside.

    Args:
        network: takes images ``(N, 3, H, W)`` in [0, 1], and their references if it needs them; gives ``(N,)``.
        size: size rule.
        backend: what runs the network; by default that of `choose_backend`.
        key: tells scorers with different results apart.
    """

    def __init__(
        self, network: QualityNetwork, size: SizePolicy, backend: Backend | None = None, key: str = ""
    ) -> None:
        super().__init__()
        self.size = size
        self.key = key
        self.backend = backend or choose_backend()
        # Inside a tuple, it is no child.
        self._held = (network,)
        # What every other place and type is made from, so that going there and back loses nothing.
        self._origin = (network,)

    @property
    def network(self) -> QualityNetwork:
        return self._held[0]

    @property
    def changed_dtype(self) -> torch.dtype | None:
        """What `set_dtype` has made of the network's own type; None if it is that."""
        dtype = place_of(self.network)[1]
        return None if dtype == place_of(self._origin[0])[1] else dtype

    def forward(self, *images: Images) -> Tensor:
        """Score images; the references that some networks need are a second argument.

        Raises:
            ValueError: if the images are on another device than the network, or too small under the size rule.
        """
        device, dtype = place_of(self.network)
        with _no_autocast(device):
            if isinstance(images[0], Tensor):
                scores = self.backend(self.network, *(self._fit(batch, device, dtype) for batch in images))
            else:
                rows = [[self._fit(image, device, dtype) for image in row] for row in zip(*images, strict=True)]
                scores = self._score_by_size(rows)
            at_least_float32: Tensor = scores.to(torch.promote_types(scores.dtype, torch.float32))
            return at_least_float32

    def _fit(self, images: Any, device: torch.device, dtype: torch.dtype) -> Tensor:
        if images.device != device:
            raise ValueError(
                f"Expected images on {device}, where the network is, but got images on {images.device}. Move either: "
                f"a metric or a loss with `.to({str(images.device)!r})`."
            )
        if too_small := self.size.too_small(*images.shape[-2:]):
            raise ImageTooSmallError(f"An image is too small: {too_small}.")
        return self.size.apply(images.to(dtype))

    def _score_by_size(self, rows: Sequence[Sequence[Tensor]]) -> Tensor:
        groups: dict[torch.Size, list[int]] = {}
        for index, row in enumerate(rows):
            groups.setdefault(row[0].shape, []).append(index)
        scores = [
            self.backend(self.network, *(torch.stack(x) for x in zip(*(rows[index] for index in group), strict=True)))
            for group in groups.values()
        ]
        order = torch.tensor([index for group in groups.values() for index in group], device=scores[0].device)
        return torch.cat(scores)[order.argsort()]

    def set_dtype(self, dtype: torch.dtype) -> None:
        """Run the network in ``dtype`` from now on."""
        self._held = (placed(self._origin[0], place_of(self.network)[0], dtype),)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Scorer:  # noqa: ARG002
        # Only the device: a parent's `.half()` is about the parent. And on the meta device there would be no weights.
        device, dtype = place_of(self.network)
        target = fn(torch.empty(0, device=device)).device
        if target.type != "meta":
            self._held = (placed(self._origin[0], target, dtype),)
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Scorer:
        copied = Scorer(self._origin[0], self.size, self.backend, self.key)
        copied._held = self._held
        return copied

    def extra_repr(self) -> str:
        changed = "" if self.changed_dtype is None else f", dtype={self.changed_dtype}"
        return f"{self.network.extra_repr()}, size={str(self.size)!r}, key={self.key!r}{changed}"


def _no_autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return contextlib.nullcontext()
