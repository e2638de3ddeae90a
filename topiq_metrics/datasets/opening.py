"""The datasets that a path stands for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from topiq_metrics._tables import TABLE_SUFFIXES
from topiq_metrics.datasets.base import IQADataset, PairDataset
from topiq_metrics.datasets.checking import choose_datasets
from topiq_metrics.datasets.files import DatasetError
from topiq_metrics.datasets.metainfo import MetaInfoDataset, is_meta_info
from topiq_metrics.datasets.plain import CSVDataset


def is_table(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name says that it is a table of images and scores."""
    return Path(path).suffix.lower() in TABLE_SUFFIXES


def open_datasets(
    path: str | os.PathLike[str],
    split: str | None = None,
    seed: int | None = None,
    *,
    partial: bool = False,
    **table: Any,
) -> list[IQADataset | PairDataset]:
    """Open the datasets that a folder is, or holds, with options after a colon; or a table.

    Args:
        path: a folder as `choose_datasets` takes it, a table as `CSVDataset` does, or a label file of pyiqa's; see
            `MetaInfoDataset`.
        split: of every dataset; None for all.
        seed: of the random split, of the sets that have no official one.
        partial: accept a part of a set.
        table: what else a table's reader takes.

    Raises:
        DatasetError: there is none, or one of them is not as it should be.
    """
    from topiq_metrics.datasets import DATASETS, PAIR_DATASETS

    if is_meta_info(path):
        return [MetaInfoDataset(path, split, partial=partial, seed=seed)]
    if is_table(path):
        return [CSVDataset(path, split, partial=partial, seed=seed, **table)]
    found = choose_datasets(os.fspath(path))
    if not found:
        raise DatasetError(f"{path} holds no dataset that is known here (see `topiq datasets list`).")
    datasets: list[IQADataset | PairDataset] = []
    for key, folder, options in found:
        if key in DATASETS:
            # A seed is for those that have no official split.
            own = None if DATASETS[key].facts.split.kind == "official" else seed
            datasets.append(DATASETS[key](folder, split, partial=partial, seed=own, **options))
        else:
            datasets.append(PAIR_DATASETS[key](folder, split, partial=partial, **options))
    return datasets
