"""Gated local pooling (GLP): every pyramid level on the grid of the deepest one (TOPIQ, Eq. 1–2)."""

from __future__ import annotations

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


class GatedPoolNR(nn.Module):
    """No-reference GLP: ``(N, C, H, W) -> (N, C, h, w)`` for a grid ``(h, w)``."""

    def __init__(self, channels: int, gate_width: int) -> None:
        super().__init__()
        self.split = nn.Conv2d(channels, 2 * channels, 1)
        self.gate = Gate(channels, gate_width)
        self.out_channels = channels

    def forward(self, features: Tensor, grid: tuple[int, int]) -> Tensor:
        x1, x2 = self.split(features).chunk(2, dim=1)
        return pool_to(F.gelu(x1) * self.gate(x2), grid)


class GatedPoolFR(nn.Module):
    """Full-reference GLP (Eq. 2): two maps ``(N, C, H, W) -> (N, 3C, h, w)``, gated by their difference."""

    def __init__(self, channels: int, gate_width: int) -> None:
        super().__init__()
        self.gate = Gate(channels, gate_width)
        self.out_channels = 3 * channels

    def forward(self, distorted: Tensor, reference: Tensor, grid: tuple[int, int]) -> Tensor:
        difference = ((distorted - reference).square() + 1e-12).sqrt()
        mask = self.gate(difference)
        return torch.cat([pool_to(mask * part, grid) for part in (distorted, reference, difference)], dim=1)


def pool_to(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Average-pool to ``grid`` where the map is larger than it on both sides, else leave it."""
    if x.shape[-2] > grid[0] and x.shape[-1] > grid[1]:
        return F.adaptive_avg_pool2d(x, grid)
    return x
