"""Where a picture is damaged, read out of a network's levels without a reference.

A small network, trained for the weights of one metric, to say of each place what the bundled full-reference metric
says of it beside the undamaged picture (``benchmarks/fit_readout.py``). It looks at a place, at what is around it, and
at the whole picture, since what is damage beside one content is a texture beside another.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from topiq_metrics.catalog import CARDS
from topiq_metrics.errors import WeightsMismatchError
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.models.network import float32_by_default
from topiq_metrics.weights import resolve
from topiq_metrics.weights.checkpoints import read_metadata, read_state
from topiq_metrics.weights.sharing import placed

FINENESS = 2
"""Cells along a side of one of the deepest level's."""

WIDTH = 64


class Readout(nn.Module):
    """The quality of each place, beside that of the same place undamaged.

    Shape:
        - ``levels``: all levels of a network on one grid, deepest channels last, ``(N, C, h, w)``.
        - output: ``(N, h, w)``; 1 where nothing is lost, lower where something is.

    Attributes:
        mean, deviation: of the levels' channels, ``(C,)``.
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

    def forward(self, levels: Tensor) -> Tensor:
        normal = (levels - self.mean.view(-1, 1, 1)) / self.deviation.view(-1, 1, 1)
        x = F.gelu(self.reduce(normal))
        x = x + self.whole(x.mean(dim=(2, 3)))[:, :, None, None]
        for layer in self.around:
            x = x + F.gelu(layer(x))
        quality: Tensor = self.head(x)[:, 0]
        return quality


def readout_for(net: CFANet) -> Readout | None:
    """The read-out that was trained for the weights of this network, on its device; None if there is none."""
    card = CARDS.get(net.name)
    if card is None or card.readout is None:
        return None
    made_for, readout = _loaded(resolve(card.readout, download=False))
    return placed(readout, net.mean.device) if made_for == fingerprint(net) else None


def fingerprint(net: CFANet) -> str:
    """The SHA-256 of what reduces the levels of a network, which tells its weights from others."""
    digest = hashlib.sha256()
    for layer in net.reduce:
        for parameter in layer.parameters():
            digest.update(parameter.detach().half().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@lru_cache(maxsize=4)
def _loaded(path: Path) -> tuple[str, Readout]:
    state, about = read_state(path), read_metadata(path)
    with float32_by_default(), torch.random.fork_rng(devices=[]):
        readout = Readout(state["mean"].numel(), state["reduce.bias"].numel())
    try:
        readout.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsMismatchError(f"{path} is no read-out: {error}") from error
    return str(about.get("levels_sha256", "")), readout.requires_grad_(False).eval()
