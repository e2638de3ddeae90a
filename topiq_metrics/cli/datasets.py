"""``topiq datasets``: which datasets are read, and whether a copy is whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from topiq_metrics.cli.commands import Commands
from topiq_metrics.cli.console import exit_on_error, print_table, printable

if TYPE_CHECKING:
    from topiq_metrics.datasets import Finding

app = Commands(help="List the supported datasets, and check copies of them.")


@app.command("list")
def list_datasets() -> None:
    """List the supported datasets with size, scores, split, licence and source."""
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
    roots: Annotated[
        list[Path], typer.Argument(metavar="ROOT...", help="The folder of a dataset, or a folder that holds several.")
    ],
    partial: Annotated[
        bool, typer.Option("--partial", help="Accept an incomplete dataset, and say how much of it can be used.")
    ] = False,
) -> None:
    """Say which datasets a folder holds and whether each is complete or, with --partial, how much can be used.

    Exit code 0: all are complete or, with --partial, usable. 1: one is not, or there is none. 2: no such folder.
    """
    from topiq_metrics.datasets import check_folder

    bad = False
    for root in roots:
        count = 0
        with exit_on_error():
            for finding in check_folder(root):
                count += 1
                bad |= bool(finding.problem) and not (partial and finding.usable)
                typer.echo(printable(f"{finding.dataset}: {_state(finding, partial)} ({finding.folder})"))
        if not count:
            typer.echo(printable(f"{root}: no known dataset (see `topiq datasets list`)"), err=True)
            bad = True
    if bad:
        raise typer.Exit(1)


def _state(finding: Finding, partial: bool) -> str:
    if not finding.problem:
        return f"whole, {finding.records} records"
    if finding.usable and partial:
        lost = f", {finding.missing} images missing" if finding.missing else ""
        state = f"usable in part, {finding.usable} records{lost}: {finding.problem}"
    elif finding.usable:
        state = f"not whole: {finding.problem} With --partial, {finding.usable} records can be used."
    else:
        state = f"broken: {finding.problem}"
    if finding.splits:
        state += " Whole: " + ", ".join(f"{split} {size}" for split, size in finding.splits.items()) + "."
    return state
