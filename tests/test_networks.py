"""What every CFANet keeps to, whoever builds it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from topiq_metrics.inference.strips import score_within
from topiq_metrics.models.cfanet import CFANet, CFANetConfig
from topiq_metrics.models.heads import AnchoredHead

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("mode", ["as built", "train", "eval"])
def test_batch_norm_always_uses_its_running_statistics(mode: str) -> None:
    net = CFANet(CFANetConfig("efficientnet_lite0", dim=8, heads=2, gate_width=4))
    if mode != "as built":
        net.train(mode == "train")
    assert net.training == (mode != "eval")
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)


class TestAnchoredScores:
    """1 is the score of equal images, and the bound of others."""

    @pytest.fixture
    def net(self) -> CFANet:
        torch.manual_seed(0)
        config = CFANetConfig("efficientnet_lite0", "FR", dim=8, heads=2, gate_width=4, anchored=True)
        return CFANet(config).eval().requires_grad_(False)

    @pytest.fixture
    def reference(self) -> Tensor:
        return torch.randint(256, (2, 3, 96, 64), generator=torch.Generator().manual_seed(0)) / 255

    @pytest.mark.parametrize("output", [-3.0, 0.0, 0.9, 1.0, 1.2])
    def test_whatever_the_head_says(self, net: CFANet, reference: Tensor, output: float) -> None:
        net.head[-1].weight.zero_()
        net.head[-1].bias.fill_(output)
        changed = reference.clone()
        changed[:, 0, 40, 30] = 1 - changed[:, 0, 40, 30]
        assert (net(reference, reference) == 1).all()
        assert (net(changed, reference) < 1).all()

    def test_by_strips(self, net: CFANet, reference: Tensor) -> None:
        tall = reference.repeat(1, 1, 8, 1)
        changed = tall.clone()
        changed[:, :, 500:] = 0
        scores = [score_within(net, x, tall, max_memory=1_000_000) for x in (tall, changed)]
        assert (scores[0] == 1).all()
        torch.testing.assert_close(scores[1], net(changed, tall))

    def test_low_scores_are_the_heads(self) -> None:
        scores = torch.tensor([-1.0, 0.0, 0.4, 0.6])
        torch.testing.assert_close(AnchoredHead.anchored(scores, torch.full((4,), 0.05)), scores, atol=2e-5, rtol=0)

    def test_order_is_the_heads(self) -> None:
        scores = torch.linspace(-0.5, 1.5, 50)
        assert AnchoredHead.anchored(scores, torch.full((50,), 0.05)).diff().min() > 0

    def test_it_rises_to_1_as_the_difference_vanishes(self) -> None:
        differences = torch.tensor([1e-3, 1e-4, 3e-5, 1e-5, 1e-6, 1e-7, 0])
        scores = AnchoredHead.anchored(torch.full((7,), 0.5), differences)
        assert scores.diff().min() >= 0
        assert scores[0].item() == pytest.approx(0.5, abs=1e-4)
        assert scores[-1] == 1

    @pytest.mark.parametrize("change", [{"mode": "NR"}, {"bins": 10}])
    def test_only_of_full_reference_scores(self, change: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="Only a network in FR mode that predicts a score can be anchored"):
            CFANet(CFANetConfig("efficientnet_lite0", **{"mode": "FR", "anchored": True, **change}))

    def test_equal_images_are_the_best_of_a_loss(self, net: CFANet, reference: Tensor) -> None:
        restored = reference.clone().requires_grad_()
        (1 - net(restored, reference)).sum().backward()
        assert (restored.grad == 0).all()
