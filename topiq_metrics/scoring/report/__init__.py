"""A job's outcome as one HTML page that needs nothing beside it."""

from __future__ import annotations

from topiq_metrics.scoring.report.report import Report, check_report
from topiq_metrics.scoring.report.summaries import MAX_TABLE_ROWS

__all__ = ["MAX_TABLE_ROWS", "Report", "check_report"]
