"""Scores and gradients are pyiqa's, for the same weights in its own checkpoint format."""

from __future__ import annotations

import re

import pytest
import torch

from topiq_metrics.weights.keymaps import to_pyiqa

UNUSED = re.compile(r"attn_blks\.\d\.layers\.0\.self_attn\.")


def test_key_names(pair):
    theirs = {key: value for key, value in pair.reference.state_dict().items() if not UNUSED.match(key)}
    exported = to_pyiqa(pair.ours.state_dict(), pair.ours.config.mode)
    assert set(exported) == set(theirs)
    assert all(torch.equal(exported[key], value) for key, value in theirs.items())


def test_scores(pair, parity):
    results = [pair.compare(size, batch) for size in parity.SIZES for batch in parity.BATCHES]
    assert parity.failures(results) == []


def test_image_gradients(pair, parity):
    images = [image.double().requires_grad_() for image in parity.sample_images((96, 80), 1, pair.full_reference)]
    networks = (pair.reference, pair.ours)
    try:
        for network in networks:
            network.double()
        theirs = torch.autograd.grad(pair.score_theirs(*images).sum(), images)
        ours = torch.autograd.grad(pair.score_ours(*images).sum(), images)
    finally:
        for network in networks:
            network.float()
    for expected, got in zip(theirs, ours, strict=True):
        assert expected.norm() > 0
        assert (got - expected).norm() <= 1e-6 * expected.norm()


@pytest.mark.parametrize("mutation", ["epsilon", "position", "levels", "scales", "swap"])
def test_mutations_are_noticed(pair, parity, monkeypatch, mutation):
    net, swapped = pair.ours, False
    if mutation == "epsilon":
        for module in net.modules():
            if isinstance(module, torch.nn.LayerNorm):
                monkeypatch.setattr(module, "eps", 1e-4)
    elif mutation == "position":
        monkeypatch.setattr("topiq_metrics.models.cfanet.position_embedding", lambda h_emb, w_emb, size: 0)
    elif mutation == "levels":
        monkeypatch.setitem(net._modules, "self_attention", torch.nn.ModuleList(reversed(net.self_attention)))
    elif mutation == "scales":
        monkeypatch.setitem(net._modules, "cross_attention", torch.nn.ModuleList(reversed(net.cross_attention)))
    elif not pair.full_reference:
        pytest.skip("there is no reference to swap")
    else:
        swapped = True
    images = parity.sample_images((64, 64), 3, pair.full_reference)
    with torch.inference_mode():
        ours = pair.score_ours(*(reversed(images) if swapped else images))
        error = parity.relative_error(ours, pair.score_theirs(*images))
    assert error > parity.TOLERANCE
