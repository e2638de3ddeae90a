"""``topiq list``: the catalogue as a table."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from rich.table import Table

from topiq_metrics.catalog import ModelCard, all_cards
from topiq_metrics.cli.console import exit_on_error, print_table


def list_models(
    mode: Annotated[
        Literal["NR", "FR"] | None,
        typer.Option(case_sensitive=False, help="Only no-reference (nr) or full-reference (fr) metrics. Default: all."),
    ] = None,
) -> None:
    """List every metric: mode, score range and direction, size rule, training set, licence of the weights."""
    table = Table("name", "mode", "scores", "size", "trained on", "license of the weights", "state")
    for card in known_cards().values():
        if mode in {None, card.mode}:
            low, high = card.score_range
            better = "higher better" if card.higher_is_better else "lower better"
            license_, state = "", "installed"
            if card.weights is not None:
                license_ = card.weights.license
                state = "bundled" if card.weights.bundled else "download" if card.weights.published else "train"
            scores = f"{low:g} to {high:g}, {better}"
            table.add_row(card.name, card.mode, scores, card.size, card.trained_on, license_, state)
    print_table(table)


@exit_on_error()
def known_cards() -> dict[str, ModelCard]:
    """Every card by name, or the end of the command where distributions are at odds."""
    return all_cards()
