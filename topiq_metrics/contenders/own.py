"""The metrics of our catalogue, and those that other distributions have added to it."""

from __future__ import annotations

import os

import torch

from topiq_metrics._version import __version__
from topiq_metrics.catalog import ModelCard, all_cards, get_card
from topiq_metrics.catalog.extensions import provider
from topiq_metrics.contenders.base import MetricUnavailableError, ToolboxMetric
from topiq_metrics.contenders.offline import wanted_download
from topiq_metrics.errors import WeightsNotFoundError
from topiq_metrics.inference import Predictor, open_predictor


def metrics() -> list[ToolboxMetric]:
    return [_describe(card) for card in all_cards().values()]


def _describe(card: ModelCard) -> ToolboxMetric:
    package, version = (provider(card.name) if card.is_foreign else None) or ("topiq-metrics", __version__)
    return ToolboxMetric(
        name=card.name,
        toolbox="topiq-metrics",
        mode=card.mode,
        higher_is_better=card.higher_is_better,
        package=package,
        version=version,
        size=card.size,
    )


def open_metric(
    metric: ToolboxMetric, device: torch.device, weights: str | os.PathLike[str] | None = "default"
) -> Predictor:
    try:
        return open_predictor(metric.name, weights, device=device)
    except WeightsNotFoundError as error:
        if wanted_download(error):
            raise
        # The rest are folders of this machine, which do not belong on a board.
        reason = str(error).partition(" Searched:")[0]
        file = get_card(metric.name).weights
        can_be_had = weights == "default" and file is not None and file.published
        raise MetricUnavailableError(metric.name, reason, is_download=can_be_had) from error
