"""What to score: files, folders, lists, tables, shards, datasets and URLs, and the reference of each image."""

from __future__ import annotations

from topiq_metrics.scoring.sources.base import Fragment, Source
from topiq_metrics.scoring.sources.errors import SourceError
from topiq_metrics.scoring.sources.files import IMAGE_SUFFIXES
from topiq_metrics.scoring.sources.opening import open_source

__all__ = ["IMAGE_SUFFIXES", "Fragment", "Source", "SourceError", "open_source"]
