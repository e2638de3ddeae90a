"""Training data: scores on one scale, crops, pairs of rising damage, and batches of them.

What is drawn at random depends on the recipe's seed, the epoch and the image alone: not on what was drawn before, nor
on how many processes share the work.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from topiq_metrics.catalog import get_card
from topiq_metrics.datasets import DATASETS, CSVDataset, DatasetError, IQADataset
from topiq_metrics.datasets.base import ALL
from topiq_metrics.images import SizePolicy
from topiq_metrics.images.files import read_size
from topiq_metrics.training.checking import check_images
from topiq_metrics.training.crops import RandomCrop, draw_seed, generator_of
from topiq_metrics.training.distortions import PLAIN, VISIBLE, distort
from topiq_metrics.training.gathering import tell
from topiq_metrics.training.order import EpochSampler, epoch_order, epoch_order_by_size
from topiq_metrics.training.recipe import CSV, DataSettings, Recipe, RecipeError
from topiq_metrics.training.splitting import PARTS, split_records
from topiq_metrics.training.unlabelled import UnlabelledImages, find_unlabelled

PAIRS = "pairs.csv"
"""The CSV file of a folder that is given as one."""


@dataclass(frozen=True)
class TrainingItem:
    """A crop, or a whole image, with its opinion score.

    Attributes:
        image: ``(3, H, W)``.
        score: on the scale of the network.
        seed: of what else is drawn for it.
        reference: the same crop of the reference, if there is one.
        shares: of the ratings 1…K, ``(K,)``, if they are known.
    """

    image: Tensor
    score: float
    seed: int
    reference: Tensor | None = None
    shares: Tensor | None = None


@dataclass
class TrainingBatch:
    """Crops or whole images of one size with their scores, and some whose order of quality is known.

    Shape:
        - ``images``: ``(N, 3, H, W)``; ``scores``: ``(N,)``.
        - ``damaged``: ``(2 K, 3, H, W)``: the first K are the first K ``images`` after some damage, the last K
          after more of it; ``severities``: ``(2 K,)``.
        - ``references``: ``(N, 3, H, W)``, or None; ``shares`` of the ratings: ``(N, R)``, or None.
        - ``unlabelled``: ``(U, 3, H, W)``, crops of images without opinion scores, or None.
    """

    images: Tensor
    scores: Tensor
    damaged: Tensor
    severities: Tensor
    references: Tensor | None = None
    shares: Tensor | None = None
    unlabelled: Tensor | None = None


@dataclass(frozen=True)
class Scale:
    """How a dataset's scores become those of the network: ``low`` is its worst or, if lower is better, its best."""

    low: float
    high: float
    lower_is_better: bool
    target: tuple[float, float] = (0.0, 1.0)

    def __call__(self, score: float) -> float:
        share = (score - self.low) / (self.high - self.low)
        start, end = self.target
        return start + (end - start) * (1 - share if self.lower_is_better else share)


class Collate:
    """Stack crops; show the first ``damaged`` of them again under some damage and under more of it.

    Beside the first ``count`` of them is one of the unlabelled images each, if there are any.
    """

    def __init__(
        self,
        damaged: int,
        unlabelled: UnlabelledImages | None = None,
        count: int = 0,
        kinds: Sequence[str] = PLAIN,
    ) -> None:
        self.damaged = damaged
        self.kinds = kinds
        self.unlabelled = unlabelled
        self.count = count

    def __call__(self, items: Sequence[TrainingItem]) -> TrainingBatch:
        images = torch.stack([item.image for item in items])
        mild: list[tuple[Tensor, float]] = []
        severe: list[tuple[Tensor, float]] = []
        for item in items[: self.damaged]:
            generator = torch.Generator().manual_seed(item.seed)
            kind = self.kinds[int(torch.randint(len(self.kinds), (), generator=generator))]
            severities = torch.rand(2, generator=generator).sort().values.tolist()
            seed = int(torch.randint(2**31, (), generator=generator))
            for step, severity in zip((mild, severe), severities, strict=True):
                step.append((distort(item.image, kind, severity, seed=seed), severity))
        damaged = mild + severe
        references = [item.reference for item in items if item.reference is not None]
        shares = [item.shares for item in items if item.shares is not None]
        return TrainingBatch(
            images,
            torch.tensor([item.score for item in items], dtype=torch.float32),
            torch.stack([image for image, _ in damaged]) if damaged else images[:0],
            torch.tensor([severity for _, severity in damaged], dtype=torch.float32),
            torch.stack(references) if references else None,
            torch.stack(shares) if shares else None,
            torch.stack([self.unlabelled.draw(item.seed) for item in items[: self.count]]) if self.unlabelled else None,
        )


