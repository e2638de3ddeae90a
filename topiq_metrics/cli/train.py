"""``topiq train``: run a recipe, or fine-tune a metric on one's own scores."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from topiq_metrics._extras import missing
from topiq_metrics._tables import TABLE_SUFFIXES
from topiq_metrics.cli.console import exit_on_error, fail
from topiq_metrics.cli.options import PRECISIONS, ImageColumn, ReferenceColumn, ScoreColumn

# In the order of `PRECISIONS`.
_LIGHTNING_PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help="A recipe of the package, or a .toml file; if --data is a table, also the metric to fine-tune."
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            help="The dataset's folder, in its official layout; or a table (.csv, .tsv) with the columns image and "
            "score, and optionally reference, split and group.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Folder of the run. Default: runs/RECIPE, or runs/METRIC-TABLE for a table."
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Start from this weights file instead of the metric's published one.")
    ] = None,
    lower_is_better: Annotated[
        bool, typer.Option("--lower-is-better", help="The scores of the table fall with quality, as DMOS does.")
    ] = False,
    image_column: ImageColumn = None,
    score_column: ScoreColumn = None,
    reference_column: ReferenceColumn = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting of the recipe, such as optimizer.lr=1e-4; may be repeated.",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(PRECISIONS),
            help="Precision of the training; bfloat16 and float16 are mixed precision. Default: the recipe's.",
        ),
    ] = None,
    teachers: Annotated[
        list[str] | None,
        typer.Option(
            "--teacher",
            metavar="FILE",
            help="Weights file, or name of a metric, that scores the unlabelled images; may be repeated.",
        ),
    ] = None,
    unlabelled: Annotated[
        Path | None, typer.Option(help="Further training images without scores, for the teachers: a folder or a list.")
    ] = None,
    devices: Annotated[int, typer.Option(min=1, help="GPUs, or processes on the CPU, that share each batch.")] = 1,
) -> None:
    """Train a metric; the same command resumes an interrupted run."""
    # What is cheap to check comes first: Lightning takes seconds to import.
    from topiq_metrics.datasets import DatasetError
    from topiq_metrics.errors import ImageError, WeightsError

    # Over which --set has the last word.
    images = {"teachers": teachers, "images": None if unlabelled is None else str(unlabelled)}
    columns = {"image_column": image_column, "score_column": score_column, "reference_column": reference_column}
    sections: dict[str, dict[str, Any]] = {"unlabelled": images, "data": columns}
    changes: list[Any] = [
        {name: {key: value for key, value in section.items() if value is not None}}
        for name, section in sections.items()
    ]
    changes += settings or ()
    if precision is not None:
        changes.append(f"optimizer.precision={_lightning_precision(precision)}")
    if lower_is_better:
        changes.append("data.lower_is_better=true")
    with _extra():
        from topiq_metrics.training.recipe import RecipeError, fine_tuning_recipe, load_recipe
    with exit_on_error():
        if data.is_file() and data.suffix.lower() not in TABLE_SUFFIXES and not recipe.endswith(".toml"):
            kinds = " or ".join(TABLE_SUFFIXES)
            fail(f"{data} is neither a folder nor a table of images and scores, which ends in {kinds}.")
        if data.suffix.lower() in TABLE_SUFFIXES and not recipe.endswith(".toml"):
            loaded = fine_tuning_recipe(recipe, weights or "default", changes)
            folder = output or Path("runs") / f"{recipe}-{data.stem}"
        else:
            if weights is not None:
                changes += [f"model.weights={weights}", "model.pretrained_backbone=false"]
            loaded = load_recipe(recipe, changes)
            folder = output or Path("runs") / Path(recipe).stem
    with _extra():
        from topiq_metrics.training.module import DivergedError
        from topiq_metrics.training.run import train as run
    with exit_on_error(
        refused=(RecipeError, DatasetError, WeightsError, ModuleNotFoundError, OSError),
        failed=(DivergedError,),
        output=folder,
        interrupted=f"Interrupted. The same command resumes after the last whole epoch in {folder}.",
    ):
        try:
            path = run(loaded, data, folder, devices=devices)
        except (ImageError, DatasetError) as error:
            # A worker process adds its traceback above.
            fail(str(error).strip().splitlines()[-1])
    typer.echo(f"{path}\n{path.parent / 'report.md'}")


@contextlib.contextmanager
def _extra() -> Iterator[None]:
    """Import what comes with the extra, or say how it is installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        fail(missing("train", f"Training needs the extra ({error.name} is not installed)"))


def _lightning_precision(precision: str) -> str:
    """What recipes, and Lightning, call it; their own names are taken, too."""
    names: dict[str, str] = dict(zip(PRECISIONS, _LIGHTNING_PRECISIONS, strict=True))
    if precision not in {*names, *names.values()}:
        fail(f"Option --precision must be one of {', '.join(names)}, but got {precision!r}.")
    return names.get(precision, precision)
