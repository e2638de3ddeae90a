"""What every CFANet keeps to, whoever builds it."""

from __future__ import annotations

import pytest
from torch import nn

from topiq_metrics.models.cfanet import CFANet, CFANetConfig


@pytest.mark.parametrize("mode", ["as built", "train", "eval"])
def test_batch_norm_always_uses_its_running_statistics(mode: str) -> None:
    net = CFANet(CFANetConfig("efficientnet_lite0", dim=8, heads=2, gate_width=4))
    if mode != "as built":
        net.train(mode == "train")
    assert net.training == (mode != "eval")
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)
