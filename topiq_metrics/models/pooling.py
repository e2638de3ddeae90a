"""Gated local pooling (GLP): every pyramid level on the grid of the deepest one (TOPIQ, Eq. 2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Gate(nn.Sequential):
    """A spatial mask in (0, 1), ``(N, C, H, W) -> (N, 1, H, W)``, that tells where distortion counts."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(
            nn.Conv2d(channels, width, 1),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, 1, 3, padding=1),
            nn.Sigmoid(),
        )


class Pool(nn.Module):
    """Average-pool to a grid where the map is larger than it on both sides, else leave it."""

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        if x.shape[-2] > grid[0] and x.shape[-1] > grid[1]:
            return F.adaptive_avg_pool2d(x, grid)
        return x


class GatedPool(nn.Module):
    """GLP: gate a level's map, or the maps of two images, then pool to the grid of the deepest level.

    Attributes:
        out_channels: of all gated maps together.
        pool: takes a map ``(N, C, H, W)`` to a grid ``(h, w)``.
    """

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.pool: nn.Module = Pool()

    def gated(self, *features: Tensor) -> tuple[Tensor, ...]:
        """The maps ``(N, C, H, W)`` that are to be pooled; a row depends on its two neighbours on each side."""
        raise NotImplementedError

    def forward(self, features: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """Gate and pool: ``(N, out_channels, h, w)`` for a grid ``(h, w)``."""
        return torch.cat([self.pool(x, grid) for x in self.gated(*features)], dim=1)


class GatedPoolNR(GatedPool):
    """No-reference GLP of one map ``(N, C, H, W)``."""

    def __init__(self, channels: int, gate_width: int) -> None:
        super().__init__(channels)
        self.split = nn.Conv2d(channels, 2 * channels, 1)
        self.gate = Gate(channels, gate_width)

    def gated(self, *features: Tensor) -> tuple[Tensor, ...]:
        return self.masked(*features)[1:]

    def masked(self, *features: Tensor) -> tuple[Tensor, Tensor]:
        """The gate's mask ``(N, 1, H, W)`` in (0, 1), and the gated map."""
        x1, x2 = self.split(*features).chunk(2, dim=1)
        mask = self.gate(x2)
        return mask, F.gelu(x1) * mask


class GatedPoolFR(GatedPool):
    """Full-reference GLP (Eq. 2) of two maps ``(N, C, H, W)``, gated by their difference."""

    def __init__(self, channels: int, gate_width: int) -> None:
        super().__init__(3 * channels)
        self.gate = Gate(channels, gate_width)

    def gated(self, *features: Tensor) -> tuple[Tensor, ...]:
        return self.masked(*features)[1:]

    def masked(self, *features: Tensor) -> tuple[Tensor, Tensor]:
        """As `GatedPoolNR.masked`, of both maps and their difference."""
        distorted, reference = features
        difference = ((distorted - reference).square() + 1e-12).sqrt()
        mask = self.gate(difference)
        return mask, mask * torch.cat([distorted, reference, difference], dim=1)
