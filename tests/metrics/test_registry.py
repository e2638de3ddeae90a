"""Metrics by name."""

from __future__ import annotations

import pytest
import torch
from metric_tester import make_images, network_for

import topiq_metrics
from topiq_metrics import create_metric, get_card, list_metrics
from topiq_metrics.catalog import CARDS

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("name", list_metrics())
def test_every_listed_name_builds(name):
    card = get_card(name)
    metric = create_metric(name, net=network_for(card), reduction="none")
    assert type(metric) is getattr(topiq_metrics, card.metric.rpartition(":")[2])
    assert metric.model == name
    images = make_images(2, side=512 if card.also_needs else 32)
    assert metric(*[images] * (2 if card.mode == "FR" else 1)).shape == (2,)


def test_arguments_reach_the_class(lite_weights):
    metric = create_metric("topiq_nr-lite", weights=lite_weights, reduction="sum", size="native")
    assert metric.reduction == "sum"
    assert torch.isfinite(metric(make_images(1)))


def test_the_list():
    assert list_metrics() == sorted(CARDS)
    assert list_metrics("FR") == ["lpips+", "lpips-vgg+", "topiq_fr", "topiq_fr-lite", "topiq_fr-pipal"]
    assert sorted(list_metrics("NR") + list_metrics("FR")) == list_metrics()
    with pytest.raises(ValueError, match=r"`mode` must be one of \('NR', 'FR'\) or None, but got 'nr'"):
        list_metrics("nr")


def test_a_miss_names_what_is_near():
    with pytest.raises(ValueError, match=r"There is no metric named 'topiq_nr_lite'\. Did you mean 'topiq_nr-lite'"):
        create_metric("topiq_nr_lite")
