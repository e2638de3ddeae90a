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
    """Open the metric ``name``, of any kind, for scoring batches of images.

    Args:
        name: a metric of the catalogue.
        weights: ``"default"``, the path of a file, or None for an untrained network.
        size: a size policy for the images, instead of the metric's own.
        device: where to run; by default a GPU if there is one, else the CPU.
        backend: what runs the network (see `topiq_metrics.inference.backends.choose_backend`); by default PyTorch in
            float32.

    Returns:
        A `NetworkPredictor`, a `FacePredictor` for a face metric, or a `MetricPredictor` for a metric of another
        distribution.

    Raises:
        ValueError: if there is no such metric, size policy or device, or the backend does not run on the device.
        ModuleNotFoundError: if the metric needs an extra that is not installed.
        WeightsError: if weights cannot be found or loaded.
    """
    card = get_card(name)
    if card.is_foreign:
        return MetricPredictor(name, weights, size=size, device=device, backend=backend)
    kind = FacePredictor if card.scores_faces else NetworkPredictor
    return kind(name, weights, size=size, device=device, backend=backend)
