"""Training data: parts by a hash of the file name, augmentation, and pairs of rising damage."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from topiq_metrics.catalog import get_card
from topiq_metrics.datasets import DATASETS, IQADataset
from topiq_metrics.images import SizePolicy
from topiq_metrics.training.distortions import DISTORTIONS, distort
from topiq_metrics.training.recipe import DataSettings, Recipe, RecipeError


@dataclass
class TrainingBatch:
    """Crops with their scores, and crops whose order of quality is known.

    Shape:
        - ``images``: ``(N, 3, S, S)``; ``scores``: ``(N,)``.
        - ``damaged``: ``(2 K, 3, S, S)``: the first K are the first K ``images`` after some damage, the last K
          after more of it; ``severities``: ``(2 K,)``.
    """

    images: Tensor
    scores: Tensor
    damaged: Tensor
    severities: Tensor


@dataclass(frozen=True)
class Parts:
    """Indices into a dataset; no two parts share a file name."""

    training: list[int]
    validation: list[int]
    test: list[int]


def split_by_name(names: Sequence[str], validation_share: float, test_share: float) -> Parts:
    """Deal names to three parts by their SHA-256, so that a part never changes with the rest of the folder."""
    parts = Parts([], [], [])
    for index, name in enumerate(names):
        position = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32
        if position < validation_share:
            parts.validation.append(index)
        elif position < validation_share + test_share:
            parts.test.append(index)
        else:
            parts.training.append(index)
    return parts


class RandomCrop:
    """A square crop, mirrored at random, at native resolution or scaled down a little."""

    def __init__(self, settings: DataSettings, side: int) -> None:
        self.side = side
        self.probability = settings.rescale_probability
        self.smallest = settings.rescale_smallest

    def __call__(self, image: Tensor) -> Tensor:
        side = self.side
        if torch.rand(()).item() < self.probability:
            side = round(side / (self.smallest + (1 - self.smallest) * torch.rand(()).item()))
        side = min(side, *image.shape[-2:])
        top, left = (int(torch.randint(0, size - side + 1, ()).item()) for size in image.shape[-2:])
        crop = image[:, top : top + side, left : left + side]
        if side != self.side:
            size = (self.side, self.side)
            crop = F.interpolate(crop[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0]
        return crop.flip(-1) if torch.rand(()).item() < 0.5 else crop


class CollateWithDamage:
    """Stack crops, and show the first ``count`` of them again under some damage and under more of it."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self, items: Sequence[tuple[Tensor, float]]) -> TrainingBatch:
        images = torch.stack([image for image, _ in items])
        scores = torch.tensor([score for _, score in items], dtype=torch.float32)
        count = min(self.count, len(items))
        kinds = [tuple(DISTORTIONS)[int(torch.randint(len(DISTORTIONS), ()))] for _ in range(count)]
        severities = torch.rand(count, 2).sort(dim=1).values
        seeds = torch.randint(2**31, (count,)).tolist()
        damaged = [
            distort(images[i], kinds[i], float(severities[i, step]), seed=seeds[i])
            for step in range(2)
            for i in range(count)
        ]
        return TrainingBatch(
            images,
            scores,
            torch.stack(damaged) if damaged else images[:0],
            severities.T.flatten(),
        )


class Part(Dataset[tuple[Tensor, float]]):
    """Some images of a dataset, each prepared in the same way."""

    def __init__(self, dataset: IQADataset, indices: Sequence[int], prepare: Callable[[Tensor], Tensor]) -> None:
        self.dataset = dataset
        self.indices = list(indices)
        self.prepare = prepare

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[Tensor, float]:
        image, score = self.dataset[self.indices[index]]
        return self.prepare(image), score


class QualityData(LightningDataModule):
    """The parts of one dataset as a recipe asks for them."""

    def __init__(self, recipe: Recipe, root: Path) -> None:
        super().__init__()
        settings = recipe.data
        if settings.dataset not in DATASETS:
            raise RecipeError(f"Unknown dataset {settings.dataset!r}; known are {tuple(DATASETS)}.")
        self.settings = settings
        self.first_final_epoch = recipe.optimizer.epochs - settings.final_crop_epochs
        self.size = SizePolicy.parse(get_card(recipe.name).size)
        self.whole = DATASETS[settings.dataset](root, settings.split, partial=True)
        names = [record.image.name for record in self.whole.records]
        self.parts = split_by_name(names, settings.validation_share, settings.test_share)
        for part in ("training", "validation", "test"):
            if not getattr(self.parts, part):
                raise RecipeError(
                    f"The {part} part of {root} is empty: {len(names)} images are too few for the shares."
                )

    def train_dataloader(self) -> DataLoader[TrainingBatch]:
        """The crops of the epoch that comes next: the trainer asks for them before each."""
        settings = self.settings
        epoch = self.trainer.current_epoch if self.trainer else 0
        side = settings.crop if epoch < self.first_final_epoch else settings.final_crop
        crops: Dataset[Any] = Part(self.whole, self.parts.training, RandomCrop(settings, side))
        return DataLoader(
            crops,
            batch_size=settings.batch_size,
            shuffle=True,
            drop_last=len(self.parts.training) > settings.batch_size,
            num_workers=settings.workers,
            collate_fn=CollateWithDamage(settings.damaged_per_batch),
        )

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        return self._loader(self.parts.validation)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        return self._loader(self.parts.test)

    def _loader(self, indices: Sequence[int]) -> DataLoader[tuple[Tensor, Tensor]]:
        # Under the metric's own size policy, as a user's are scored; one at a time, since they differ in size.
        images: Dataset[Any] = Part(self.whole, indices, self.size.apply)
        return DataLoader(images, num_workers=self.settings.workers)
