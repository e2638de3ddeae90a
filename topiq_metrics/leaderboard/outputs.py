"""A board as files: what its ending says it is to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from topiq_metrics._files import write_whole
from topiq_metrics._outputs import check_new, check_place_of_file, check_suffix
from topiq_metrics.leaderboard.board import Board, save_board
from topiq_metrics.leaderboard.latex import as_latex
from topiq_metrics.leaderboard.page import TITLE, leaderboard_page
from topiq_metrics.leaderboard.plots import Thumbnails
from topiq_metrics.leaderboard.ranking import Ranking, Rules, as_records, judge
from topiq_metrics.leaderboard.tables import as_csv, as_markdown, summary_as_csv

SUFFIXES = (".json", ".csv", ".summary.csv", ".md", ".tex", ".html")
"""What a name ends in; of two that fit, the longer one counts."""


def check_output(path: Path, *, overwrite: bool = True) -> None:
    """Raise what would otherwise be raised when all is scored.

    Raises:
        ValueError: the path has none of `SUFFIXES`.
        OSError: there is no folder to write to, or the path is one; or without ``overwrite``, that of a file.
    """
    check_suffix(path, SUFFIXES)
    check_place_of_file(path)
    if not overwrite:
        check_new(path)


def write_outputs(
    board: Board,
    paths: Sequence[Path],
    rules: Rules = Rules(),  # noqa: B008 - frozen
    *,
    thumbnails: Thumbnails | None = None,
    title: str = TITLE,
) -> list[Ranking]:
    """Judge a board, and write it as JSON, CSV, Markdown, LaTeX or HTML, each file all at once.

    Args:
        board: what was scored.
        paths: of the files; see `SUFFIXES`.
        rules: how it is judged.
        thumbnails: of a page's outliers; see `leaderboard_page`.
        title: of a page.

    Returns:
        What the board says.
    """
    rankings = judge(board, rules)
    for path in paths:
        check_output(path)
        suffix = max((each for each in SUFFIXES if path.name.lower().endswith(each)), key=len)
        if suffix == ".json":
            save_board(board, path, {"figures": as_records(rankings)})
            continue
        if suffix == ".html":
            text = leaderboard_page(board, rankings, thumbnails=thumbnails, title=title)
        else:
            text = _TEXTS[suffix](rankings)
        write_whole(path, text.encode())
    return rankings


_TEXTS: dict[str, Callable[[Sequence[Ranking]], str]] = {
    ".csv": as_csv,
    ".summary.csv": summary_as_csv,
    ".md": as_markdown,
    ".tex": as_latex,
}
