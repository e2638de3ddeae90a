"""Networks on a backend, ready to score."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from topiq_metrics.catalog import get_card
from topiq_metrics.inference.backends import Backend
from topiq_metrics.inference.faces import FacePredictor
from topiq_metrics.inference.metrics import MetricPredictor
from topiq_metrics.inference.predictor import NetworkPredictor, Predictor

if TYPE_CHECKING:
    import torch

    from topiq_metrics.images import SizePolicy

__all__ = ["FacePredictor", "MetricPredictor", "NetworkPredictor", "Predictor", "open_predictor"]


def open_predictor(
    name: str,
    weights: str | os.PathLike[str] | None = "default",
    *,
    size: str | SizePolicy | None = None,
    device: str | torch.device | None = None,
    backend: Backend | None = None,
) -> Predictor:
    """Make what scores images with the metric ``name``, whichever kind of metric it is.

    Args:
        name: a metric of the catalogue.
        weights: ``"default"``, a path, or None for an untrained network.
        size: a size policy for the images, instead of the metric's own.
        device: where to run; a GPU if there is one.
        backend: what runs the network (see `topiq_metrics.inference.backends.choose_backend`); PyTorch in float32 if
            none is given.

    Raises:
        ValueError: if there is no such metric or size policy, or the backend does not run there.
        ModuleNotFoundError: if the metric needs an extra that is not installed.
        WeightsError: if weights cannot be found or loaded.
    """
    card = get_card(name)
    if card.is_foreign:
        return MetricPredictor(name, weights, size=size, device=device, backend=backend)
    kind = FacePredictor if card.scores_faces else NetworkPredictor
    return kind(name, weights, size=size, device=device, backend=backend)
