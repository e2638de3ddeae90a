from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from topiq_metrics.explaining import LevelMap
from topiq_metrics.models.cfanet import CFANet, CFANetConfig

CONFIGS = {
    "NR": CFANetConfig("resnet50", dim=16, gate_width=4),
    "FR": CFANetConfig("resnet50", mode="FR", dim=16, gate_width=4),
    "lite": CFANetConfig("efficientnet_lite0", dim=16, gate_width=4),
    "ratings": CFANetConfig("efficientnet_lite0", dim=16, heads=8, gate_width=4, bins=10),
    "swin": CFANetConfig("swin_base", dim=16, gate_width=4),
}


@pytest.fixture(scope="session")
def cfanet() -> Callable[[str], CFANet]:
    """A network by the name of its configuration, of weights whose attention is far from even."""
    made: dict[str, CFANet] = {}

    def make(name: str) -> CFANet:
        if name not in made:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                net = CFANet(CONFIGS[name]).eval().requires_grad_(False)
            for module in net.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.running_var.fill_(0.5)
            made[name] = net
        return made[name]

    return make


@pytest.fixture
def pictures() -> Callable[..., tuple[Tensor, Tensor]]:
    """A picture and its reference, ``(3, H, W)``."""

    def make(height: int, width: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(height * width)
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        waves = [0.5 + 0.3 * torch.sin(rows / a + columns / b) for a, b in ((9, 5), (4, -11), (17, 3))]
        reference = torch.stack(waves)
        noise = 0.1 * torch.randn(3, height, width, generator=generator)
        return (reference + noise * (columns / width)).clamp(0, 1), reference

    return make


@pytest.fixture
def hot_cell() -> Callable[..., LevelMap]:
    """A map of one hot cell."""

    def make(rows: int, columns: int, row: int, column: int, kind: str = "gate", **options: object) -> LevelMap:
        values = np.full((rows, columns), 0.1, dtype=np.float32)
        values[row, column] = 0.9
        return LevelMap(kind, 1, 1, values, **options)

    return make
