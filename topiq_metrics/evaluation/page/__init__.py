"""A leaderboard as one HTML page that needs nothing beside it."""

from __future__ import annotations

from topiq_metrics.evaluation.page.page import leaderboard_page

__all__ = ["leaderboard_page"]
