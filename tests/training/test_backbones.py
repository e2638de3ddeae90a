"""ImageNet weights from a file."""

from __future__ import annotations

import pytest
import torch
import torchvision

from topiq_metrics.models.backbones import build_backbone
from topiq_metrics.training.backbones import load_pretrained_backbone
from topiq_metrics.training.recipe import RecipeError


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    """A file with torchvision's names, and its content."""
    state = torchvision.models.resnet50(weights=None).state_dict()
    path = tmp_path_factory.mktemp("weights") / "resnet50.pth"
    # The published file is older than the counters.
    torch.save({key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}, path)
    return path, state


def test_resnet_of_torchvision(resnet):
    path, state = resnet
    backbone = build_backbone("resnet50")
    load_pretrained_backbone(backbone, "resnet50", str(path))
    own = backbone.state_dict()
    assert set(state) - set(own) == {"fc.weight", "fc.bias"}
    assert all(torch.equal(value, state[key]) for key, value in own.items())


def test_file_of_another_network(resnet):
    with pytest.raises(
        RecipeError, match=r"resnet50\.pth does not hold the backbone 'swin_base' \(.*Microsoft's swin_base"
    ):
        load_pretrained_backbone(build_backbone("swin_base"), "swin_base", str(resnet[0]))


def test_file_that_is_not_there(tmp_path):
    with pytest.raises(
        RecipeError, match=r"'pretrained_backbone' in model: The weights file .*none\.pth does not exist"
    ):
        load_pretrained_backbone(build_backbone("resnet50"), "resnet50", str(tmp_path / "none.pth"))


def test_resnet_has_none_on_pypi():
    with pytest.raises(
        RecipeError, match=r"pretrained_backbone .* https://download\.pytorch\.org/models/resnet50-0676ba61"
    ):
        load_pretrained_backbone(build_backbone("resnet50"), "resnet50")
