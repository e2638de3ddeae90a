"""Folding BatchNorm changes no score beyond float rounding."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from topiq_metrics.models.folding import fold_batch_norm
from topiq_metrics.weights import load_network


@pytest.mark.parametrize(("name", "references"), [("topiq_nr", 0), ("topiq_fr", 1), ("topiq_nr-lite", 0)])
def test_scores_stay(name: str, references: int) -> None:
    torch.manual_seed(0)
    net = load_network(name, None)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.2)
    images = [torch.rand(2, 3, 97, 130) for _ in range(1 + references)]
    with torch.inference_mode():
        plain = net(*images)
        folded = fold_batch_norm(net)(*images)
    assert ((folded - plain).abs() <= 1e-5 * plain.abs().clamp(min=1)).all()
    assert not torch.equal(folded, plain), "nothing was folded"
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    assert not any(parameter.requires_grad for parameter in net.parameters())