@dataclass(frozen=True)
class DataSplit:
    """Some images of a dataset, each with its reference if the network needs one, and its score on the one scale."""

    dataset: IQADataset
    indices: Sequence[int]
    scale: Scale
    bins: int = 1

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, index: int) -> tuple[list[Tensor], float]:
        *images, score = self.dataset[self.indices[index]]
        return images, self.scale(score)

    def shares(self, index: int) -> Tensor | None:
        """How many people gave each rating, if that is known for the network's ratings."""
        ratings = self.dataset.records[self.indices[index]].extras.get("ratings", ())
        if self.bins == 1 or not isinstance(ratings, tuple) or len(ratings) != self.bins:
            return None
        counts = torch.tensor(ratings, dtype=torch.float32)
        return counts / counts.sum()


class TrainingCrops(Dataset[TrainingItem]):
    """The crops of one epoch."""

    def __init__(self, split: DataSplit, size: SizePolicy, crop: RandomCrop, seed: int, epoch: int) -> None:
        self.split = split
        self.size = size
        self.crop = crop
        self.seeds = (seed, epoch)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> TrainingItem:
        images, score = self.split.read(index)
        if images[0].shape != images[-1].shape:
            record = self.split.dataset.records[self.split.indices[index]]
            raise DatasetError(f"{record.image} is not of the size of its reference {record.reference}.")
        crops = self.crop([self.size.apply(image) for image in images], generator_of("crop", *self.seeds, index))
        seed = draw_seed("damage", *self.seeds, index)
        return TrainingItem(crops[0], score, seed, crops[1] if len(crops) > 1 else None, self.split.shares(index))


class WholeImages(Dataset[tuple[Any, ...]]):
    """Whole images, as ``(image, score)`` or ``(image, reference, score)``."""

    def __init__(self, split: DataSplit, size: SizePolicy) -> None:
        self.split = split
        self.size = size

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        images, score = self.split.read(index)
        return *(self.size.apply(image) for image in images), score


