from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from topiq_metrics.catalog import ModelCard, get_card
from topiq_metrics.images import SizePolicy
from topiq_metrics.scoring.provenance import FileProvenance, MetricProvenance, Provenance


def _mean(images: Tensor, references: Tensor | None) -> Tensor:
    return (images if references is None else (images - references).abs()).mean(dim=(1, 2, 3))


@dataclass
class FakePredictor:
    """Scores by a function of the pixels; remembers the shapes of its batches."""

    card: ModelCard
    size: SizePolicy
    function: Callable[[Tensor, Tensor | None], Tensor]
    batches: list[tuple[int, ...]] = field(default_factory=list)
    spared: list[bool] = field(default_factory=list)
    max_batch: int = 8

    def __call__(self, images: Tensor, references: Tensor | None = None, *, spare_memory: bool = False) -> Tensor:
        assert images.dtype == torch.float32
        self.batches.append(tuple(images.shape))
        self.spared.append(spare_memory)
        return self.function(images, references)


@pytest.fixture
def fake() -> Callable[..., FakePredictor]:
    def make(
        name: str = "topiq_nr-lite",
        size: str = "native",
        function: Callable[[Tensor, Tensor | None], Tensor] = _mean,
    ) -> FakePredictor:
        return FakePredictor(get_card(name), SizePolicy.parse(size), function)

    return make


@pytest.fixture
def provenance() -> Provenance:
    names = ("topiq_nr-lite", "topiq_fr")
    metrics = tuple(MetricProvenance(name, "native", FileProvenance(f"{name}.pth", "ab12", "MIT")) for name in names)
    return Provenance(metrics, versions={"torch": "2.6.0"})
