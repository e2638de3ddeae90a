"""Networks on a backend, ready to score."""

from __future__ import annotations

from topiq_metrics.inference.predictor import Predictor, TorchPredictor

__all__ = ["Predictor", "TorchPredictor"]
