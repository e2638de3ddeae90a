"""The commands, put together."""

from __future__ import annotations

import typer

from topiq_metrics._version import __version__
from topiq_metrics.cli import (
    catalog,
    compare,
    conventions,
    datasets,
    explain,
    export,
    leaderboard,
    score,
    select,
    serve,
    train,
    weights,
)
from topiq_metrics.cli.commands import Commands

app = Commands(name="topiq", help="Image quality assessment with the TOPIQ family.")
app.command("score")(score.score)
app.command("select")(select.select)
app.command("explain")(explain.explain)
app.command("compare")(compare.compare)
app.command("serve")(serve.serve)
app.command("list")(catalog.list_models)
app.command("train")(train.train)
app.command("export")(export.export)
app.add_typer(weights.app, name="weights")
app.add_typer(datasets.app, name="datasets")
leaderboard.app.command("conventions")(conventions.conventions)
app.add_typer(leaderboard.app, name="leaderboard")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"topiq-metrics {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass
