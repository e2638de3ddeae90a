"""Standard datasets, read from the folder that their authors ship."""

from __future__ import annotations

from typing import Any

from topiq_metrics.datasets.agiqa3k import AGIQA3k
from topiq_metrics.datasets.ava import AVA
from topiq_metrics.datasets.bapps import BAPPS, BAPPSJND
from topiq_metrics.datasets.base import DatasetFacts, DatasetReader, IQADataset, PairDataset, PairRecord, Record
from topiq_metrics.datasets.biq2021 import BIQ2021
from topiq_metrics.datasets.cgfiqa40k import CGFIQA40k
from topiq_metrics.datasets.checking import Finding, check_folder, choose_datasets, find_datasets
from topiq_metrics.datasets.csiq import CSIQ
from topiq_metrics.datasets.files import DatasetError
from topiq_metrics.datasets.flive import FLIVE
from topiq_metrics.datasets.gfiqa20k import GFIQA20k
from topiq_metrics.datasets.kadid10k import KADID10k
from topiq_metrics.datasets.koniq10k import KonIQ10k
from topiq_metrics.datasets.live import LIVE, LIVEChallenge
from topiq_metrics.datasets.pieapp import PieAPP, PieAPPTest
from topiq_metrics.datasets.pipal import PIPAL
from topiq_metrics.datasets.piq23 import PIQ23
from topiq_metrics.datasets.plain import CSVDataset
from topiq_metrics.datasets.spaq import SPAQ
from topiq_metrics.datasets.splits import (
    Split,
    SplitRule,
    canonical_split,
    find_split,
    random_split,
    random_splits,
    split_hash,
)
from topiq_metrics.datasets.tid import TID2008, TID2013
from topiq_metrics.datasets.uhdiqa import UHDIQA
from topiq_metrics.errors import suggest

__all__ = [
    "AVA",
    "BAPPS",
    "BAPPSJND",
    "BIQ2021",
    "CSIQ",
    "DATASETS",
    "FLIVE",
    "LIVE",
    "PAIR_DATASETS",
    "PIPAL",
    "PIQ23",
    "SPAQ",
    "TID2008",
    "TID2013",
    "UHDIQA",
    "AGIQA3k",
    "CGFIQA40k",
    "CSVDataset",
    "DatasetError",
    "DatasetFacts",
    "DatasetReader",
    "Finding",
    "GFIQA20k",
    "IQADataset",
    "KADID10k",
    "KonIQ10k",
    "LIVEChallenge",
    "PairDataset",
    "PairRecord",
    "PieAPP",
    "PieAPPTest",
    "Record",
    "Split",
    "SplitRule",
    "all_datasets",
    "canonical_split",
    "check_folder",
    "choose_datasets",
    "find_datasets",
    "find_split",
    "get_dataset",
    "random_split",
    "random_splits",
    "split_hash",
]

_SCORED: tuple[type[IQADataset], ...] = (
    LIVE,
    CSIQ,
    TID2008,
    TID2013,
    KADID10k,
    PIPAL,
    PieAPPTest,
    BAPPSJND,
    KonIQ10k,
    LIVEChallenge,
    SPAQ,
    FLIVE,
    BIQ2021,
    UHDIQA,
    AVA,
    AGIQA3k,
    GFIQA20k,
    CGFIQA40k,
    PIQ23,
)
_PAIRED: tuple[type[PairDataset], ...] = (PieAPP, BAPPS)

DATASETS: dict[str, type[IQADataset]] = {reader.facts.key: reader for reader in _SCORED}
"""Readers of images with scores, by the key of their facts."""

PAIR_DATASETS: dict[str, type[PairDataset]] = {reader.facts.key: reader for reader in _PAIRED}
"""Readers of pairs with preferences."""


def all_datasets() -> dict[str, type[DatasetReader[Any]]]:
    """Every reader, by the key of its facts."""
    return {**DATASETS, **PAIR_DATASETS}


def get_dataset(name: str) -> type[DatasetReader[Any]]:
    """The reader of a dataset, whatever the case of its name.

    Raises:
        DatasetError: there is none; the message has near names.
    """
    readers = all_datasets()
    key = name.lower().replace(" ", "-")
    if key not in readers:
        raise DatasetError(f"Unknown dataset {name!r}. {suggest(key, readers)}")
    return readers[key]
