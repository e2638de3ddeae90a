"""The passes find what the forward computes, which itself keeps nothing of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from topiq_metrics import explain
from topiq_metrics.explaining.passes import explain_cfanet, received_attention
from topiq_metrics.models.attention import CrossScaleAttentionBlock, MultiHeadAttention
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.models.lpips import LPIPSPlusConfig, LPIPSPlusNetwork

SIZES = {"NR": (97, 131), "FR": (65, 140), "lite": (97, 131), "ratings": (33, 200), "swin": (384, 384)}


def watch(net: CFANet, *inputs: Tensor) -> tuple[float, list[Tensor], list[tuple[Tensor, Tensor]]]:
    """The forward's score, what its gates give, and what goes into its cross-scale attention."""
    gates: list[Tensor] = []
    attended: list[tuple[Tensor, Tensor]] = []
    hooks = [glp.gate.register_forward_hook(lambda *call: gates.append(call[2])) for glp in net.gated_pools]
    hooks += [
        block.attention.register_forward_hook(lambda *call: attended.append(call[1])) for block in net.cross_attention
    ]
    try:
        with torch.inference_mode():
            return net(*inputs).item(), gates, attended
    finally:
        for hook in hooks:
            hook.remove()


def torch_weights(attention: MultiHeadAttention, query: Tensor, memory: Tensor) -> Tensor:
    """What PyTorch's own attention with the same parameters says: ``(heads, Lq, Lm)``."""
    theirs = nn.MultiheadAttention(query.shape[-1], attention.heads, batch_first=True).eval()
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = attention.in_proj.weight, attention.in_proj.bias
    with torch.inference_mode():
        return theirs(query, memory, memory, need_weights=True, average_attn_weights=False)[1][0]


@pytest.fixture(params=SIZES)
def case(request: Any, cfanet: Any, pictures: Any) -> tuple[CFANet, list[Tensor]]:
    net = cfanet(request.param)
    return net, [x[None] for x in pictures(*SIZES[request.param])][: 2 if net.config.mode == "FR" else 1]


