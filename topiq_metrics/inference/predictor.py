"""A metric's network, ready to score batches: no gradients, no metric state."""

from __future__ import annotations

import os
from typing import Protocol, TypedDict

import torch
from torch import Tensor

from topiq_metrics.catalog import ModelCard, get_card
from topiq_metrics.images import SizePolicy
from topiq_metrics.inference.backends import Backend, choose_backend
from topiq_metrics.weights import shared_network


class Predictor(Protocol):
    """Scores batches of images of one size.

    Attributes:
        card: the metric's record in the catalogue.
        size: the size policy that the caller applies to images before they are scored.
        max_batch: the largest batch to pass at once.
    """

    card: ModelCard
    size: SizePolicy
    max_batch: int

    def __call__(self, images: Tensor, references: Tensor | None = None, *, spare_memory: bool = False) -> Tensor:
        """Score RGB images ``(N, 3, H, W)`` in [0, 1].

        Args:
            images: the images, all of one size.
            references: the references, of the same shape, for a full-reference metric.
            spare_memory: use as little memory as possible, even if it is slower.

        Returns:
            ``(N,)``, float32, on the CPU.

        Raises:
            ImageError: if the metric cannot score an image.
        """
        ...


def choose_device(device: str | torch.device | None) -> torch.device:
    """The device that was asked for; by default a GPU if there is one, else the CPU.

    Raises:
        ValueError: if there is no such device.
    """
    has_gpu = torch.cuda.is_available()
    try:
        chosen = torch.device(device or ("cuda" if has_gpu else "cpu"))
    except RuntimeError as error:
        raise ValueError(f"Argument `device` must be such as 'cpu' or 'cuda:1', but got {device!r}.") from error
    if chosen.type == "cuda" and not (has_gpu and (chosen.index or 0) < torch.cuda.device_count()):
        raise ValueError(f"There is no device {chosen} here: {torch.cuda.device_count()} CUDA devices are available.")
    return chosen


class PredictorOptions(TypedDict, total=False):
    """Options of every predictor.

    Attributes:
        size: a size policy instead of the metric's own.
        device: where to run; by default a GPU if there is one, else the CPU.
        backend: what runs the network; by default PyTorch in float32.
    """

    size: str | SizePolicy | None
    device: str | torch.device | None
    backend: Backend | None


class MetricOnDevice:
    """What the predictors share: the card, the size policy and the device of a metric."""

    max_batch = 8

    def __init__(
        self,
        name: str,
        weights: str | os.PathLike[str] | None = "default",
        *,
        size: str | SizePolicy | None = None,
        device: str | torch.device | None = None,
        backend: Backend | None = None,
    ) -> None:
        self.card = get_card(name)
        self.size = SizePolicy.parse(self._own_size() if size is None else size)
        self.device = choose_device(device)
        self._open(weights, backend)

    def _own_size(self) -> str:
        """The size policy for images if the user names none."""
        return self.card.size

    def _open(self, weights: str | os.PathLike[str] | None, backend: Backend | None) -> None:
        """Make what scores: what cannot run is to be known before the first image."""
        raise NotImplementedError


class NetworkPredictor(MetricOnDevice):
    """Runs a network of this package on a backend; see `Predictor` for how it is called.

    Args:
        name: a metric of the catalogue.
        weights: ``"default"``, the path of a file, or None for an untrained network.
        size: a size policy instead of the metric's own.
        device: where to run; by default a GPU if there is one, else the CPU.
        backend: what runs the network; by default PyTorch in float32.

    Raises:
        ValueError: if there is no such metric, size policy or device, or the backend does not run on the device.
        WeightsError: if the weights cannot be found or loaded.
    """

    def _open(self, weights: str | os.PathLike[str] | None, backend: Backend | None) -> None:
        self.backend = (backend or choose_backend()).on(self.device)
        self.net = shared_network(self.card.name, weights, device=self.device)
        self.backend.open(self.net, self.device)

    @torch.inference_mode()
    def __call__(self, images: Tensor, references: Tensor | None = None, *, spare_memory: bool = False) -> Tensor:
        backend = Backend("torch", "float32", 1) if spare_memory else self.backend
        inputs = [self._moved(x) for x in (images, references) if x is not None]
        return backend(self.net, *inputs).float().cpu()

    def _moved(self, images: Tensor) -> Tensor:
        if self.device.type == "cuda" and not images.is_cuda:
            # Only pinned memory is copied while the GPU goes on.
            images = images.pin_memory()
        return images.to(self.device, non_blocking=True)
