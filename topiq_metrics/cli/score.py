"""``topiq score``: files and folders to one row per image."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from topiq_metrics.catalog import DEFAULT_NR, get_card
from topiq_metrics.cli.console import fail, printable

if TYPE_CHECKING:
    from topiq_metrics.inference import Predictor
    from topiq_metrics.scoring import Item, ScoreRow


def score(
    paths: Annotated[list[Path], typer.Argument(help="Images and folders (searched recursively).")],
    metric: Annotated[
        list[str] | None, typer.Option("-m", "--metric", help=f"A metric; may be repeated. Default: {DEFAULT_NR}.")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option("-r", "--reference", help="Folder (or one file) of reference images, for full-reference metrics."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write rows to this .csv or .jsonl file.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="native, max_side=N, short_side=N or square=N, instead of each metric's own size rule."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="A weights file for the metric, instead of the catalogue's.")
    ] = None,
) -> None:
    """Score images: one row per image, with a status and the reason where one cannot be scored.

    Exit code 0: every image has every score. 1: some do not. 2: the command cannot start.
    """
    names = list(dict.fromkeys(metric or [DEFAULT_NR]))
    predictors, items = _prepare(names, paths, reference, output, size, weights)
    from topiq_metrics.scoring import score_items

    counts: Counter[str] = Counter()
    try:
        with _output(output, names) as write, _progress(len(items)) as advance:
            for row in score_items(items, predictors):
                write(row)
                counts[row.status] += 1
                advance()
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except (OSError, KeyboardInterrupt) as error:
        done = f"after {counts.total()} of {len(items)} images"
        kept = f" What was scored is in {output}.part." if output and counts else ""
        if isinstance(error, KeyboardInterrupt):
            fail(f"Interrupted {done}.{kept}", code=130)
        fail(f"Writing failed {done}: {error}.{kept}", code=1 if counts else 2)
    failed = counts["error"] + counts["partial"]
    if failed or output:
        place = f" -> {output}" if output else ""
        typer.echo(f"{counts.total()} images: {counts['ok']} ok, {failed} with errors{place}", err=True)
    if failed:
        raise typer.Exit(1)


def _prepare(
    names: Sequence[str],
    paths: Sequence[Path],
    reference: Path | None,
    output: Path | None,
    size: str | None,
    weights: Path | None,
) -> tuple[list[Predictor], list[Item]]:
    """Check everything that can be wrong before the first image is read."""
    try:
        cards = [get_card(name) for name in names]
    except ValueError as error:
        fail(error)
    full_reference = [card.name for card in cards if card.mode == "FR"]
    if full_reference and reference is None:
        fail(f"{full_reference[0]} is a full-reference metric: give the references with -r.")
    if reference is not None and not full_reference:
        fail(f"None of {', '.join(names)} uses a reference: leave out -r, or add a metric such as -m topiq_fr.")
    if weights is not None and len(names) > 1:
        fail("--weights goes with one metric.")
    from topiq_metrics.errors import WeightsError
    from topiq_metrics.inference import open_predictor
    from topiq_metrics.scoring import check_output, find_images

    try:
        if output is not None:
            check_output(output)
        items = find_images(paths, reference)
        predictors = [open_predictor(name, weights or "default", size=size) for name in names]
    except (ValueError, WeightsError, ImportError) as error:
        fail(error)
    return predictors, items


@contextlib.contextmanager
def _output(path: Path | None, names: Sequence[str]) -> Iterator[Callable[[ScoreRow], None]]:
    """A function that takes a row to its place: a file, a table at the end on a terminal, else a line on stdout."""
    from topiq_metrics.scoring import CSVWriter, FileSink

    if path is not None:
        with FileSink(path, names) as sink:
            yield sink.write
    elif sys.stdout.isatty():
        rows: list[ScoreRow] = []
        try:
            yield rows.append
        finally:
            # Also what there is of an interrupted job.
            if rows:
                _print_table(rows, names)
    else:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A file name need not be valid Unicode; it goes out as it came in, where the encoding can say it.
            unicode = sys.stdout.encoding.lower().startswith("utf")
            errors = sys.getfilesystemencodeerrors() if unicode else "backslashreplace"
            sys.stdout.reconfigure(errors=errors, newline="", line_buffering=True)
        yield CSVWriter(sys.stdout, names).write


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on stderr while it is a terminal; yields a function that moves it by one image."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda: None
        return
    bar = Progress(
        TextColumn("scoring"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)


def _print_table(rows: Sequence[ScoreRow], names: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    table.add_column("path", overflow="fold")
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("pixels", justify="right")
    if any(row.status != "ok" for row in rows):
        table.add_column("status")
    for row in rows:
        scores = ["" if (s := row.scores[name]) is None else f"{s:.4f}" for name in names]
        pixels = f"{row.width}x{row.height}" if row.width else ""
        state = [] if row.status == "ok" else [Text(printable(f"{row.status}: {row.error}"))]
        table.add_row(Text(printable(row.path)), *scores, pixels, *state)
    Console().print(table)
