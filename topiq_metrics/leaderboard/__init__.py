"""Comparison of metrics of several toolboxes by their agreement with human scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topiq_metrics._lazy import lazy_names

if TYPE_CHECKING:
    from topiq_metrics.leaderboard.board import (
        Board,
        BoardError,
        Cost,
        Entry,
        TestSet,
        load_board,
        merge_boards,
        save_board,
    )
    from topiq_metrics.leaderboard.page import leaderboard_page
    from topiq_metrics.leaderboard.papers import Citation
    from topiq_metrics.leaderboard.progress import BoardProgress
    from topiq_metrics.leaderboard.ranking import MetricResult, PreferenceResult, Ranking, Rules, judge
    from topiq_metrics.leaderboard.run import run_leaderboard
    from topiq_metrics.leaderboard.tables import as_csv, as_markdown
    from topiq_metrics.leaderboard.trained_on import TrainedOn

__all__ = [
    "Board",
    "BoardError",
    "BoardProgress",
    "Citation",
    "Cost",
    "Entry",
    "MetricResult",
    "PreferenceResult",
    "Ranking",
    "Rules",
    "TestSet",
    "TrainedOn",
    "as_csv",
    "as_markdown",
    "judge",
    "leaderboard_page",
    "load_board",
    "merge_boards",
    "run_leaderboard",
    "save_board",
]

_HOMES = {
    "board": ("Board", "BoardError", "Cost", "Entry", "TestSet", "load_board", "merge_boards", "save_board"),
    "page": ("leaderboard_page",),
    "papers": ("Citation",),
    "progress": ("BoardProgress",),
    "ranking": ("MetricResult", "PreferenceResult", "Ranking", "Rules", "judge"),
    "run": ("run_leaderboard",),
    "tables": ("as_csv", "as_markdown"),
    "trained_on": ("TrainedOn",),
}

# Reading boards and merging them needs no network.
__getattr__ = lazy_names(__name__, {name: home for home, names in _HOMES.items() for name in names})
