"""Where a picture is damaged, read out of a network's levels without a reference.

A small network, trained for the weights of one metric, to say of each place what the bundled full-reference metric
says of it beside the undamaged picture (``benchmarks/fit_readout.py``). It looks at a place, at what is around it, and
at the whole picture, since what is damage beside one content is a texture beside another.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from topiq_metrics.catalog import CARDS
from topiq_metrics.errors import WeightsMismatchError
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.models.network import float32_by_default, for_all_modes
from topiq_metrics.weights import resolve
from topiq_metrics.weights.checkpoints import read_metadata, read_state
from topiq_metrics.weights.sharing import placed

FINENESS = 2
"""Cells along a side of one of the deepest level's."""

WIDTH = 64
_PROBE = 64


class Readout(nn.Module):
    """The quality of each place, beside that of the same place undamaged.

    Shape:
        - ``levels``: each ``(N, C, h, w)``, of one grid.
        - output: ``(N, h, w)``; 1 where nothing is lost, lower where something is.

    Attributes:
        mean, deviation: of the levels' channels, one level after the other, ``(levels x C,)``.
    """

    def __init__(self, channels: int, width: int = WIDTH) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))
        self.mean: Tensor
        self.deviation: Tensor
        self.reduce = nn.Conv2d(channels, width, 1)
        self.whole = nn.Linear(width, width)
        self.around = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=reach, dilation=reach, padding_mode="replicate") for reach in (1, 2)
        )
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        # One level after the other, and normalised by the weights: of a large picture, all of them together are large.
        weight = self.reduce.weight / self.deviation.view(1, -1, 1, 1)
        offset = (weight * self.mean.view(1, -1, 1, 1)).sum(dim=(1, 2, 3))
        x = (cast(Tensor, self.reduce.bias) - offset).view(1, -1, 1, 1)
        for level, part in zip(levels, torch.split(weight, [level.shape[1] for level in levels], dim=1), strict=True):
            x = x + F.conv2d(level.to(part.dtype), part)
        x = F.gelu(x)
        x = x + self.whole(x.mean(dim=(2, 3)))[:, :, None, None]
        for layer in self.around:
            x = x + F.gelu(layer(x))
        quality: Tensor = self.head(x)[:, 0]
        return quality


def readout_for(net: CFANet) -> Readout | None:
    """The read-out that was trained for the weights of this network, on its device; None if there is none."""
    card = CARDS.get(net.name)
    if card is None or card.readout is None or net.mean.is_meta:
        return None
    made_for, readout = _loaded(resolve(card.readout, download=False))
    if made_for is None or not np.allclose(probe(net), made_for, atol=1e-3):
        return None
    return placed(readout, net.mean.device)


@torch.no_grad()
def probe(net: CFANet) -> list[float]:
    """What tells the weights of a network's levels from others, folded or not: the means of each on a fixed picture."""
    y, x = torch.meshgrid(*[torch.arange(float(_PROBE), device=net.mean.device)] * 2, indexing="ij")
    waves = [0.5 + 0.4 * torch.sin(x * (0.1 + 0.2 * c) + y * y / 90) for c in range(3)]
    picture = torch.stack(waves)[None].to(net.mean)
    with torch.autocast(picture.device.type, enabled=False):
        levels = list(net.pooled(net.features(picture, None), net.grid(_PROBE, _PROBE)))
    # Of eight parts of the channels each.
    means = torch.stack([part.mean() for level in levels for part in level.chunk(8, dim=1)])
    found: list[float] = means.double().tolist()
    return found


@lru_cache(maxsize=4)
def _loaded(path: Path) -> tuple[list[float] | None, Readout]:
    """What `probe` gives of the network that it was trained for, and the read-out."""
    # Whatever mode and device the first map is made in.
    with for_all_modes(), float32_by_default(), torch.device("cpu"):
        state = read_state(path)
        with torch.random.fork_rng(devices=[]):
            readout = Readout(state["mean"].numel(), state["reduce.bias"].numel())
        try:
            readout.load_state_dict(state)
        except RuntimeError as error:
            raise WeightsMismatchError(f"{path} is no read-out: {error}") from error
        return read_metadata(path).get("levels"), readout.requires_grad_(False).eval()
