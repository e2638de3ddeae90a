"""``topiq export``: a metric as a file for another runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from topiq_metrics.cli.console import exit_on_error, fail
from topiq_metrics.cli.options import ForceOption, Precision, SizeRule, WeightsFile


def export(
    name: Annotated[str, typer.Argument(help="A metric.")],
    file: Annotated[
        Path | None, typer.Argument(metavar="[OUT]", help="The output file: the same as -o.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The output file: .onnx, .pt2 (torch.export) or .xml (OpenVINO IR)."),
    ] = None,
    weights: WeightsFile = None,
    size: SizeRule = None,
    precision: Annotated[
        Precision,
        typer.Option(
            "--precision", help="Precision of the weights in the file: float32, or float16 for half the size."
        ),
    ] = "float32",
    force: ForceOption = False,
) -> None:
    """Export a metric, with its size rule, to a file that runs without this package."""
    from topiq_metrics.inference.export import export_metric

    path = output or file
    if path is None:
        fail("Name the file with -o, such as -o model.onnx.")
    if file is not None and output is not None:
        fail(f"The file is named twice: {file} and {output}.")
    # It fails where the scores deviate, or a converter.
    with exit_on_error(failed=(RuntimeError,), output=path, interrupted="Interrupted. Nothing was written."):
        done = export_metric(name, path, weights=weights or "default", size=size, precision=precision, overwrite=force)
    opset = "" if done.opset is None else f", opset {done.opset}"
    typer.echo(
        f"{done.path}: {done.bytes / 1e6:.1f} MB, {precision}, size {done.metadata['size']}{opset}, "
        f"deviation from torch {done.deviation:.1g}"
    )
    if "faces" in done.metadata["input"]:
        typer.echo("It scores faces that were found and aligned to 512 x 512 before.", err=True)
