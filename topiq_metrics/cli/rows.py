"""Rows on stdout: CSV for programs, tables for people."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from topiq_metrics.cli.console import print_table, printable

if TYPE_CHECKING:
    from topiq_metrics.scoring import ScoreRow
    from topiq_metrics.scoring.ordering import Order

_TABLE_ROWS = 1000


@contextlib.contextmanager
def printed_rows(
    metrics: Sequence[str], form: str | None = None, order: Order | None = None
) -> Iterator[Callable[[ScoreRow], None]]:
    """A function that takes a row to stdout: a table on a terminal, else a line at once.

    Args:
        metrics: in the order of their columns.
        form: ``"csv"``, ``"jsonl"`` or ``"json"``, also on a terminal; by default ``"csv"`` elsewhere.
        order: of the rows, which are printed in the end; by default that in which they come.
    """
    printing = _in_a_table(metrics) if form is None and sys.stdout.isatty() else _as_text(metrics, form or "csv")
    with printing as write, _put_in(order, write) as take:
        yield take


@contextlib.contextmanager
def _put_in(order: Order | None, write: Callable[[ScoreRow], None]) -> Iterator[Callable[[ScoreRow], None]]:
    if order is None:
        yield write
        return
    rows: list[ScoreRow] = []
    try:
        yield rows.append
    finally:
        # Also what there is of an interrupted job.
        for row in order.sorted(rows, lambda row: row.as_dict()):
            write(row)


@contextlib.contextmanager
def _in_a_table(metrics: Sequence[str]) -> Iterator[Callable[[ScoreRow], None]]:
    rows: list[ScoreRow] = []
    count = 0

    def add(row: ScoreRow) -> None:
        nonlocal count
        count += 1
        if count <= _TABLE_ROWS:
            rows.append(row)

    try:
        yield add
    finally:
        # Also what there is of an interrupted job.
        if rows:
            _print_table(rows, metrics)
        if count > len(rows):
            sys.stdout.write(f"and {count - len(rows)} more: name an output with -o to have them all\n")


@contextlib.contextmanager
def _as_text(metrics: Sequence[str], form: str) -> Iterator[Callable[[ScoreRow], None]]:
    from topiq_metrics.scoring.rows import columns
    from topiq_metrics.scoring.sinks import CSVWriter
    from topiq_metrics.scoring.sinks.formats import ROW_FORMATS

    write_any_name()
    if form == "csv":
        yield CSVWriter(sys.stdout, metrics).write
        return
    lines = ROW_FORMATS[f".{form}"]
    sys.stdout.write(lines.header(columns(metrics)).decode())
    is_first = True

    def write(row: ScoreRow) -> None:
        nonlocal is_first
        sys.stdout.write(lines.encode(row.as_dict(), first=is_first).decode())
        is_first = False

    yield write
    # A job that has failed leaves no whole array: nobody takes its rows for all.
    sys.stdout.write(lines.footer.decode())


def write_any_name() -> None:
    """Let stdout take names of files that are not valid Unicode: out they go as they came in, where it can say them."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        unicode = sys.stdout.encoding.lower().startswith("utf")
        errors = sys.getfilesystemencodeerrors() if unicode else "backslashreplace"
        sys.stdout.reconfigure(errors=errors, newline="", line_buffering=True)


def _print_table(rows: Sequence[ScoreRow], metrics: Sequence[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    table.add_column("path", overflow="fold")
    for name in metrics:
        table.add_column(name, justify="right")
    table.add_column("pixels", justify="right")
    failed = any(row.status != "ok" for row in rows)
    if failed:
        table.add_column("status")
    if any(row.note for row in rows):
        table.add_column("note", overflow="fold")
    for row in rows:
        scores = ["" if (s := row.scores[name]) is None else f"{s:.4f}" for name in metrics]
        pixels = f"{row.width}x{row.height}" if row.width else ""
        state = [Text("" if row.status == "ok" else printable(f"{row.status}: {row.error}"))] if failed else []
        state += [Text(printable(row.note))] if row.note else []
        table.add_row(Text(printable(row.path)), *scores, pixels, *state)
    print_table(table)