def test_cfanet_maps_are_those_of_the_forward(case: tuple[CFANet, list[Tensor]]) -> None:
    net, inputs = case
    score, gates, attended = watch(net, *inputs)
    height, width = inputs[0].shape[-2:]
    rows, columns = grid = net.grid(height, width)
    point = (0.99, 0.4)
    with torch.inference_mode():
        found = explain_cfanet(net, *inputs, point=point)
    maps = {level_map.name: level_map for level_map in found.maps}
    assert found.score == pytest.approx(score, abs=1e-5)
    levels = len(net.gated_pools)
    assert len(maps) == levels + 2 * (levels - 1)
    for index, gate in enumerate(gates):
        level_map = maps[f"gate-level{index + 1}"]
        assert torch.equal(torch.from_numpy(level_map.values), gate[0, 0])
        assert level_map.values.shape == (-(-height // level_map.stride), -(-width // level_map.stride))
    cell = int(point[1] * rows) * columns + columns - 1
    for index, (query, memory) in enumerate(attended):
        weights = torch_weights(net.cross_attention[index].attention, query, memory).mean(dim=0)
        level = levels - 1 - index
        for kind, expected in (("attention", weights.mean(dim=0)), ("focus", weights[cell])):
            values = maps[f"{kind}-level{level}"].values
            assert values.shape == grid
            assert values.sum() == pytest.approx(1, abs=1e-4)
            np.testing.assert_allclose(values, expected.view(grid), atol=1e-5)
    assert maps["focus-level1"].values.std() > 1e-4


@pytest.fixture
def block() -> CrossScaleAttentionBlock:
    torch.manual_seed(0)
    return CrossScaleAttentionBlock(16, 4, 0.0).eval().requires_grad_(False)


@pytest.mark.parametrize("max_bytes", [1, 3000, 12_345])
def test_the_attention_of_some_queries_at_a_time_is_that_of_all(block: Any, max_bytes: int) -> None:
    query, memory = torch.randn(1, 35, 16), torch.randn(1, 35, 16)
    whole = block.weights(query, memory)
    assert whole.shape == (1, 4, 35, 35)
    torch.testing.assert_close(whole.sum(dim=-1), torch.ones(1, 4, 35))
    found = received_attention(block, query, memory, max_bytes)
    torch.testing.assert_close(found, whole.mean(dim=(0, 1, 2)), atol=1e-6, rtol=1e-5)


class Shapes(TorchDispatchMode):
    """Records the shape of whatever is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[int, ...]] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.seen |= {tuple(x.shape) for x in (out if isinstance(out, (tuple, list)) else [out]) if hasattr(x, "shape")}
        return out


def test_no_map_of_all_pairs_is_ever_made(cfanet: Any, pictures: Any) -> None:
    net = cfanet("lite")
    image = pictures(160, 192)[0][None]
    tokens = 5 * 6
    with torch.no_grad(), Shapes() as forward:
        net(image)
    with torch.no_grad(), Shapes() as explaining:
        explain_cfanet(net, image, attention_bytes=1)
    with torch.no_grad(), Shapes() as whole:
        explain_cfanet(net, image)
    pairs = (1, net.config.heads, tokens, tokens)
    assert pairs not in forward.seen
    assert pairs not in explaining.seen
    assert pairs in whole.seen


def test_a_network_keeps_nothing(cfanet: Any, pictures: Any) -> None:
    def state() -> dict[str, Any]:
        return {name: {key: id(value) for key, value in vars(m).items()} for name, m in net.named_modules()}

    net = cfanet("NR")
    before = state()
    explain(pictures(64, 64)[0], net=net)
    net(pictures(64, 64)[0][None])
    assert state() == before


@pytest.fixture(scope="module", params=["alexnet", "vgg16"])
def net(request: Any) -> LPIPSPlusNetwork:
    torch.manual_seed(0)
    net = LPIPSPlusNetwork(LPIPSPlusConfig(request.param), name="lpips+")
    for parameter in net.linear:
        parameter.data.uniform_(0, 1)
    return net.eval().requires_grad_(False)


class TestLPIPS:
    def test_maps_make_the_score(self, net: LPIPSPlusNetwork, pictures: Any) -> None:
        image, reference = pictures(75, 118)
        found = explain(image, reference, net=net)
        assert found.score == pytest.approx(net(image[None], reference[None]).item(), rel=1e-5)
        lpips = net.with_semantic_layer(None)(image[None], reference[None]).item()
        values = {name: level_map.values.astype(float) for name, level_map in found.maps.items()}
        assert sum(v.mean() for name, v in values.items() if name.startswith("weighted")) == pytest.approx(found.score)
        assert sum(v.mean() for name, v in values.items() if name.startswith("distance")) == pytest.approx(lpips)
        for level in range(1, 6):
            share = values[f"semantic-level{level}"]
            assert share.sum() == pytest.approx(1, abs=1e-5)
            product = values[f"distance-level{level}"] * share * share.size
            np.testing.assert_allclose(product, values[f"weighted-level{level}"], rtol=1e-4, atol=1e-9)
            added = values[f"weighted-level{level}"].mean() / found.score
            assert found.maps[f"weighted-level{level}"].share == pytest.approx(added)

    def test_strides(self, net: LPIPSPlusNetwork) -> None:
        expected = {"alexnet": (4, 8, 16, 16, 16), "vgg16": (1, 2, 4, 8, 16)}
        assert net.strides == expected[net.config.backbone]

    def test_lpips_has_no_weights(self, net: LPIPSPlusNetwork, pictures: Any) -> None:
        found = explain(*pictures(64, 64), net=net.with_semantic_layer(None))
        assert {level_map.kind for level_map in found.maps.values()} == {"distance"}
        assert sum(level_map.share or 0 for level_map in found.maps.values()) == pytest.approx(1)

    def test_equal_images(self, net: LPIPSPlusNetwork, pictures: Any) -> None:
        image, _ = pictures(64, 64)
        found = explain(image, image, net=net)
        assert found.score == 0
        assert {found.maps[f"weighted-level{level}"].share for level in range(1, 6)} == {0}
        assert found.sheet().size
