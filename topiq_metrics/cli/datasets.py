"""``topiq datasets``: which datasets are read, and whether a copy is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from topiq_metrics.cli.commands import Commands
from topiq_metrics.cli.console import exit_on_error, print_table, printable

app = Commands(help="List the datasets that are read, and check copies of them.")


@app.command("list")
def list_datasets() -> None:
    """Show for every dataset its size, scores, split, licence and source."""
    from rich.table import Table

    from topiq_metrics.datasets.facts import COLUMNS, rows

    # The docs have the longer texts.
    shown = [column for column in COLUMNS if column not in {"citation", "note"}]
    table = Table(*shown)
    for row in rows():
        table.add_row(*(row[column] for column in shown))
    print_table(table, width=320)


@app.command()
def check(
    roots: Annotated[list[Path], typer.Argument(metavar="ROOT...", help="A dataset's folder, or one that holds some.")],
) -> None:
    """Say which datasets a folder is or holds, and whether they are whole.

    Exit code 0: all are whole. 1: one is broken, or there is none. 2: there is no such folder.
    """
    from topiq_metrics.datasets import check_folder

    bad = False
    for root in roots:
        count = 0
        with exit_on_error():
            for finding in check_folder(root):
                count += 1
                bad |= bool(finding.problem)
                state = f"broken: {finding.problem}" if finding.problem else f"whole, {finding.records} records"
                if finding.splits:
                    state += " Whole: " + ", ".join(f"{split} {size}" for split, size in finding.splits.items()) + "."
                typer.echo(printable(f"{finding.dataset}: {state} ({finding.folder})"))
        if not count:
            typer.echo(printable(f"{root}: no dataset that is known here (see `topiq datasets list`)"), err=True)
            bad = True
    if bad:
        raise typer.Exit(1)
