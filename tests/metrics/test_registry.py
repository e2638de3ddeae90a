"""Metrics by name."""

from __future__ import annotations

import pytest
import torch
from metric_tester import make_images, tiny_network

import topiq_metrics
from topiq_metrics import create_metric, get_card, list_metrics
from topiq_metrics.catalog import CARDS


@pytest.mark.parametrize("name", list_metrics())
def test_every_listed_name_builds(name):
    card = get_card(name)
    metric = create_metric(name, net=tiny_network(card.mode, bins=card.network.get("bins", 1)), reduction="none")
    assert type(metric) is getattr(topiq_metrics, card.metric.rpartition(":")[2])
    assert metric.model == name
    assert metric(*[make_images(2)] * (2 if card.mode == "FR" else 1)).shape == (2,)


def test_arguments_reach_the_class(lite_weights):
    metric = create_metric("topiq_nr-lite", weights=lite_weights, reduction="sum", size="native")
    assert metric.reduction == "sum"
    assert torch.isfinite(metric(make_images(1)))


def test_the_list():
    assert list_metrics() == sorted(name for name, card in CARDS.items() if not card.unavailable)
    assert list_metrics("FR") == ["topiq_fr", "topiq_fr-pipal"]
    assert sorted(list_metrics("NR") + list_metrics("FR")) == list_metrics()
    with pytest.raises(ValueError, match=r"`mode` must be one of \('NR', 'FR'\) or None, but got 'nr'"):
        list_metrics("nr")


def test_a_miss_names_what_is_near():
    with pytest.raises(ValueError, match=r"There is no metric named 'topiq_nr_lite'\. Did you mean 'topiq_nr-lite'"):
        create_metric("topiq_nr_lite")


@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if card.unavailable])
def test_what_cannot_be_built_says_why(name):
    with pytest.raises(NotImplementedError, match=f"{name} cannot be built yet: {get_card(name).unavailable}"):
        create_metric(name)
