"""``topiq export``: a metric as a file for another runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from topiq_metrics.cli.console import fail


def export(
    name: Annotated[str, typer.Argument(help="A metric.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The file: .onnx, .pt2 or .xml (OpenVINO IR).")],
    weights: Annotated[
        Path | None, typer.Option("--weights", help="A weights file instead of the published one.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size", help="native, max_side=N, max_short_side=N, short_side=N or square=N. Default: the metric's."
        ),
    ] = None,
    precision: Annotated[str, typer.Option("--precision", help="float32 or float16.")] = "float32",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a metric, its size rule included, to a file that runs without this package."""
    from topiq_metrics.errors import WeightsError
    from topiq_metrics.inference.export import export_metric

    try:
        done = export_metric(
            name, output, weights=weights or "default", size=size, precision=precision, overwrite=force
        )
    except (ValueError, OSError, WeightsError, ImportError) as error:
        fail(error)
    except RuntimeError as error:
        # The scores deviate, or a converter has failed.
        fail(error, code=1)
    except KeyboardInterrupt:
        fail("Interrupted. Nothing was written.", code=130)
    opset = "" if done.opset is None else f", opset {done.opset}"
    typer.echo(
        f"{done.path}: {done.bytes / 1e6:.1f} MB, {precision}, size {done.metadata['size']}{opset}, "
        f"deviation from torch {done.deviation:.1g}"
    )
    if "faces" in done.metadata["input"]:
        typer.echo("It scores faces that were found and aligned to 512 x 512 before.", err=True)
