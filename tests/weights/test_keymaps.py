from __future__ import annotations

import pytest
import torch

from topiq_metrics.errors import WeightsMismatchError
from topiq_metrics.models.backbones.swin import GRIDS, relative_position_index, shift_mask
from topiq_metrics.models.cfanet import CFANet, CFANetConfig
from topiq_metrics.weights.keymaps import from_pyiqa, is_pyiqa, to_pyiqa
from topiq_metrics.weights.load import fill

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module", params=[("resnet50", "NR"), ("resnet50", "FR"), ("swin_base", "NR")])
def network(request):
    with torch.device("meta"):
        return CFANet(CFANetConfig(*request.param))


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
        ("NR", "semantic_model.patch_embed.proj.bias", "backbone.features.0.0.bias"),
        ("NR", "semantic_model.patch_embed.norm.bias", "backbone.features.0.2.bias"),
        ("NR", "semantic_model.layers.0.blocks.1.norm1.bias", "backbone.features.1.1.norm1.bias"),
        ("NR", "semantic_model.layers.1.downsample.reduction.weight", "backbone.features.4.reduction.weight"),
        ("NR", "semantic_model.layers.2.blocks.17.attn.qkv.weight", "backbone.features.5.17.attn.qkv.weight"),
        ("NR", "semantic_model.layers.2.blocks.10.mlp.fc1.weight", "backbone.features.5.10.mlp.0.weight"),
        ("NR", "semantic_model.layers.3.blocks.1.mlp.fc2.bias", "backbone.features.7.1.mlp.3.bias"),
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
    unused = ["attn_blks.0.layers.0.self_attn.in_proj_weight", "semantic_model.norm.bias", "semantic_model.head.weight"]
    unknown = ["attn_blks.0.layers.0.self_attn2.weight"]
    assert list(from_pyiqa(dict.fromkeys(unused + unknown, value), "NR")) == unknown
    assert list(from_pyiqa({"something.else": value}, "NR")) == ["something.else"]


INDEX = "semantic_model.layers.2.blocks.17.attn.relative_position_index"
MASKS = [f"semantic_model.layers.{stage}.blocks.1.attn_mask" for stage in range(3)]


def swin_constants():
    return {INDEX: relative_position_index(), **{key: shift_mask(grid) for key, grid in zip(MASKS, GRIDS, strict=True)}}


def test_constants_of_swin_are_dropped_if_they_are_ours():
    assert from_pyiqa(swin_constants(), "NR") == {}


@pytest.mark.parametrize("change", ["value", "shape"])
@pytest.mark.parametrize("key", [INDEX, *MASKS])
def test_other_constants_are_refused(tiny_net, a_file, key, change):
    constant = swin_constants()[key]
    if change == "shape":
        constant = constant[..., :-1]
    else:
        constant.view(-1)[5] += 1
    torch.save(to_pyiqa(tiny_net.state_dict(), "NR") | {key: constant}, a_file)
    with pytest.raises(WeightsMismatchError, match=f"1 unexpected: backbone.*{key.rpartition('.')[2]}"):
        fill(tiny_net, a_file)


@pytest.mark.parametrize("key", [INDEX, *MASKS])
def test_a_mask_where_swin_has_none_is_kept(key):
    elsewhere = key.replace("blocks.1.", "blocks.0.").replace("attn.relative", "attn2.relative")
    assert len(from_pyiqa({elsewhere: swin_constants()[key]}, "NR")) == 1
