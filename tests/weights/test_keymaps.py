from __future__ import annotations

import pytest
import torch

from topiq_metrics.models.cfanet import CFANet, CFANetConfig
from topiq_metrics.weights.keymaps import from_pyiqa, is_pyiqa, to_pyiqa


@pytest.fixture(scope="module", params=["NR", "FR"])
def network(request):
    with torch.device("meta"):
        return CFANet(CFANetConfig(mode=request.param))


def test_there_and_back(network):
    state, mode = network.state_dict(), network.config.mode
    theirs = to_pyiqa(state, mode)
    assert is_pyiqa(theirs)
    assert not is_pyiqa(state)
    assert len(theirs) == len(state)
    back = from_pyiqa(theirs, mode)
    assert list(back) == list(state)
    assert all(back[key] is state[key] for key in state)


@pytest.mark.parametrize(
    ("mode", "theirs", "ours"),
    [
        ("NR", "semantic_model.layer1.0.bn1.running_var", "backbone.layer1.0.bn1.running_var"),
        ("NR", "weight_pool.3.splitconv.bias", "gated_pools.3.split.bias"),
        ("NR", "weight_pool.0.weight_blk.4.weight", "gated_pools.0.gate.4.weight"),
        ("FR", "weight_pool.0.4.weight", "gated_pools.0.gate.4.weight"),
        ("NR", "dim_reduce.2.0.weight", "reduce.2.0.weight"),
        ("NR", "sa_attn_blks.4.layers.0.norm2.bias", "self_attention.4.norm_ffn.bias"),
        ("NR", "attn_blks.1.layers.0.norm2.bias", "cross_attention.1.norm_memory.bias"),
        ("NR", "attn_blks.1.layers.0.norm3.bias", "cross_attention.1.norm_ffn.bias"),
        ("NR", "attn_blks.1.layers.0.multihead_attn.in_proj_weight", "cross_attention.1.attention.in_proj.weight"),
        ("NR", "attn_pool.self_attn.out_proj.weight", "pool_attention.attention.out_proj.weight"),
        ("NR", "attn_pool.linear2.weight", "pool_attention.ffn.3.weight"),
        ("NR", "score_linear.6.bias", "head.6.bias"),
        ("NR", "h_emb", "h_emb"),
    ],
)
def test_names(mode, theirs, ours):
    value = torch.zeros(1)
    assert list(from_pyiqa({theirs: value}, mode)) == [ours]
    assert list(to_pyiqa({ours: value}, mode)) == [theirs]


def test_unused_keys_are_dropped_and_unknown_ones_are_kept():
    value = torch.zeros(1)
    state = {"attn_blks.0.layers.0.self_attn.in_proj_weight": value, "attn_blks.0.layers.0.self_attn2.weight": value}
    assert list(from_pyiqa(state, "NR")) == ["attn_blks.0.layers.0.self_attn2.weight"]
    assert list(from_pyiqa({"something.else": value}, "NR")) == ["something.else"]
