"""What a metric's score costs: time, parameters, arithmetic."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from topiq_metrics.leaderboard.board import Cost

if TYPE_CHECKING:
    from topiq_metrics.inference import Predictor

COUNTED_SIZE = (384, 512)
"""Of the image for which arithmetic is counted."""


def measure_cost(predictor: Predictor, images: Sequence[Sequence[Tensor]]) -> Cost:
    """Measure what one image at a time costs.

    Args:
        predictor: the metric.
        images: some images ``(3, H, W)`` in [0, 1], each alone or with its reference; the first one is scored once
            before the clock starts. None leaves out the time.
    """
    network = next((each for each in vars(predictor).values() if isinstance(each, nn.Module)), None)
    milliseconds, cpu_seconds = [], []
    load = _load()
    for index, pair in enumerate([*images[:1], *images]):
        start, start_of_cpu = time.perf_counter(), time.process_time()
        _score(predictor, pair)
        if index:
            milliseconds.append(1e3 * (time.perf_counter() - start))
            cpu_seconds.append(time.process_time() - start_of_cpu)
    return Cost(
        milliseconds=statistics.median(milliseconds) if milliseconds else None,
        pixels=round(statistics.median(pair[0].shape[-1] * pair[0].shape[-2] for pair in images)) if images else None,
        parameters=None if network is None else sum(parameter.numel() for parameter in network.parameters()),
        gmacs=None if network is None else _gmacs(predictor),
        cpu_seconds=statistics.median(cpu_seconds) if cpu_seconds else None,
        load=load if milliseconds else None,
        cores=os.cpu_count() if milliseconds else None,
    )


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        # Windows has none.
        return None


def _gmacs(predictor: Predictor) -> float | None:
    image = torch.rand(3, *COUNTED_SIZE, generator=torch.Generator().manual_seed(0))
    pair = [image, image.roll(1, -1)] if predictor.card.mode == "FR" else [image]
    counter = FlopCounterMode(display=False)
    try:
        with counter:
            _score(predictor, pair)
    except Exception:  # noqa: BLE001 - code of other distributions; its price is then unknown
        return None
    # What is fused, or computed elsewhere than in PyTorch, is not counted: rather no figure than one too low.
    return counter.get_total_flops() / 2e9 or None


def _score(predictor: Predictor, pair: Sequence[Tensor]) -> Any:
    return predictor(*(predictor.size.apply(image)[None] for image in pair))
