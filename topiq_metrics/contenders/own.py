"""The metrics of our catalogue, and those that other distributions have added to it."""

from __future__ import annotations

import os

import torch

from topiq_metrics._version import __version__
from topiq_metrics.catalog import all_cards
from topiq_metrics.contenders.base import MetricUnavailableError, ToolboxMetric
from topiq_metrics.contenders.offline import wanted_download
from topiq_metrics.errors import WeightsNotFoundError
from topiq_metrics.inference import Predictor, open_predictor


def metrics() -> list[ToolboxMetric]:
    return [
        ToolboxMetric(
            name=card.name,
            toolbox="topiq-metrics",
            mode=card.mode,
            higher_is_better=card.higher_is_better,
            package="topiq-metrics",
            version=__version__,
            size=card.size,
        )
        for card in all_cards().values()
    ]


def open_metric(
    metric: ToolboxMetric, device: torch.device, weights: str | os.PathLike[str] | None = "default"
) -> Predictor:
    try:
        return open_predictor(metric.name, weights, device=device)
    except WeightsNotFoundError as error:
        if wanted_download(error):
            raise
        # The rest are folders of this machine, which do not belong on a board.
        raise MetricUnavailableError(metric.name, str(error).partition(" Searched:")[0]) from error
