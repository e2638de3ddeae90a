"""The boards of the documentation: of this schema, without pictures, each metric there or with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from topiq_metrics.leaderboard.board import load_board

pytestmark = pytest.mark.quick

BOARDS = Path(__file__).parents[2] / "docs" / "boards"


@pytest.mark.parametrize(("name", "mode", "least"), [("no-reference", "NR", 6), ("full-reference", "FR", 20)])
def test_boards_of_the_documentation(name: str, mode: str, least: int) -> None:
    board = load_board(BOARDS / f"{name}.json")
    assert {entry.mode for entry in board.entries} == {mode}
    assert sum(entry.status in ("scored", "partial") for entry in board.entries) >= least
    assert {entry.toolbox for entry in board.entries} >= {"topiq-metrics", "pyiqa", "piq", "torchmetrics"}
    for entry in board.entries:
        assert entry.status == "scored" or entry.reason
        assert not entry.scores or entry.provenance["versions"]
    page = (BOARDS / f"{name}.html").read_text(encoding="utf-8")
    assert "data:image/jpeg" not in page
    assert ("topiq_nr-lite, in first place, learned from its other part" in page) == (name == "no-reference")
    assert all(entry.metric in page.replace("<wbr>", "") for entry in board.entries)
