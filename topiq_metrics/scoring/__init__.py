"""Scores for many images, one row each."""

from __future__ import annotations

from topiq_metrics.scoring.engine import ScoreRow, score_items
from topiq_metrics.scoring.sinks import CSVWriter, FileSink, JSONLinesWriter, check_output
from topiq_metrics.scoring.sources import IMAGE_SUFFIXES, Item, SourceError, find_images

__all__ = [
    "IMAGE_SUFFIXES",
    "CSVWriter",
    "FileSink",
    "Item",
    "JSONLinesWriter",
    "ScoreRow",
    "SourceError",
    "check_output",
    "find_images",
    "score_items",
]
