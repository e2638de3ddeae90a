"""Each rewrite for inference changes no score beyond float rounding."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from topiq_metrics.models.cfanet import CFANet, CFANetConfig
from topiq_metrics.models.folding import fold
from topiq_metrics.models.pooling import GatedPoolFR, GatedPoolNR
from topiq_metrics.models.rewrites.batch_norm import fold_batch_norm
from topiq_metrics.models.rewrites.gated_pool import merge_gates
from topiq_metrics.weights import load_network, shared_network


def lively(config: CFANetConfig) -> CFANet:
    """A frozen network of random weights and statistics, whose scores differ from image to image."""
    torch.manual_seed(0)
    net = CFANet(config).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.2)
    net.head[-1].weight.data.mul_(20)
    if net.selection is not None:
        net.selection.excite.weight.data.normal_()
    # What is exact shows in double precision, where rounding is out of the way.
    return net.requires_grad_(False).double()


NETWORKS = {
    "NR": CFANetConfig("resnet50", dim=32, gate_width=8),
    "FR": CFANetConfig("resnet50", mode="FR", dim=32, gate_width=8),
    "NR lite": CFANetConfig("efficientnet_lite0", dim=16, gate_width=4),
    "FR lite": CFANetConfig("efficientnet_lite0", mode="FR", dim=16, gate_width=4),
    "selection": CFANetConfig("efficientnet_lite0", dim=16, gate_width=4, feature_selection=True),
    "ratings": CFANetConfig("efficientnet_lite0", dim=16, gate_width=4, bins=10),
}


@pytest.fixture(params=NETWORKS)
def net(request: pytest.FixtureRequest) -> CFANet:
    return lively(NETWORKS[request.param])


def some_images(net: CFANet, *shape: int) -> list[Tensor]:
    torch.manual_seed(1)
    images = [torch.rand(*shape, dtype=torch.float64) for _ in range(2 if net.config.mode == "FR" else 1)]
    images[0][-1] *= 0.2
    return images


@pytest.mark.parametrize("rewrite", [fold_batch_norm, merge_gates, fold])
def test_scores_stay(net: CFANet, rewrite: Callable[[CFANet], CFANet]) -> None:
    images = some_images(net, 2, 3, 97, 130)
    folded = rewrite(copy.deepcopy(net))
    with torch.inference_mode():
        before, after = net(*images), folded(*images)
        for plain, rewritten in zip(net.levels(*images), folded.levels(*images), strict=True):
            torch.testing.assert_close(rewritten, plain, rtol=1e-9, atol=1e-9)
        in_float32 = folded.float()(*(image.float() for image in images))
    torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-9)
    assert ((in_float32 - before).abs() <= 1e-5 * before.abs().clamp(min=1)).all()
    assert (before[0] - before[1]).abs() > 1e-3
    assert not any(parameter.requires_grad for parameter in folded.parameters())


def test_nothing_is_left_to_fold(net: CFANet) -> None:
    kinds = {type(module) for module in fold(net).modules()}
    assert not kinds & {nn.BatchNorm2d, GatedPoolNR, GatedPoolFR}


def test_half_of_the_split_is_saved() -> None:
    net = lively(NETWORKS["NR"])
    before = sum(parameter.numel() for parameter in net.gated_pools.parameters())
    after = sum(parameter.numel() for parameter in merge_gates(net).gated_pools.parameters())
    assert after < 0.52 * before


def test_gradients_for_the_image_stay(net: CFANet) -> None:
    images = some_images(net, 1, 3, 64, 96)
    gradients = []
    for network in (net, fold(copy.deepcopy(net))):
        leaves = [image.clone().requires_grad_() for image in images]
        gradients.append(torch.autograd.grad(network(*leaves).sum(), leaves))
    for plain, folded in zip(*gradients, strict=True):
        assert (plain - folded).norm() <= 1e-9 * plain.norm()


@pytest.mark.slow
def test_folding_leaves_a_network_without_batch_norm_right() -> None:
    net = lively(CFANetConfig("swin_base", dim=8, heads=2, gate_width=4))
    image = torch.rand(1, 3, 384, 384, dtype=torch.float64)
    with torch.inference_mode():
        plain = net(image)
        folded = fold(net)(image)
    torch.testing.assert_close(folded, plain, rtol=1e-9, atol=1e-9)


def test_what_is_shared_is_folded_and_what_is_loaded_is_not() -> None:
    shared, loaded = (get("topiq_nr-lite") for get in (shared_network, load_network))
    assert not any(isinstance(module, (nn.BatchNorm2d, GatedPoolNR)) for module in shared.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in loaded.modules())
    assert any(isinstance(module, GatedPoolNR) for module in loaded.modules())
