"""The one metric of the package brisque."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from topiq_metrics.contenders.base import ToolboxMetric, ToolboxPredictor, require, toolbox_metric


def metrics() -> list[ToolboxMetric]:
    """List it.

    Raises:
        ModuleNotFoundError: if brisque is not installed.
    """
    require("brisque", "benchmarks")
    return [toolbox_metric("brisque", "brisque", "NR", False, takes="RGB in 0 … 255, uint8, on the CPU")]


def open_metric(metric: ToolboxMetric, _device: torch.device, _weights: object) -> ToolboxPredictor:
    from brisque import BRISQUE

    theirs = BRISQUE(url=False)
    # The package makes some features arrays of one element, which NumPy 2.4 does not take for numbers.
    scale = theirs.scale_features
    theirs.scale_features = lambda features: scale([np.asarray(feature).item() for feature in features])

    def score(image: Tensor, _: Tensor | None) -> Any:
        return theirs.score((image[0] * 255).round().byte().permute(1, 2, 0).numpy())

    return ToolboxPredictor(metric, score, torch.device("cpu"))
