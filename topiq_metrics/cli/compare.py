"""``topiq compare``: which of several pictures is best, and where they differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from topiq_metrics.catalog import DEFAULT_FR, DEFAULT_NR
from topiq_metrics.cli.console import exit_on_error, fail, print_table, printable
from topiq_metrics.cli.counting import counted
from topiq_metrics.cli.options import (
    REFERENCE_NAMES,
    DeviceOption,
    ForceOption,
    ProfilesOption,
    SizeRule,
    WeightsFile,
    one_metric,
)

if TYPE_CHECKING:
    from topiq_metrics.comparing import RankedImage


def compare(
    images: Annotated[list[Path], typer.Argument(help="Two or more images, or a folder of them.")],
    reference: Annotated[
        Path | None, typer.Option(*REFERENCE_NAMES, help="The reference image of all of them.")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "-m",
            "--metric",
            metavar="NAME",
            help=f"A metric. Default: {DEFAULT_NR}; with a reference, {DEFAULT_FR}.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FOLDER",
            help="Write comparison.jpg and comparison.npz here; with --network, the files named there. Default: only "
            "print.",
        ),
    ] = None,
    network: Annotated[
        bool,
        typer.Option(
            "--network",
            help="With -o: write the network's own maps instead: a sheet for each image, and comparison.png with all.",
        ),
    ] = False,
    weights: WeightsFile = None,
    size: SizeRule = None,
    profiles: ProfilesOption = "apply",
    device: DeviceOption = None,
    force: ForceOption = False,
) -> None:
    """Rank images, best first, and say which of them the metric cannot tell apart.

    The noise of a score is how far it moves when the image is mirrored or loses a row and a column. Two images are not
    told apart if their scores differ by no more than the larger of their noises. comparison.jpg in -o shows the quality
    maps of all images on one scale, and their worst places at 1:1, beside the reference.
    """
    from topiq_metrics.comparing import check_comparison_folder, find_pictures, rank_images, save_comparison

    if output is None and force:
        fail("--force requires -o.")
    if output is None and network:
        fail("--network requires -o.")
    name, chosen = one_metric(metric), weights or "default"
    # It fails where memory does not suffice, on whatever device.
    with exit_on_error(failed=(RuntimeError, MemoryError), brief=True, output=output):
        if output is not None:
            check_comparison_folder(output, overwrite=force, network=network)
        pictures = find_pictures(images, reference, output)
        with counted(len(pictures), "ranked") as progress:
            ranked = rank_images(
                pictures, reference, name, chosen, size=size, profiles=profiles, device=device, progress=progress
            )
        _show(ranked)
        if output is not None:
            with counted(len(ranked), "mapped") as progress:
                paths = save_comparison(
                    ranked,
                    output,
                    reference,
                    name,
                    chosen,
                    size=size,
                    profiles=profiles,
                    device=device,
                    overwrite=force,
                    network=network,
                    progress=progress,
                )
            typer.echo(printable(f"{len(paths)} files -> {output}"), err=True)


def _show(ranked: list[RankedImage]) -> None:
    from rich.table import Table
    from rich.text import Text

    from topiq_metrics.comparing.pictures import short_names

    table = Table("place")
    table.add_column("image", overflow="fold")
    table.add_column("score")
    table.add_column("noise")
    table.add_column("not told apart from", overflow="fold")
    names = dict(zip((image.path for image in ranked), short_names([image.path for image in ranked]), strict=True))
    for image in ranked:
        name, ties = Text(printable(names[image.path])), Text(printable(", ".join(names[path] for path in image.ties)))
        table.add_row(str(image.place), name, f"{image.score:.4f}", f"{image.noise:.4f}", ties)
    print_table(table, width=160)
    best = ranked[0]
    first = ", ".join(names[path] for path in (best.path, *best.ties))
    typer.echo(printable(f"Not told apart as the best: {first}." if best.ties else f"The best: {first}."))
    for note in dict.fromkeys(image.note for image in ranked if image.note):
        noted = ", ".join(names[image.path] for image in ranked if image.note == note)
        typer.echo(printable(f"Note on {noted}: {note}."))
