"""Names of metrics and of columns, as several commands take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

ImageColumn = Annotated[
    str | None, typer.Option("--image-column", help="Of a table. Default: path, image, filename or the like.")
]
ScoreColumn = Annotated[str | None, typer.Option("--score-column", help="Of a table. Default: score, mos or the like.")]
ReferenceColumn = Annotated[str | None, typer.Option("--reference-column", help="Of a table. Default: reference.")]


def split_names(given: Sequence[str]) -> list[str]:
    """Names that were given with commas, in several options, or both, in their order."""
    return [name for text in given for each in text.split(",") if (name := each.strip())]
