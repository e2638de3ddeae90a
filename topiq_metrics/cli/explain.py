"""``topiq explain``: beside a picture's score, where it is good and bad, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from topiq_metrics.catalog import DEFAULT_FR, DEFAULT_NR
from topiq_metrics.cli.console import exit_on_error, fail, print_table, printable
from topiq_metrics.cli.options import (
    DeviceOption,
    ForceOption,
    ProfilesOption,
    ReferenceFile,
    SizeRule,
    WeightsFile,
    one_metric,
)

if TYPE_CHECKING:
    from topiq_metrics.explaining import Explanation, QualityMap


def explain(
    image: Annotated[Path, typer.Argument(help="The image.")],
    original: Annotated[
        Path | None,
        typer.Argument(metavar="[REFERENCE]", help="The reference image: the same as -r.", show_default=False),
    ] = None,
    reference: ReferenceFile = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "-m",
            "--metric",
            metavar="NAME",
            help=f"A metric; with --network also ms_ssim. Default: {DEFAULT_NR}; with a reference, {DEFAULT_FR}.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FOLDER",
            help="Write quality.jpg and quality.npz here; with --network, the files named there. Default: only print.",
        ),
    ] = None,
    network: Annotated[
        bool,
        typer.Option("--network", help="Show the network's own maps instead: overlay-….png, sheet.png and maps.npz."),
    ] = False,
    point: Annotated[
        str | None,
        typer.Option(
            "--point",
            metavar="X,Y",
            help="With --network: show what the network attends to from this point, in pixels.",
        ),
    ] = None,
    weights: WeightsFile = None,
    size: SizeRule = None,
    profiles: ProfilesOption = "apply",
    device: DeviceOption = None,
    force: ForceOption = False,
) -> None:
    """Show where an image is good and where it is bad, on the scale of its score.

    Prints the score, the range of the quality map and the worst places, in pixels from the upper left corner;
    quality.jpg in -o shows them at 1:1. With --network, prints instead one line for each of the network's maps (gates
    and attention of each level, or distances and their weights): its size, its values, and the smallest part of the
    image that holds half of its sum (50% for a uniform map).
    """
    if output is None and force:
        fail("--force requires -o.")
    if original is not None and reference is not None:
        fail(f"The reference is named twice: {original} and {reference}.")
    if point is not None and not network:
        fail("--point requires --network.")
    reference = reference or original
    name, chosen = one_metric(metric), weights or "default"
    place = None if point is None else _parse(point)
    # It fails where memory does not suffice, on whatever device.
    with exit_on_error(failed=(RuntimeError, MemoryError), brief=True, output=output):
        if network:
            from topiq_metrics.explaining import explain as explain_image
            from topiq_metrics.explaining.explanation import check_explanation_folder

            if output is not None:
                check_explanation_folder(output, overwrite=force)
            found = explain_image(
                image, reference, name, chosen, size=size, point=place, profiles=profiles, device=device
            )
            _show(found)
            paths = [] if output is None else found.save(output, overwrite=force)
        else:
            from topiq_metrics.explaining import MS_SSIM, quality_map
            from topiq_metrics.explaining.local_quality import check_quality_folder

            if name == MS_SSIM:
                fail(f"{MS_SSIM} is explained with --network.")
            if output is not None:
                check_quality_folder(output, overwrite=force)
            local = quality_map(image, reference, name, chosen, size=size, profiles=profiles, device=device)
            _show_quality(local)
            paths = [] if output is None else local.save(output, overwrite=force)
    if paths:
        typer.echo(printable(f"{len(paths)} files -> {output}"), err=True)


def _show_quality(found: QualityMap) -> None:
    typer.echo(f"{found.metric}: {found.score:.4f}")
    direction = "higher" if found.higher_is_better else "lower"
    rows, columns = found.values.shape
    typer.echo(
        f"Quality of {columns}x{rows} places: {found.values.min():.3f} to {found.values.max():.3f}, {direction} is "
        "better."
    )
    for number, box in enumerate(found.worst_places(), start=1):
        left, top, right, bottom = box
        typer.echo(f"Worst {number}: {found.quality_in(box):.3f} at x {left}-{right}, y {top}-{bottom}")
    if found.note:
        typer.echo(printable(f"Note: {found.note}."))


def _parse(point: str) -> tuple[float, float]:
    try:
        x, y = (float(value) for value in point.split(","))
    except ValueError:
        fail(f"--point must be X,Y in pixels, such as 120,80, but got {point!r}.")
    return x, y


def _show(found: Explanation) -> None:
    from rich.table import Table

    from topiq_metrics.explaining.maps import KINDS

    typer.echo(f"{found.metric}: {found.score:.4f}")
    table = Table("map", "stride", "cells", "mean", "lowest", "highest", "half in", "counts")
    for name, level_map in found.maps.items():
        kind = KINDS[level_map.kind]
        values = level_map.heat if kind.is_share else level_map.values
        numbers = (f"{value:.3g}{kind.suffix}" for value in (values.mean(), values.min(), values.max()))
        counts = "" if level_map.share is None else f"{level_map.share:.1%}"
        cells = f"{values.shape[1]}x{values.shape[0]}"
        table.add_row(name, str(level_map.stride), cells, *numbers, f"{level_map.half_area:.0%}", counts)
    print_table(table, width=160)
    typer.echo(_most(found))
    if found.note:
        typer.echo(printable(f"Note: {found.note}."))


def _most(found: Explanation) -> str:
    """Which map matters most, in words."""
    maps = found.maps.values()
    counting = max((m for m in maps if m.share is not None), key=lambda m: m.share or 0.0, default=None)
    if counting is not None and not counting.share:
        return "The picture and its reference are alike."
    if counting is not None:
        return f"{counting.name} counts most: {counting.share:.1%} of the score."
    gate = max((m for m in maps if m.kind == "gate"), key=lambda m: float(m.values.mean()))
    attention = min((m for m in maps if m.kind == "attention"), key=lambda m: m.half_area)
    return (
        f"{gate.name} is open widest: {gate.values.mean():.2f} on average. {attention.name} is the most "
        f"selective: half of it goes to {attention.half_area:.0%} of the picture."
    )
