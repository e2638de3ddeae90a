"""``topiq select``: rows by their scores, and their files into a folder."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from topiq_metrics.cli.console import discard_stdout, exit_on_error, fail, printable
from topiq_metrics.cli.options import ForceOption, MaxScoreOption, MinScoreOption, SortOption, split_limits

if TYPE_CHECKING:
    from topiq_metrics.scoring.rows import RowRecord
    from topiq_metrics.scoring.selecting.placing import Placed

_FORMS = ("csv", "jsonl", "json", "txt")
_TOLD = 10
_TO_FOLDER = "Files"


def select(
    rows: Annotated[Path, typer.Argument(help="Output of topiq score: .csv, .jsonl, .json, or a .parquet folder.")],
    min_score: MinScoreOption = None,
    max_score: MaxScoreOption = None,
    sort: SortOption = None,
    first: Annotated[int | None, typer.Option("--first", min=1, help="At most this many rows, after sorting.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Write the chosen rows to this .csv, .jsonl, .json or .txt file; - prints them."
        ),
    ] = None,
    row_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="csv|jsonl|json|txt",
            help="Format of the rows; txt: only their paths, one per line. Default: that of the output's suffix, else "
            "csv.",
        ),
    ] = None,
    force: ForceOption = False,
    link: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Put links to the chosen files in DIR.", rich_help_panel=_TO_FOLDER),
    ] = None,
    copy: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Copy the chosen files to DIR.", rich_help_panel=_TO_FOLDER)
    ] = None,
    move: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Move the chosen files to DIR.", rich_help_panel=_TO_FOLDER)
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            help="Where relative paths in the rows start. Default: the current folder, as for topiq score.",
            rich_help_panel=_TO_FOLDER,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print what would be done, and change nothing.", rich_help_panel=_TO_FOLDER),
    ] = False,
) -> None:
    """Choose rows by their scores; print or write them, or put their files into a folder.

    In DIR, files keep their paths below the deepest folder that all rows have in common. Nothing in DIR is overwritten;
    repeat the command to do what is left to do. DIR/topiq-select.jsonl is a log of what was done.

    Exit code 0: every chosen file is in its place. 1: some are not. 2: the command cannot start. 3: the disk is full;
    make room and repeat the command.
    """
    given = {name: folder for name, folder in (("link", link), ("copy", copy), ("move", move)) if folder is not None}
    if len(given) > 1:
        fail(f"Give one of {' and '.join(f'--{name}' for name in given)}.")
    if not given and (dry_run or root is not None):
        fail(f"{'--dry-run' if dry_run else '--root'} requires --link, --copy or --move.")
    if dry_run and output is not None:
        fail("--dry-run changes nothing, and -o writes: give one of them.")
    form = _form(output, row_format)
    if force and (output is None or str(output) == "-"):
        fail("--force requires -o.")
    from topiq_metrics._outputs import check_new, check_place_of_file
    from topiq_metrics.scoring.limits import Limits
    from topiq_metrics.scoring.ordering import Order
    from topiq_metrics.scoring.selecting.choosing import choose_rows
    from topiq_metrics.scoring.selecting.placing import ACTIONS, Placer, Places
    from topiq_metrics.scoring.selecting.saved_rows import SavedRows

    with exit_on_error(interrupted="Interrupted: the log says what was done. Repeat the command to resume."):
        saved = SavedRows(rows)
        limits = Limits.of(
            saved.metrics, split_limits("--min-score", min_score), split_limits("--max-score", max_score)
        )
        order = None if sort is None else Order.parse(sort, saved.metrics)
        if output is not None and str(output) != "-":
            check_place_of_file(output)
            if not force:
                check_new(output)
        chosen = choose_rows(saved, limits, order=order, first=first)
        if not given:
            _write_rows(chosen, saved.columns, form, output)
            return
        action = next(each for each in ACTIONS if each in given)
        places = Places((str(row["path"]) for row in saved), root or Path())
        with Placer(action, given[action], places, dry_run=dry_run) as placer:
            if output is not None:
                # They are few, or they would not be chosen; as they come, they are read once.
                held = list(chosen)
                _write_rows(held, saved.columns, form, output)
                chosen = iter(held)
            counts = _place(placer.place(str(row["path"]) for row in chosen), action, given[action], dry_run)
    _summarize(counts, given[action], dry_run)


def _form(output: Path | None, row_format: str | None) -> str:
    if row_format is not None and row_format not in _FORMS:
        fail(f"--format must be csv, jsonl, json or txt, but got {row_format!r}.")
    suffix = "" if output is None or str(output) == "-" else output.suffix.lower().lstrip(".")
    if output is not None and str(output) != "-" and suffix not in _FORMS:
        fail(f"An output must end in one of .csv, .jsonl, .json, .txt, but got {output}.")
    if suffix and row_format not in {None, suffix}:
        fail(f"--format {row_format} requires an output that ends in .{row_format}, but got {output}.")
    return row_format or suffix or "csv"


def _write_rows(rows: Iterable[RowRecord], columns: tuple[str, ...], form: str, output: Path | None) -> None:
    from topiq_metrics._files import whole_file

    if output is None or str(output) == "-":
        try:
            _write_to(sys.stdout.buffer, rows, columns, form)
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader of our output has gone.
            discard_stdout()
            raise typer.Exit(1) from None
    else:
        with whole_file(output) as draft, draft.open("wb") as stream:
            _write_to(stream, rows, columns, form)


def _write_to(stream: BinaryIO, rows: Iterable[RowRecord], columns: tuple[str, ...], form: str) -> None:
    from topiq_metrics.scoring.sinks.formats import ROW_FORMATS

    if form == "txt":
        stream.writelines(os.fsencode(str(row["path"])) + b"\n" for row in rows)
        return
    lines = ROW_FORMATS[f".{form}"]
    stream.write(lines.header(columns))
    records = ({name: row.get(name) for name in columns} for row in rows)
    stream.writelines(lines.encode(record, first=not number) for number, record in enumerate(records))
    stream.write(lines.footer)


def _place(placed: Iterator[Placed], action: str, folder: Path, dry_run: bool) -> Counter[str]:
    """Do it, and tell of what fails; gives how many files came to what end."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for each in placed:
        counts[each.what] += 1
        if each.what == "failed":
            word = each.reason.partition(":")[0]
            reasons[word] += 1
            if counts["failed"] <= _TOLD:
                typer.echo(printable(f"{each.path}: {each.reason}"), err=True)
            if word == "missing" and reasons[word] == 1 and not Path(each.path).is_absolute():
                typer.echo("Relative paths start at the current folder: --root says otherwise.", err=True)
        elif dry_run and each.what != "there":
            with contextlib.suppress(UnicodeEncodeError):
                typer.echo(printable(f"{action} {each.path} -> {folder / each.target}"))
    if counts["failed"] > _TOLD:
        typer.echo(f"and {counts['failed'] - _TOLD} more", err=True)
    return counts


def _summarize(counts: Counter[str], folder: Path, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    done = [f"{counts[word]} {would}{word}" for word in ("linked", "copied", "moved") if counts[word]]
    words = done or ["nothing to do"]
    words += [f"{counts['there']} there already"] if counts["there"] else []
    words += [f"{counts['failed']} failed"] if counts["failed"] else []
    typer.echo(f"{counts.total()} files: {', '.join(words)} -> {folder}", err=True)
    if counts["failed"]:
        raise typer.Exit(1)
