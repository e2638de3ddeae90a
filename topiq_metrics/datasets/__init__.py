"""Standard datasets, read from the folder that their authors ship."""

from __future__ import annotations

from typing import Any

from topiq_metrics.datasets.afine import DiffIQA, SRIQABench
from topiq_metrics.datasets.agiqa1k import AGIQA1k
from topiq_metrics.datasets.agiqa3k import AGIQA3k
from topiq_metrics.datasets.aigciqa2023 import AIGCIQA2023
from topiq_metrics.datasets.aigiqa20k import AIGIQA20k
from topiq_metrics.datasets.ava import AVA
from topiq_metrics.datasets.bapps import BAPPS, BAPPSJND
from topiq_metrics.datasets.base import DatasetFacts, DatasetReader, IQADataset, PairDataset, PairRecord, Record
from topiq_metrics.datasets.bid import BID
from topiq_metrics.datasets.biq2021 import BIQ2021
from topiq_metrics.datasets.cgfiqa40k import CGFIQA40k
from topiq_metrics.datasets.cgiqa6k import CGIQA6k
from topiq_metrics.datasets.checking import Finding, check_folder, choose_datasets, find_datasets
from topiq_metrics.datasets.cid2013 import CID2013
from topiq_metrics.datasets.csiq import CSIQ
from topiq_metrics.datasets.files import DatasetError
from topiq_metrics.datasets.flive import FLIVE
from topiq_metrics.datasets.gfiqa20k import GFIQA20k
from topiq_metrics.datasets.kadid10k import KADID10k
from topiq_metrics.datasets.koniq10k import KonIQ10k, KonIQ10kPlusPlus
from topiq_metrics.datasets.live import LIVE, LIVEChallenge
from topiq_metrics.datasets.livemd import LIVEMD
from topiq_metrics.datasets.mdid import MDID
from topiq_metrics.datasets.metainfo import MetaInfoDataset
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
    "AIGCIQA2023",
    "AVA",
    "BAPPS",
    "BAPPSJND",
    "BID",
    "BIQ2021",
    "CID2013",
    "CSIQ",
    "DATASETS",
    "FLIVE",
    "LIVE",
    "LIVEMD",
    "MDID",
    "PAIR_DATASETS",
    "PIPAL",
    "PIQ23",
    "SPAQ",
    "TID2008",
    "TID2013",
    "UHDIQA",
    "AGIQA1k",
    "AGIQA3k",
    "AIGIQA20k",
    "CGFIQA40k",
    "CGIQA6k",
    "CSVDataset",
    "DatasetError",
    "DatasetFacts",
    "DatasetReader",
    "DiffIQA",
    "Finding",
    "GFIQA20k",
    "IQADataset",
    "KADID10k",
    "KonIQ10k",
    "KonIQ10kPlusPlus",
    "LIVEChallenge",
    "MetaInfoDataset",
    "PairDataset",
    "PairRecord",
    "PieAPP",
    "PieAPPTest",
    "Record",
    "SRIQABench",
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
    LIVEMD,
    MDID,
    PIPAL,
    PieAPPTest,
    BAPPSJND,
    KonIQ10k,
    KonIQ10kPlusPlus,
    LIVEChallenge,
    BID,
    CID2013,
    SPAQ,
    FLIVE,
    BIQ2021,
    UHDIQA,
    AVA,
    CGIQA6k,
    AGIQA1k,
    AGIQA3k,
    AIGCIQA2023,
    AIGIQA20k,
    GFIQA20k,
    CGFIQA40k,
    PIQ23,
)
_PAIRED: tuple[type[PairDataset], ...] = (PieAPP, BAPPS, SRIQABench, DiffIQA)

DATASETS: dict[str, type[IQADataset]] = {reader.facts.key: reader for reader in _SCORED}
"""Readers of datasets of images with scores, by key."""

PAIR_DATASETS: dict[str, type[PairDataset]] = {reader.facts.key: reader for reader in _PAIRED}
"""Readers of datasets of pairs with preferences, by key."""


def all_datasets() -> dict[str, type[DatasetReader[Any]]]:
    """All readers, by key."""
    return {**DATASETS, **PAIR_DATASETS}


def get_dataset(name: str) -> type[DatasetReader[Any]]:
    """The reader class of a dataset, by its key, such as ``"koniq10k"``; case is ignored.

    Raises:
        DatasetError: there is no such dataset; the message suggests similar names.
    """
    readers = all_datasets()
    key = name.lower().replace(" ", "-")
    if key not in readers:
        raise DatasetError(f"Unknown dataset {name!r}. {suggest(key, readers)}")
    return readers[key]
