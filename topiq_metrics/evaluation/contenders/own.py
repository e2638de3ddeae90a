"""The metrics of our catalogue, and those that other distributions have added to it."""

from __future__ import annotations

import os

import torch

from topiq_metrics._version import __version__
from topiq_metrics.catalog import all_cards
from topiq_metrics.errors import WeightsNotFoundError
from topiq_metrics.evaluation.contenders.base import Contender, ContenderUnavailableError
from topiq_metrics.evaluation.contenders.offline import wanted_download
from topiq_metrics.inference import Predictor, open_predictor


def contenders() -> list[Contender]:
    return [
        Contender(
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


def open_contender(
    contender: Contender, device: torch.device, weights: str | os.PathLike[str] | None = "default"
) -> Predictor:
    try:
        return open_predictor(contender.name, weights, device=device)
    except WeightsNotFoundError as error:
        if wanted_download(error):
            raise
        # The rest are folders of this machine, which do not belong on a board.
        raise ContenderUnavailableError(contender.name, str(error).partition(" Searched:")[0]) from error
