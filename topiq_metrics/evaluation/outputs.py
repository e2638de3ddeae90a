"""A board as files: what its ending says it is to be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from topiq_metrics._files import write_whole
from topiq_metrics.evaluation.board import Board, save_board
from topiq_metrics.evaluation.judging import Protocol, Standing, as_records, judge
from topiq_metrics.evaluation.page.page import TITLE, Thumbnails, leaderboard_page
from topiq_metrics.evaluation.tables import as_csv, as_markdown

SUFFIXES = (".json", ".csv", ".md", ".html")


def check_output(path: Path, *, overwrite: bool = True) -> None:
    """Raise what would otherwise be raised when all is scored.

    Raises:
        ValueError: the path has none of `SUFFIXES`.
        OSError: there is no folder to write to, or the path is one; or without ``overwrite``, that of a file.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"An output must end in one of {SUFFIXES}, but got {path.name!r}.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent}: make it first.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a file.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} is there already: name another file, or overwrite it (--force).")


def write_outputs(
    board: Board,
    paths: Sequence[Path],
    protocol: Protocol = Protocol(),  # noqa: B008 - frozen
    *,
    thumbnails: Thumbnails | None = None,
    title: str = TITLE,
) -> list[Standing]:
    """Judge a board, and write it as JSON, CSV, Markdown or HTML, each file all at once.

    Args:
        board: what was scored.
        paths: of the files; see `SUFFIXES`.
        protocol: how it is judged.
        thumbnails: of a page's outliers; see `leaderboard_page`.
        title: of a page.

    Returns:
        What the board says.
    """
    standings = judge(board, protocol)
    for path in paths:
        check_output(path)
        suffix = path.suffix.lower()
        if suffix == ".json":
            save_board(board, path, {"figures": as_records(standings)})
            continue
        if suffix == ".html":
            text = leaderboard_page(board, standings, thumbnails=thumbnails, title=title)
        else:
            text = as_csv(standings) if suffix == ".csv" else as_markdown(standings)
        write_whole(path, text.encode())
    return standings
