"""Options that several commands take, and how what was given is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from topiq_metrics.cli.console import fail

Precision = Literal["float32", "bfloat16", "float16"]
"""The values of ``--precision``, of every command that has it."""
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

REFERENCE_NAMES = ("-r", "--ref", "--reference")

ForceOption = Annotated[bool, typer.Option("--force", help="Replace an output that is there already.")]
ReferenceFile = Annotated[
    Path | None, typer.Option(*REFERENCE_NAMES, help="Its reference, for a full-reference metric.")
]
WeightsFile = Annotated[Path | None, typer.Option("--weights", help="A weights file instead of the published one.")]
SizeRule = Annotated[
    str | None,
    typer.Option(
        "--size", help="native, max_side=N, max_short_side=N, short_side=N or square=N. Default: the metric's."
    ),
]
ProfilesOption = Annotated[
    str,
    typer.Option("--profiles", metavar="apply|ignore", help="Convert colours to sRGB, or take all values for it."),
]
DecodeOption = Annotated[
    str,
    typer.Option(
        "--decode", metavar="exact|fast", help="fast: JPEG and JPEG 2000 at a smaller scale where that is enough."
    ),
]
DeviceOption = Annotated[str | None, typer.Option("--device", help="Default: a GPU if there is one.")]

ImageColumn = Annotated[
    str | None, typer.Option("--image-column", help="Of a table. Default: path, image, filename or the like.")
]
ScoreColumn = Annotated[str | None, typer.Option("--score-column", help="Of a table. Default: score, mos or the like.")]
ReferenceColumn = Annotated[str | None, typer.Option("--reference-column", help="Of a table. Default: reference.")]


MinScoreOption = Annotated[
    list[str] | None,
    typer.Option(
        "--min-score", metavar="[NAME=]SCORE", help="The lowest score that is wanted; NAME= where there are several."
    ),
]
MaxScoreOption = Annotated[
    list[str] | None, typer.Option("--max-score", metavar="[NAME=]SCORE", help="Likewise, the highest.")
]
SortOption = Annotated[
    str | None, typer.Option("--sort", metavar="best|worst[:NAME]", help="Which rows come first, by the first metric.")
]


def split_names(given: Sequence[str]) -> list[str]:
    """Names that were given with commas, in several options, or both, in their order."""
    return [name for text in given for each in text.split(",") if (name := each.strip())]


def one_metric(given: Sequence[str] | None) -> str | None:
    """The metric of a command that takes one; None if none was named."""
    if not given:
        return None
    names = list(dict.fromkeys(split_names(given)))
    if not names:
        fail("Name a metric with -m.")
    if len(names) > 1:
        fail(f"This command takes one metric, but got {' and '.join(names)}.")
    return names[0]


def split_limits(option: str, given: Sequence[str] | None) -> float | dict[str, float] | None:
    """What ``NAME=SCORE``, several times or with commas, or a score alone says; None where nothing was given."""
    limits: dict[str, float] = {}
    for text in split_names(given or ()):
        name, _, number = text.rpartition("=")
        try:
            score = float(number)
        except ValueError:
            fail(f"{option} takes a score such as 0.6, or NAME=0.6, but got {text!r}.")
        if name.strip() in limits:
            fail(f"{option} has two scores{f' of {name.strip()}' if name else ''}: give one.")
        limits[name.strip()] = score
    if "" in limits and len(limits) > 1:
        fail(f"{option} has a score without the name of its metric beside others with one: name all.")
    return limits.get("", limits or None)
