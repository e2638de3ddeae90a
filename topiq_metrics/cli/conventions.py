"""``topiq leaderboard conventions``: what each metric of a board makes of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from topiq_metrics.cli.console import exit_on_error, fail, print_table, printable
from topiq_metrics.cli.options import ForceOption, split_names

if TYPE_CHECKING:
    from topiq_metrics.contenders.conventions import Convention


def conventions(
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "-m",
            "--metric",
            "--metrics",
            metavar="NAME",
            help="A metric as on a board, or several separated by commas; may be repeated: piq:ssim,'*psnr*' … "
            "Default: all.",
        ),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "-o",
            "--output",
            help="Write the table to this .md, .csv or .json file; may be repeated. Default: print it.",
        ),
    ] = None,
    force: ForceOption = False,
    check: Annotated[
        bool, typer.Option("--check", help="Measure the conventions of the installed toolboxes, and say what differs.")
    ] = False,
) -> None:
    """Show why metrics of the same name differ: range, luma or RGB, downsampling, border, batches, equal images.

    Exit code 1: with --check, a toolbox behaves differently from this table.
    """
    from topiq_metrics.contenders.conventions import TESTED, find_conventions, other_releases

    outputs = output or []
    if force and not outputs:
        fail("--force requires -o.")
    names = None if metrics is None else split_names(metrics)
    if names == []:
        fail("Name a metric with -m.")
    with exit_on_error():
        found = find_conventions(names)
        _write(found, outputs, overwrite=force)
    for toolbox, version in other_releases(found).items():
        note = f"{toolbox} {version} is installed, and what is said here is of {TESTED[toolbox]}"
        typer.echo(note + (": --check measures it." if not check else "."), err=True)
    if check:
        _check(found)
    elif outputs:
        typer.echo("\n".join(map(str, outputs)))
    else:
        _print(found)


def _write(found: list[Convention], outputs: list[Path], *, overwrite: bool) -> None:
    from topiq_metrics._files import write_whole
    from topiq_metrics._outputs import check_new, check_place_of_file, check_suffix
    from topiq_metrics.contenders.conventions_text import WRITERS

    for path in outputs:
        check_suffix(path, tuple(WRITERS))
        check_place_of_file(path)
        if not overwrite:
            check_new(path)
    for path in outputs:
        write_whole(path, WRITERS[path.suffix.lower()](found).encode())


def _print(found: list[Convention]) -> None:
    from rich.table import Table

    from topiq_metrics.contenders.conventions_text import FACTS, head_of, in_words

    table = Table("name", "metric", *map(head_of, FACTS), "note")
    for each in found:
        table.add_row(each.measure, each.metric, *(in_words(fact, getattr(each, fact)) for fact in FACTS), each.note)
    print_table(table, width=360)


def _check(found: list[Convention]) -> None:
    from topiq_metrics.contenders import MetricUnavailableError
    from topiq_metrics.contenders.probes import differences

    differs = False
    for each in found:
        try:
            lines = differences(each)
        except (MetricUnavailableError, ModuleNotFoundError, ValueError) as error:
            reason = error.reason if isinstance(error, MetricUnavailableError) else str(error)
            typer.echo(printable(f"{each.metric}: not checked: {reason}"))
            continue
        differs |= bool(lines)
        typer.echo(printable(f"{each.metric}: {'; '.join(lines) if lines else 'as said'}"))
    if differs:
        raise typer.Exit(1)
