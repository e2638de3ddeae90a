"""What CFANet asks of a backbone."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Backbone(Protocol):
    """A feature pyramid; any ``nn.Module`` with these attributes will do.

    Attributes:
        channels: channels of each pyramid level, shallow to deep.
        strides: input pixels per step of each level's grid.
        mean: per-channel mean that is subtracted from an RGB image in [0, 1].
        std: per-channel standard deviation that it is then divided by.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, image: Tensor, /) -> list[Tensor]:
        """Map a normalised image ``(N, 3, H, W)`` to one map ``(N, C, h, w)`` per level, shallow to deep.

        Raises:
            ValueError: if the backbone does not take images of this size.
        """
        ...
