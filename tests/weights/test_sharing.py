from __future__ import annotations

import gc
import shutil
import threading
import weakref

import pytest
import torch

from topiq_metrics.errors import WeightsNotFoundError
from topiq_metrics.weights import shared_network


@pytest.fixture(autouse=True)
def saved(add_card, tiny_net, places):
    add_card("tiny")
    add_card("twin")
    file = places["cache"] / "tiny.pth"
    torch.save(tiny_net.state_dict(), file)
    return file


def test_same_weights_share_a_network(saved):
    net = shared_network("tiny")
    assert shared_network("tiny") is net
    assert shared_network("tiny", str(saved)) is net
    assert shared_network("tiny", saved, device="cpu") is net


def test_other_names_files_and_devices_do_not(saved, tmp_path):
    net = shared_network("tiny")
    copy = tmp_path / "copy.pth"
    shutil.copy(saved, copy)
    assert shared_network("tiny", copy) is not net
    assert shared_network("twin", saved) is not net
    assert shared_network("tiny", device="meta") is not net
    assert shared_network("tiny") is net


def test_a_file_that_was_replaced_is_loaded_again(saved):
    net = shared_network("tiny", saved)
    state = torch.load(saved, weights_only=True)
    state["h_emb"] += 1
    torch.save({"params": state}, saved)
    changed = shared_network("tiny", saved)
    assert changed is not net
    assert torch.equal(changed.h_emb, net.h_emb + 1)


def test_untrained_networks_are_not_shared():
    assert shared_network("tiny", None) is not shared_network("tiny", None)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda net: net.to("meta"), id="moved"),
        pytest.param(lambda net: net.double(), id="cast"),
        pytest.param(lambda net: net.requires_grad_(), id="unfrozen"),
    ],
)
def test_a_changed_network_is_not_handed_out(change):
    net = change(shared_network("tiny"))
    other = shared_network("tiny")
    assert other is not net
    assert (other.h_emb.device.type, other.h_emb.dtype, other.h_emb.requires_grad) == ("cpu", torch.float32, False)
    assert shared_network("tiny") is other


def test_a_network_nobody_holds_is_freed():
    net = weakref.ref(shared_network("tiny"))
    gc.collect()
    assert net() is None


def test_threads_share():
    found = []
    threads = [threading.Thread(target=lambda: found.append(shared_network("tiny"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len({id(net) for net in found}) == 1


def test_errors_are_those_of_loading(tmp_path, add_card):
    with pytest.raises(WeightsNotFoundError, match="does not exist"):
        shared_network("tiny", tmp_path / "nowhere.pth")
    add_card("theirs", network=None)
    with pytest.raises(ValueError, match="another distribution"):
        shared_network("theirs", None)
