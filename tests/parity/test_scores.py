"""Scores and gradients are pyiqa's, for the same weights in its own checkpoint format."""

from __future__ import annotations

import re

import pytest
import torch

from topiq_metrics.weights.keymaps import to_pyiqa

UNUSED = re.compile(
    r"attn_blks\.\d\.layers\.0\.self_attn\.|semantic_model\.(norm|head)\.|.*\.(attn_mask|relative_position_index)$"
)

MOST_PAIRS = pytest.mark.parametrize(
    "pair",
    [
        "topiq_nr",
        "topiq_fr",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("topiq_iaa", "topiq_iaa_res50", "topiq_nr_swin-face")
        ),
    ],
    indirect=True,
)


def test_key_names(pair):
    theirs = {key: value for key, value in pair.reference.state_dict().items() if not UNUSED.match(key)}
    exported = to_pyiqa(pair.ours.state_dict(), pair.ours.config.mode)
    assert set(exported) == set(theirs)
    assert all(torch.equal(exported[key], value) for key, value in theirs.items())


def test_scores(pair, parity):
    results = [
        pair.compare(size, batch)
        for size in parity.sizes_of(pair.name)
        for batch in parity.BATCHES
        # benchmarks/parity.py compares batches of large images, too, which takes minutes.
        if batch == 1 or max(size) <= 400
    ]
    assert parity.failures(results) == []


@MOST_PAIRS
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


@pytest.fixture(scope="module")
def two_images(pair, parity):
    images = parity.sample_images((64, 64), 2, pair.full_reference)
    with torch.inference_mode():
        return images, pair.score_theirs(*images)


@MOST_PAIRS
@pytest.mark.parametrize("mutation", ["epsilon", "gelu", "position", "levels", "scales", "shift", "swap"])
def test_mutations_are_noticed(pair, parity, two_images, monkeypatch, mutation):
    net, (images, expected) = pair.ours, two_images
    if mutation == "epsilon":
        for module in net.modules():
            if isinstance(module, torch.nn.LayerNorm):
                monkeypatch.setattr(module, "eps", 1e-4)
    elif mutation == "gelu":
        for module in net.modules():
            if isinstance(module, torch.nn.GELU):
                monkeypatch.setattr(module, "approximate", "tanh")
    elif mutation == "position":
        monkeypatch.setattr("topiq_metrics.models.cfanet.position_embedding", lambda h_emb, w_emb, size: 0)
    elif mutation == "levels":
        monkeypatch.setitem(net._modules, "self_attention", torch.nn.ModuleList(reversed(net.self_attention)))
    elif mutation == "scales":
        monkeypatch.setitem(net._modules, "cross_attention", torch.nn.ModuleList(reversed(net.cross_attention)))
    elif mutation == "shift":
        shifted = [module for module in net.modules() if any(getattr(module, "shift_size", ()))]
        if not shifted:
            pytest.skip("there are no windows to shift")
        monkeypatch.setattr(shifted[0], "shift_size", [0, 0])
    elif not pair.full_reference:
        pytest.skip("there is no reference to swap")
    else:
        images = images[::-1]
    with torch.inference_mode():
        error = parity.relative_error(pair.score_ours(*images), expected)
    assert error > parity.TOLERANCE
