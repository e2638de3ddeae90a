"""``topiq weights``: where the weights are, get them, check them."""

from __future__ import annotations

from typing import Annotated

import typer

from topiq_metrics.catalog import get_card
from topiq_metrics.cli.catalog import known_cards
from topiq_metrics.cli.commands import Commands
from topiq_metrics.cli.console import exit_on_error, fail, print_table

app = Commands(help="List, fetch, verify and locate weights files.")

_Names = Annotated[list[str] | None, typer.Argument(help="Metrics. Default: all whose weights are on this machine.")]


@app.command("list")
def list_weights() -> None:
    """List for every metric the weights file, its licence and where this machine has it."""
    from rich.table import Table

    from topiq_metrics.weights import find

    table = Table("name", "file", "license", "on this machine")
    for card in known_cards().values():
        for file in card.files:
            place = find(file)
            table.add_row(card.name, file.filename, file.license, place.name if place else "no")
    print_table(table)


@app.command()
def fetch(names: Annotated[list[str], typer.Argument(help="Metrics whose weights to download.")]) -> None:
    """Download weights into the cache; their licence is shown first."""
    from topiq_metrics.errors import WeightsError
    from topiq_metrics.weights import fetch as fetch_weights

    for name in _known(names):
        with exit_on_error(refused=(), failed=(WeightsError,)):
            typer.echo(fetch_weights(name, notify=lambda message: typer.echo(message, err=True)))


@app.command()
def verify(names: _Names = None) -> None:
    """Check the SHA-256 of weights on this machine; exit code 1 if one is wrong or missing."""
    from topiq_metrics.errors import WeightsError
    from topiq_metrics.weights import find
    from topiq_metrics.weights import verify as verify_weights

    bad = False
    chosen = _known(names) if names else list(known_cards())
    files = [(name, file) for name in chosen for file in get_card(name).files_to_verify if names or find(file)]
    if not files:
        typer.echo("There are no weights on this machine: get some with `topiq weights fetch NAME`.", err=True)
    for name, file in files:
        try:
            (report,) = verify_weights(file)
        except WeightsError as error:
            typer.echo(f"{name}: {error}", err=True)
            bad = True
        else:
            typer.echo(f"{name}: {report.status}, sha256 {report.sha256}, {report.path}")
    if bad:
        raise typer.Exit(1)


@app.command()
def path(name: Annotated[str, typer.Argument(help="A metric.")]) -> None:
    """Print the path of a metric's weights file; nothing is downloaded."""
    from topiq_metrics.errors import WeightsError
    from topiq_metrics.weights import resolve

    _known([name])
    with exit_on_error(refused=(), failed=(WeightsError,)):
        typer.echo(resolve(name, download=False))


def _known(names: list[str]) -> list[str]:
    for name in names:
        with exit_on_error():
            card = get_card(name)
        if card.weights is None:
            fail(f"{name} needs no weights.")
    return names
