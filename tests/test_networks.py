"""What every CFANet keeps to, whoever builds it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from topiq_metrics.models.cfanet import CFANet, CFANetConfig
from topiq_metrics.models.folding import fold_batch_norm


@pytest.mark.parametrize("mode", ["as built", "train", "eval"])
def test_batch_norm_always_uses_its_running_statistics(mode: str) -> None:
    net = CFANet(CFANetConfig("efficientnet_lite0", dim=8, heads=2, gate_width=4))
    if mode != "as built":
        net.train(mode == "train")
    assert net.training == (mode != "eval")
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)


def test_folding_leaves_a_network_without_batch_norm_right() -> None:
    torch.manual_seed(0)
    net = CFANet(CFANetConfig("swin_base", dim=8, heads=2, gate_width=4)).eval()
    image = torch.rand(1, 3, 384, 384)
    with torch.inference_mode():
        plain = net(image)
        folded = fold_batch_norm(net)(image)
    torch.testing.assert_close(folded, plain, rtol=1e-5, atol=1e-6)
