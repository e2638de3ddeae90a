"""Metrics of other distributions, ready to score batches."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from topiq_metrics.inference.backends import Backend
from topiq_metrics.inference.predictor import MetricOnDevice
from topiq_metrics.models.network import float32_by_default
from topiq_metrics.registry import create_metric


class MetricPredictor(MetricOnDevice):
    """Runs a torchmetrics metric of another distribution, with ``reduction="none"``, and resets it after each batch.

    Args:
        name: a metric of another distribution.
        weights: ``"default"``; anything else is passed to the metric's class.
        size: a size policy instead of the metric's own.
        device: where to run; by default a GPU if there is one, else the CPU.
        backend: PyTorch in float32, or ``"auto"``.

    Raises:
        ValueError: if the metric cannot be built, or for any other backend.
    """

    def _open(self, weights: str | os.PathLike[str] | None, backend: Backend | None) -> None:
        name = self.card.name
        if backend is not None and (backend.name not in {"auto", "torch"} or backend.precision != "float32"):
            raise ValueError(
                f"The metric {name!r} is of another distribution and runs in its own way: it takes neither `backend` "
                "nor `precision`."
            )
        chosen = {} if weights == "default" else {"weights": weights}
        try:
            with float32_by_default():
                self.metric = create_metric(name, reduction="none", **chosen).to(self.device)
        except Exception as error:
            # Code of another distribution, which may raise anything.
            raise ValueError(f"The metric {name!r} cannot be built: {type(error).__name__}: {error}") from error

    @torch.inference_mode()
    def __call__(self, images: Tensor, references: Tensor | None = None, *, spare_memory: bool = False) -> Tensor:  # noqa: ARG002
        """Score a batch, as `Predictor` says.

        Raises:
            RuntimeError: if the metric fails, or does not give a score for each image.
        """
        inputs = [x.to(self.device) for x in (images, references) if x is not None]
        try:
            with float32_by_default():
                self.metric.update(*inputs)
                scores = self.metric.compute()
        except Exception as error:
            raise RuntimeError(f"{type(error).__name__}: {error}") from error
        finally:
            self.metric.reset()
        if isinstance(scores, Tensor) and scores.numel() == len(images) == 1:
            # torchmetrics squeezes whatever has one element.
            scores = scores.reshape(1)
        if not isinstance(scores, Tensor) or scores.shape != (len(images),):
            raise RuntimeError(f"{self.card.name!r} must give a score for each of {len(images)} images, got {scores!r}")
        return scores.float().cpu()
