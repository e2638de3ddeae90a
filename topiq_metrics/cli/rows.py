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


_TABLE_ROWS = 1000


@contextlib.contextmanager
def printed_rows(metrics: Sequence[str]) -> Iterator[Callable[[ScoreRow], None]]:
    """A function that takes a row to stdout: a table on a terminal, else a line at once."""
    if sys.stdout.isatty():
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
    else:
        from topiq_metrics.scoring.sinks import CSVWriter

        if isinstance(sys.stdout, io.TextIOWrapper):
            # A file name need not be valid Unicode; it goes out as it came in, where the encoding can say it.
            unicode = sys.stdout.encoding.lower().startswith("utf")
            errors = sys.getfilesystemencodeerrors() if unicode else "backslashreplace"
            sys.stdout.reconfigure(errors=errors, newline="", line_buffering=True)
        yield CSVWriter(sys.stdout, metrics).write


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
