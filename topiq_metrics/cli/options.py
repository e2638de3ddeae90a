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

ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite an existing output.")]
ReferenceFile = Annotated[
    Path | None, typer.Option(*REFERENCE_NAMES, help="The reference image, for a full-reference metric.")
]
WeightsFile = Annotated[
    Path | None, typer.Option("--weights", help="Weights file to use instead of the metric's published one.")
]
SizeRule = Annotated[
    str | None,
    typer.Option(
        "--size",
        help="Size rule, N in pixels: native, max_side=N, max_short_side=N, short_side=N or square=N. "
        "Default: the metric's own.",
    ),
]
ProfilesOption = Annotated[
    str,
    typer.Option(
        "--profiles",
        metavar="apply|ignore",
        help="apply: convert colours to sRGB by the image's profile; ignore: read all values as sRGB.",
    ),
]
DecodeOption = Annotated[
    str,
    typer.Option(
        "--decode",
        metavar="exact|fast",
        help="exact: decode every pixel; fast: decode large JPEG and JPEG 2000 files at a reduced scale, which "
        "changes scores slightly.",
    ),
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="cpu, cuda, cuda:1, … Default: a GPU if there is one, else the CPU.")
]

ImageColumn = Annotated[
    str | None,
    typer.Option(
        "--image-column", help="Column of image paths in a table. Default: path, image, filename or a similar name."
    ),
]
ScoreColumn = Annotated[
    str | None,
    typer.Option("--score-column", help="Column of human scores in a table. Default: score, mos or a similar name."),
]
ReferenceColumn = Annotated[
    str | None,
    typer.Option("--reference-column", help="Column of reference paths in a table. Default: reference, if present."),
]


MinScoreOption = Annotated[
    list[str] | None,
    typer.Option(
        "--min-score",
        metavar="[NAME=]SCORE",
        help="Lowest accepted score, of the metric NAME if there are several; may be repeated.",
    ),
]
MaxScoreOption = Annotated[
    list[str] | None,
    typer.Option("--max-score", metavar="[NAME=]SCORE", help="Highest accepted score; otherwise as --min-score."),
]
SortOption = Annotated[
    str | None,
    typer.Option(
        "--sort",
        metavar="best|worst[:NAME]",
        help="Which rows come first, by the metric NAME or else the first one. Default: not sorted.",
    ),
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
