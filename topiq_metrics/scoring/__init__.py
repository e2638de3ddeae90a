"""Scores for many images, one row each.

Loaded lazily: the processes that decode need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from topiq_metrics._lazy import lazy_names

if TYPE_CHECKING:
    from topiq_metrics.scoring.engine import score_items
    from topiq_metrics.scoring.items import Item
    from topiq_metrics.scoring.job import ScoreJob, score_images
    from topiq_metrics.scoring.rows import ScoreRow
    from topiq_metrics.scoring.sinks import OutputError
    from topiq_metrics.scoring.sources import SourceError, open_source

_HOMES = {
    "Item": "items",
    "OutputError": "sinks",
    "ScoreJob": "job",
    "ScoreRow": "rows",
    "SourceError": "sources",
    "open_source": "sources",
    "score_images": "job",
    "score_items": "engine",
}

__all__ = [
    "Item",
    "OutputError",
    "ScoreJob",
    "ScoreRow",
    "SourceError",
    "open_source",
    "score_images",
    "score_items",
]

__getattr__ = lazy_names(__name__, _HOMES)