class QualityData(LightningDataModule):
    """The splits of one dataset as a recipe asks for them."""

    def __init__(self, recipe: Recipe, root: Path) -> None:
        super().__init__()
        self.settings = settings = recipe.data
        self.seed = recipe.seed
        self.first_final_epoch = recipe.optimizer.epochs - settings.final_crop_epochs
        card = get_card(recipe.name)
        self.size = SizePolicy.parse(card.size)
        self.crop_size = self.size if settings.size == "own" else _parse_size(settings.size)
        self.bins = card.bins
        self.whole = _open(settings, root, with_reference=card.mode == "FR", name=recipe.name)
        self.scale = _find_scale(settings, self.whole, self.bins, recipe.name)
        self.splits = split_records(self.whole, settings)
        self._check_parts(root)
        if settings.dataset == CSV:
            used = {part: [self.whole.records[i] for i in getattr(self.splits, part)] for part in PARTS}
            check_images([record for records in used.values() for record in records], used["test"], card)
        # Height and width of each training image as it is shown whole, where any epoch shows them so.
        self.sizes = self._keep_common_sizes() if 0 in settings.sides else []
        if recipe.loss.emd:
            self._check_ratings()
        self.kinds = VISIBLE if recipe.loss.damage else PLAIN
        unlabelled = recipe.unlabelled
        self.unlabelled = find_unlabelled(unlabelled.images) if unlabelled.teachers else []
        self.unlabelled_per_batch = unlabelled.images_per_batch if self.unlabelled else 0

    def train_dataloader(self) -> DataLoader[TrainingBatch]:
        """The crops of the epoch that comes next: the trainer asks for them before each."""
        settings = self.settings
        trainer = self.trainer
        epoch, rank, world = (trainer.current_epoch, trainer.global_rank, trainer.world_size) if trainer else (0, 0, 1)
        side = settings.crop if epoch < self.first_final_epoch else settings.final_crop
        split = self._split(self.splits.training)
        crop = RandomCrop(settings, side)
        crops: Dataset[Any] = TrainingCrops(split, self.crop_size, crop, self.seed, epoch)
        others = UnlabelledImages(self.unlabelled, self.crop_size, crop) if self.unlabelled else None
        order = (
            epoch_order(len(split), settings.images_per_epoch, self.seed, epoch)
            if side
            else epoch_order_by_size(self.sizes, settings.batch_size, settings.images_per_epoch, self.seed, epoch)
        )
        return DataLoader(
            crops,
            batch_size=settings.batch_size // world,
            sampler=EpochSampler(order, settings.batch_size, rank, world),
            num_workers=settings.workers,
            collate_fn=Collate(
                settings.damaged_per_batch // world, others, self.unlabelled_per_batch // world, self.kinds
            ),
            generator=torch.Generator(),
        )

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The validation images of this process."""
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return self._loader(self.splits.validation[rank::world])

    def whole_validation(self) -> DataLoader[tuple[Tensor, ...]]:
        """The validation images of all processes."""
        return self._loader(self.splits.validation)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return self._loader(self.splits.test)

    def _loader(self, indices: Sequence[int]) -> DataLoader[tuple[Tensor, ...]]:
        # Under the metric's own size policy, as a user's are scored; one at a time, since they differ in size.
        images: Dataset[Any] = WholeImages(self._split(indices), self.size)
        return DataLoader(images, num_workers=self.settings.workers, generator=torch.Generator())

    def _split(self, indices: Sequence[int]) -> DataSplit:
        return DataSplit(self.whole, indices, self.scale, self.bins)

    def _check_parts(self, root: Path) -> None:
        for part in PARTS:
            if getattr(self.splits, part):
                continue
            count = len(self.whole)
            if getattr(self.settings, f"{part}_share", None) == 0:
                reason = f"set '{part}_share' in data, or say which images are its own"
            elif part == "training" and any(record.split != ALL for record in self.whole.records):
                reason = "no image is said to be of it"
            else:
                reason = f"{count} {'image is' if count == 1 else 'images are'} too few for the shares"
            raise RecipeError(f"The {part} part of {root} is empty: {reason}.")

    def _keep_common_sizes(self) -> list[tuple[int, int]]:
        """Leave out the training images of sizes that fewer than a batch have; the sizes of the others."""
        records, batch_size = self.whole.records, self.settings.batch_size
        sizes = {i: self.crop_size.output_size(*read_size(records[i].image)) for i in self.splits.training}
        counts = Counter(sizes.values())
        kept = [index for index, size in sizes.items() if counts[size] >= batch_size]
        if not kept:
            raise RecipeError(
                f"A 'crop' or 'final_crop' of 0 in data needs batches of one size, but no {batch_size} training "
                "images, a batch, are of the same one."
            )
        if alone := len(sizes) - len(kept):
            are = "image is" if alone == 1 else "images are"
            tell(f"{alone} training {are} left out: too few are of the same size to fill a batch")
        self.splits = replace(self.splits, training=kept)
        return [sizes[index] for index in kept]

    def _check_ratings(self) -> None:
        split = self._split(self.splits.training)
        lacking = next((i for i in range(len(split)) if split.shares(i) is None), None)
        if lacking is not None:
            raise RecipeError(
                f"'emd' in loss needs the counts of {self.bins} ratings of each image, which "
                f"{self.whole.facts.name} does not have for {self.whole.records[split.indices[lacking]].image.name}."
            )


def _open(settings: DataSettings, root: Path, *, with_reference: bool, name: str) -> IQADataset:
    if settings.dataset != CSV and settings.dataset not in DATASETS:
        raise RecipeError(f"Unknown dataset {settings.dataset!r}; known are {(*DATASETS, CSV)}.")
    if settings.lower_is_better and settings.dataset != CSV:
        raise RecipeError("'lower_is_better' in data is for a CSV file; a dataset knows the direction of its scores.")
    if settings.about and settings.dataset != CSV:
        raise RecipeError("'about' in data is for a CSV file; a dataset has its own citation.")
    columns = {name: getattr(settings, name) for name in ("image_column", "score_column", "reference_column")}
    if settings.dataset != CSV and (named := next((name for name, column in columns.items() if column), None)):
        raise RecipeError(f"{named!r} in data is for a CSV file.")
    if with_reference and settings.dataset in DATASETS and not DATASETS[settings.dataset].facts.references:
        raise RecipeError(f"{name} compares with references, and {DATASETS[settings.dataset].facts.name} has none.")
    dataset: IQADataset
    if settings.dataset == CSV:
        dataset = _open_table(root / PAIRS if root.is_dir() else root, settings, columns)
    else:
        dataset = DATASETS[settings.dataset](root, settings.subset or None, partial=settings.partial)
    if with_reference:
        lacking = next((record for record in dataset.records if record.reference is None), None)
        if lacking is not None:
            raise RecipeError(f"{name} compares with references, and {lacking.image.name} in {root} has none.")
        dataset.with_reference = True
    return dataset


def _open_table(path: Path, settings: DataSettings, columns: dict[str, str]) -> CSVDataset:
    """A table without the rows whose images are not there, which are told of."""
    named: dict[str, Any] = {name: column or None for name, column in columns.items()}
    higher_is_better = not settings.lower_is_better
    table = CSVDataset(path, settings.subset or None, higher_is_better=higher_is_better, partial=True, **named)
    if table.missing:
        count = len(table.missing)
        are = "image is" if count == 1 else "images are"
        tell(f"{path}: {count} {are} not there and left out; the first is on {table.missing[0]}")
    return table


def _parse_size(size: str) -> SizePolicy:
    try:
        return SizePolicy.parse(size)
    except ValueError as error:
        raise RecipeError(f"'size' in data must be 'own' or a size rule. {error}") from error


def _find_scale(settings: DataSettings, dataset: IQADataset, bins: int, name: str) -> Scale:
    facts = dataset.facts
    low, high = settings.score_range or facts.score_range
    # Of a table, they are the lowest and the highest score that is in it.
    if settings.dataset == CSV and not low <= facts.score_range[0] <= facts.score_range[1] <= high:
        raise RecipeError(
            f"'score_range' in data is from {low:g} to {high:g}, but the scores of {facts.name} are from "
            f"{facts.score_range[0]:g} to {facts.score_range[1]:g}."
        )
    lower_is_better = not facts.higher_is_better
    if bins == 1:
        if not (low < high and math.isfinite(high - low)):
            raise RecipeError(
                f"The scores of {facts.name} are from {low:g} to {high:g}: set 'score_range' in data, the scores that "
                "become 0 and 1."
            )
        return Scale(low, high, lower_is_better)
    if settings.score_range:
        return Scale(low, high, lower_is_better, (1.0, float(bins)))
    # The network's ratings are the dataset's.
    if lower_is_better or low < 1 or high > bins:
        raise RecipeError(
            f"{name} predicts ratings from 1 to {bins}, higher better, but the scores of {facts.name} are from {low:g} "
            f"to {high:g}: set 'score_range' in data, the scores that become 1 and {bins}."
        )
    return Scale(1.0, float(bins), lower_is_better=False, target=(1.0, float(bins)))
