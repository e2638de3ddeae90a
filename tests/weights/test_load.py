from __future__ import annotations

import json
import os
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from topiq_metrics.errors import WeightsMismatchError, WeightsNotFoundError
from topiq_metrics.models.cfanet import CFANetConfig
from topiq_metrics.weights import load_network, read_metadata, save_network
from topiq_metrics.weights.keymaps import to_pyiqa


@pytest.fixture(autouse=True)
def card(add_card):
    return add_card("tiny")


@pytest.mark.parametrize("keys", ["ours", "pyiqa"])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("wrapped", [True, False])
def test_torch_files(tiny_net, same_state, a_file, keys, prefix, wrapped):
    state = to_pyiqa(tiny_net.state_dict(), "NR") if keys == "pyiqa" else tiny_net.state_dict()
    state = {prefix + key: value for key, value in state.items()}
    torch.save({"params": state, "iter": 3} if wrapped else state, a_file)
    same_state(tiny_net, load_network("tiny", a_file))


def test_old_torch_format(tiny_net, same_state, a_file):
    torch.save(tiny_net.state_dict(), a_file, _use_new_zipfile_serialization=False)
    same_state(tiny_net, load_network("tiny", str(a_file)))


def test_batch_counters_may_be_missing(tiny_net, a_file):
    state = {key: value for key, value in tiny_net.state_dict().items() if not key.endswith("num_batches_tracked")}
    assert len(state) < len(tiny_net.state_dict())
    torch.save(state, a_file)
    torch.testing.assert_close(load_network("tiny", a_file).head[0].weight, tiny_net.head[0].weight)


def test_loaded_networks_are_frozen_in_eval_mode_and_float32(tiny_net, a_file):
    torch.save({key: v.double() if v.is_floating_point() else v for key, v in tiny_net.state_dict().items()}, a_file)
    for weights in (a_file, None):
        net = load_network("tiny", weights, device="cpu")
        assert not net.training
        assert net.name == "tiny"
        assert not any(parameter.requires_grad for parameter in net.parameters())
        assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}


def test_loading_does_not_advance_the_random_numbers(tiny_net, a_file):
    torch.save(tiny_net.state_dict(), a_file)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    load_network("tiny", a_file)
    assert torch.rand(1) == expected


def test_untrained_networks_differ():
    assert not torch.equal(load_network("tiny", None).h_emb, load_network("tiny", None).h_emb)


def test_float16_safetensors(tiny_net, same_state, tmp_path):
    folder = tmp_path / "saved"
    folder.mkdir()
    path = folder / "half.safetensors"
    save_network(tiny_net, path, card={"trained_on": "noise", "name": "not this"})
    full = folder / "full.safetensors"
    save_network(tiny_net, full, card={}, dtype=torch.float32)
    assert path.stat().st_size < 0.6 * full.stat().st_size
    same_state(tiny_net, load_network("tiny", path), rtol=1e-3, atol=1e-6)
    same_state(tiny_net, load_network("tiny", full))
    assert sorted(file.name for file in folder.iterdir()) == ["full.safetensors", "half.safetensors"]
    metadata = read_metadata(path)
    assert metadata["format"] == 1
    assert metadata["name"] == "tiny"
    assert metadata["trained_on"] == "noise"
    assert metadata["config"]["dim"] == 16


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
def test_others_may_read_a_file_as_the_system_has_it(tiny_net, tmp_path):
    before = os.umask(0o027)
    try:
        save_network(tiny_net, tmp_path / "w.safetensors", card={})
    finally:
        os.umask(before)
    assert (tmp_path / "w.safetensors").stat().st_mode & 0o777 == 0o640


def test_values_beyond_float16_stay_float32(tiny_net, tmp_path):
    tiny_net.head[0].weight.data.fill_(1e6)
    save_network(tiny_net, tmp_path / "w.safetensors", card={})
    assert load_network("tiny", tmp_path / "w.safetensors").head[0].weight.max() == 1e6


def test_saving_needs_the_suffix(tiny_net, a_file):
    with pytest.raises(ValueError, match=r"must end in '\.safetensors', but got 'file\.pth'"):
        save_network(tiny_net, a_file, card={})


def test_safetensors_of_another_architecture(tiny_net, tmp_path, add_card):
    path = tmp_path / "w.safetensors"
    save_network(tiny_net, path, card={})
    add_card("wide", network=CFANetConfig("efficientnet_lite0", dim=32, heads=2, gate_width=4))
    with pytest.raises(WeightsMismatchError, match=r"network of 'tiny' with .*: 16.* but 'wide' needs .*'dim': 32"):
        load_network("wide", path)


def test_dropout_is_no_part_of_the_architecture(tiny_net, tmp_path, add_card, card):
    path = tmp_path / "w.safetensors"
    save_network(tiny_net, path, card={})
    add_card("tiny", network=replace(card.network, dropout=0.5))
    load_network("tiny", path)


def test_safetensors_of_a_later_format(tiny_net, tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(dict(tiny_net.state_dict()), path, metadata={"topiq_metrics": json.dumps({"format": 2})})
    with pytest.raises(WeightsMismatchError, match=r"has format 2; this version .* reads format 1\. Upgrade"):
        load_network("tiny", path)


def test_safetensors_without_metadata(tiny_net, same_state, tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(dict(tiny_net.state_dict()), path)
    assert read_metadata(path) == {}
    same_state(tiny_net, load_network("tiny", path))


def test_torch_files_have_no_metadata(tiny_net, a_file):
    torch.save(tiny_net.state_dict(), a_file)
    assert read_metadata(a_file) == {}


def test_mismatch_names_keys(tiny_net, a_file):
    state = tiny_net.state_dict()
    del state["head.6.bias"]
    state["extra"] = torch.zeros(1)
    state["head.6.weight"] = torch.zeros(10, 16)
    torch.save(state, a_file)
    with pytest.raises(WeightsMismatchError) as info:
        load_network("tiny", a_file)
    message = str(info.value)
    assert str(a_file) in message
    assert "1 missing: head.6.bias" in message
    assert "1 unexpected: extra" in message
    assert "head.6.weight is (10, 16) instead of (1, 16)" in message
    assert "metric that it was trained for" in message


def test_mismatch_lists_a_few_keys_only(a_file):
    torch.save({f"key{i}": torch.zeros(1) for i in range(9)}, a_file)
    with pytest.raises(WeightsMismatchError, match=r"9 unexpected: key0, key1, key2, …"):
        load_network("tiny", a_file)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3, "state_dict": {}}, {1: torch.zeros(1)}])
def test_files_without_a_state_dict(a_file, content):
    torch.save(content, a_file)
    with pytest.raises(WeightsMismatchError, match="state dict of a network"):
        load_network("tiny", a_file)


def test_missing_path(tmp_path):
    with pytest.raises(WeightsNotFoundError, match=r"nowhere\.pth does not exist\. Give the path"):
        load_network("tiny", tmp_path / "nowhere.pth")
    with pytest.raises(WeightsNotFoundError, match="is a folder"):
        load_network("tiny", tmp_path)


def test_names_without_a_network_of_ours(add_card):
    with pytest.raises(ValueError, match=r"no metric named 'tinny'\. Did you mean 'tiny'"):
        load_network("tinny", None)
    add_card("theirs", network=None)
    with pytest.raises(ValueError, match="'theirs' is the metric of another distribution"):
        load_network("theirs", None)
