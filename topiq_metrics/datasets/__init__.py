"""Standard datasets, read from the folder that their authors ship."""

from __future__ import annotations

from topiq_metrics.datasets.base import DatasetError, DatasetFacts, IQADataset, Record
from topiq_metrics.datasets.biq2021 import BIQ2021

__all__ = ["BIQ2021", "DATASETS", "DatasetError", "DatasetFacts", "IQADataset", "Record"]

DATASETS: dict[str, type[IQADataset]] = {"biq2021": BIQ2021}
