"""Which images train, which stop the training, and which test the result."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from topiq_metrics.datasets import IQADataset, Record, random_split
from topiq_metrics.datasets.base import ALL
from topiq_metrics.training.recipe import CSV, DataSettings, RecipeError

PARTS = ("training", "validation", "test")

_SPLIT_OF = {
    "train": "training",
    "training": "training",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class SplitIndices:
    """Indices into a dataset; no two parts that are dealt here share a group of images."""

    training: list[int]
    validation: list[int]
    test: list[int]


def split_by_name(names: Sequence[str], validation_share: float, test_share: float) -> SplitIndices:
    """Deal names to three splits by their SHA-256, so that a split never changes with the rest of the folder."""
    splits = SplitIndices([], [], [])
    for index, name in enumerate(names):
        position = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32
        if position < validation_share:
            splits.validation.append(index)
        elif position < validation_share + test_share:
            splits.test.append(index)
        else:
            splits.training.append(index)
    return splits


def split_records(dataset: IQADataset, settings: DataSettings) -> SplitIndices:
    """Deal the records of a dataset as the settings say; images of one reference stay together.

    Raises:
        RecipeError: the dataset has no such split.
        DatasetError: it is not known which image is in which split.
    """
    records, facts = dataset.records, dataset.facts
    splits = SplitIndices([], [], [])
    if settings.split == "random":
        if facts.split.kind == "official":
            raise RecipeError(f'{facts.name} has official splits: set split = "official" in data.')
        try:
            found = random_split(records, facts.split, settings.split_seed).parts
        except ValueError as error:
            raise RecipeError(f"{facts.name}: {error}") from error
        for name, indices in found.items():
            getattr(splits, _split_of(name, facts.name)).extend(indices)
    elif settings.split == "official":
        for index, record in enumerate(records):
            if record.split == ALL and settings.dataset != CSV:
                raise RecipeError(
                    f"{dataset.root}: it is not known which images of {facts.name} are in which official part: "
                    'add the file that says so, or set split = "random" or "hash" in data.'
                )
            getattr(splits, "training" if record.split == ALL else _split_of(record.split, facts.name)).append(index)
    else:
        splits.training.extend(range(len(records)))
    # What the split lacks is taken from its training split.
    shares = [
        0.0 if there else share
        for there, share in ((splits.validation, settings.validation_share), (splits.test, settings.test_share))
    ]
    if sum(shares) >= 1:
        raise RecipeError("'validation_share' and 'test_share' in data must leave something to train on.")
    training = list(splits.training)
    # In a table of one's own, files of one name in several folders are not related.
    by_path = settings.dataset == CSV and len({record.image.parent for record in records}) > 1
    dealt = split_by_name([_name(records[i], settings.split_seed, by_path) for i in training], *shares)
    return SplitIndices(
        [training[i] for i in dealt.training],
        splits.validation or [training[i] for i in dealt.validation],
        splits.test or [training[i] for i in dealt.test],
    )


def _split_of(name: str, dataset: str) -> str:
    if name.lower() not in _SPLIT_OF:
        raise RecipeError(f"{dataset} has a part {name!r}, but training knows {tuple(_SPLIT_OF)}.")
    return _SPLIT_OF[name.lower()]


def _name(record: Record, seed: int, by_path: bool) -> str:
    """What decides the split: the file's name or path, or that of its group, which is never torn apart."""
    name = record.image.name if record.group == record.id and not by_path else record.group
    return f"{seed}/{name}" if seed else name
