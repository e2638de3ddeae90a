"""What holds for our networks whether pyiqa is there or not."""

from __future__ import annotations

import pytest
import torch

from topiq_metrics.catalog import get_card
from topiq_metrics.models.cfanet import CFANet
from topiq_metrics.weights import load_network


@pytest.mark.parametrize(
    ("name", "millions"), [("topiq_nr", "44.14"), ("topiq_fr", "34.99"), ("topiq_iaa_res50", "69.18")]
)
def test_parameters_as_published(name, millions):
    assert f"{parameters(name) / 1e6:.2f}" == millions


@pytest.mark.parametrize(("name", "millions"), [("topiq_iaa", "119.28"), ("topiq_nr_swin-face", "99.24")])
def test_parameters_with_swin(name, millions):
    assert f"{parameters(name) / 1e6:.2f}" == millions


def test_lite_is_small():
    assert parameters("topiq_nr-lite") < 6e6


def parameters(name: str) -> int:
    with torch.device("meta"):
        net = CFANet(get_card(name).network)
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize(
    "name",
    ["topiq_nr", "topiq_fr", "topiq_iaa_res50", "topiq_nr-lite", pytest.param("topiq_iaa", marks=pytest.mark.slow)],
)
def test_scores_do_not_depend_on_the_batch(parity, name, dtype, tolerance):
    torch.manual_seed(0)
    net = load_network(name, None)
    parity.randomise(net)
    net.to(dtype)
    side = net.backbone.fixed_side
    size = (96, 80) if side is None else (side, side)
    images = [image.to(dtype) for image in parity.sample_images(size, 3, net.config.mode == "FR")]
    with torch.inference_mode():
        together = net(*images)
        alone = torch.cat([net(*(image[i : i + 1] for image in images)) for i in range(3)])
    assert len(set(alone.tolist())) == 3
    assert parity.relative_error(together, alone) <= tolerance
