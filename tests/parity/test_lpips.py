"""LPIPS+ is pyiqa's, for the same weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision

from topiq_metrics.weights import load_network
from topiq_metrics.weights.lpips import published_linear

BACKBONES = {"lpips+": ("alex", "alexnet"), "lpips-vgg+": ("vgg", "vgg16")}


@pytest.fixture(scope="module", params=BACKBONES)
def networks(request, parity, tmp_path_factory):
    """pyiqa's class on a given layer, and our network, both on one random backbone."""
    if not parity.has_pyiqa():
        pytest.skip(parity.MISSING)
    from pyiqa.archs.lpips_arch import LPIPS

    theirs, kind = BACKBONES[request.param]
    torch.manual_seed(0)
    build = getattr(torchvision.models, kind)
    state = build(weights=None).state_dict()
    path = tmp_path_factory.mktemp("lpips") / "backbone.pth"
    torch.save(state, path)

    def offline(*args, **kwargs):
        backbone = build(weights=None)
        backbone.load_state_dict(state)
        return backbone

    def reference(layer: int):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torchvision.models, kind, offline)
            net = LPIPS(net=theirs, pretrained=False, semantic_weight_layer=layer)
        for level, weight in published_linear(kind).items():
            getattr(net, f"lin{level}").model[1].weight.data.copy_(weight.view(1, -1, 1, 1))
        return net.eval()

    yield reference, load_network(request.param, path)
    Path(path).unlink()


@pytest.mark.parametrize("layer", [-1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(4)), 4])
def test_distances(networks, parity, layer):
    reference, ours = networks
    theirs, ours = reference(layer), ours.with_semantic_layer(None if layer < 0 else layer)
    for size, batch in (((64, 64), 3), ((225, 301), 2)):
        distorted, clean = parity.sample_images(size, batch, True)
        with torch.no_grad():
            expected, got = theirs(distorted, clean).flatten(), ours(distorted, clean)
        assert expected.min() > 0
        assert ((got - expected).abs() <= 1e-5 * expected).all()
