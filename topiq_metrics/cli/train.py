"""``topiq train``: run a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from topiq_metrics.cli.console import fail


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe that ships with the package, or a .toml file.")],
    data: Annotated[Path, typer.Option("--data", help="The dataset's folder, in its official layout.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the run. Default: runs/RECIPE.")
    ] = None,
) -> None:
    """Train a metric; the same command goes on where a run was stopped."""
    # What is cheap to check comes first: Lightning takes seconds to import.
    from topiq_metrics.datasets import DatasetError
    from topiq_metrics.errors import ImageError

    try:
        from topiq_metrics.training.recipe import RecipeError, load_recipe

        loaded = load_recipe(recipe)
        folder = output or Path("runs") / loaded.name
        from topiq_metrics.training.run import train as run
    except ModuleNotFoundError as error:
        fail(f"Training needs the extra (there is no {error.name}): pip install topiq-metrics[train]")
    except RecipeError as error:
        fail(error)
    try:
        path = run(loaded, data, folder)
    except (RecipeError, DatasetError, ModuleNotFoundError, OSError) as error:
        fail(error)
    except ImageError as error:
        # A worker process adds its traceback above.
        fail(str(error).strip().splitlines()[-1])
    except KeyboardInterrupt:
        fail(f"Interrupted. The same command goes on after the last whole epoch in {folder}.", code=130)
    typer.echo(f"{path}\n{path.parent / 'report.md'}")
