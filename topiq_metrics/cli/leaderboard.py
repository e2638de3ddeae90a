"""``topiq leaderboard``: metrics of several toolboxes on several datasets, side by side."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from topiq_metrics.catalog import DEFAULT_NR
from topiq_metrics.cli.commands import Commands
from topiq_metrics.cli.console import exit_on_error, fail, printable
from topiq_metrics.cli.options import (
    DecodeOption,
    DeviceOption,
    ForceOption,
    ImageColumn,
    ReferenceColumn,
    ScoreColumn,
    split_names,
)
from topiq_metrics.cli.progress import shown_board_progress

if TYPE_CHECKING:
    from topiq_metrics.catalog import Mode
    from topiq_metrics.datasets.opening import AnyDataset
    from topiq_metrics.leaderboard.board import Board
    from topiq_metrics.leaderboard.plots import Thumbnails
    from topiq_metrics.leaderboard.ranking import Rules

app = Commands()

OutputsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "-o",
        "--output",
        help="Write the board to this .json, .html, .md or .csv file; .tex and .summary.csv hold only the table of "
        "metrics by datasets. May be repeated. Default: print Markdown.",
    ),
]
TitleOption = Annotated[
    str | None, typer.Option("--title", help="Title of the HTML page, and of other outputs that have one.")
]
MedianOption = Annotated[
    str,
    typer.Option(
        "--median-of",
        help="Compute the figures within each scene, distortion or split (ten random ones) if the dataset has them, "
        "and report their medians; none: over all images.",
    ),
]


@app.callback(invoke_without_command=True)
def leaderboard(
    context: typer.Context,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            help="The folder of a dataset, a folder that holds several, or a table (.csv, .tsv); may be repeated. "
            "Options for one of them follow a colon: DIR:split=test, DIR:split=test,seed=3, DIR:attribute=Details.",
        ),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "-m",
            "--metric",
            "--metrics",
            metavar="NAME",
            help="A metric, or several separated by commas; may be repeated: topiq_nr-lite,pyiqa:niqe,'piq:*' … "
            f"Default: {DEFAULT_NR}.",
        ),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option("--mode", help="nr or fr: restrict * to no-reference or full-reference metrics. Default: both."),
    ] = None,
    output: OutputsOption = None,
    force: ForceOption = False,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            help="Use only this split of every dataset, such as test. Beside one that has it, datasets without an "
            "official split are used whole unless --seed is given; those with other official splits are left out. "
            "Default: all images.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Random split to use, 0 to 9, with --split, of datasets without an official one."),
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Accept incomplete datasets.")] = False,
    lower_is_better: Annotated[
        bool, typer.Option("--lower-is-better", help="The scores of tables fall with quality, as DMOS does.")
    ] = False,
    image_column: ImageColumn = None,
    score_column: ScoreColumn = None,
    reference_column: ReferenceColumn = None,
    scores: Annotated[
        Path | None,
        typer.Option("--scores", help="Folder that keeps the scores, to resume from. Default: in the cache folder."),
    ] = None,
    no_thumbnails: Annotated[
        bool, typer.Option("--no-thumbnails", help="Put no images into the HTML page, for boards that are published.")
    ] = False,
    median_of: MedianOption = "scene",
    title: TitleOption = None,
    download: Annotated[
        bool, typer.Option("--download", help="Download missing weights, under their own licences.")
    ] = False,
    device: DeviceOption = None,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Processes that decode images; 0: threads of this process.")
    ] = 0,
    decode: DecodeOption = "exact",
) -> None:
    """Compare metrics, side by side, by their agreement with human scores on one or several datasets.

    A metric that is not available, or that fails, is listed with the reason. Nothing is downloaded without --download.
    A dataset that cannot be read does not stop the others. The same command resumes an interrupted run.

    Exit code 0: every metric has scored every image. 1: some have not, or a dataset could not be read. 2: the command
    cannot start.
    """
    from topiq_metrics.datasets.opening import is_table, open_datasets
    from topiq_metrics.weights.places import cache_dir

    if context.invoked_subcommand is not None:
        return
    if not data:
        fail("Name a dataset's folder with --data.")
    outputs = output or []
    if force and not outputs:
        fail("--force requires -o.")
    rules = _rules(median_of)
    _check_outputs(outputs, overwrite=force)
    with exit_on_error(interrupted="Interrupted. What has been scored is kept: the same command resumes."):
        from topiq_metrics.contenders import find_toolbox_metrics
        from topiq_metrics.leaderboard.progress import BoardProgress
        from topiq_metrics.leaderboard.run import run_leaderboard

        names = split_names(metrics or [DEFAULT_NR])
        if not names:
            fail("Name a metric with -m.")
        chosen = find_toolbox_metrics(names, _mode(mode))
        columns = {"image_column": image_column, "score_column": score_column, "reference_column": reference_column}
        named = next((name for name, column in columns.items() if column is not None), None)
        if named is not None and not any(map(is_table, data)):
            fail(f"--{named.replace('_', '-')} requires a table: name a .csv or .tsv file with --data.")
        opening = open_datasets(data, split, seed, partial=partial, higher_is_better=not lower_is_better, **columns)
        for dataset in opening.datasets:
            _tell_left_out(dataset)
        for text in [*opening.notes, *opening.broken]:
            _tell(text)
        progress = BoardProgress()
        with shown_board_progress(progress):
            board = run_leaderboard(
                opening.datasets,
                chosen,
                store=scores or cache_dir() / "leaderboard",
                device=device,
                workers=workers,
                decode=decode,
                download=download,
                notice=_tell,
                progress=progress,
            )
    _give(board, outputs, rules, title, None if no_thumbnails else _thumbnails(board, opening.datasets))
    for text in opening.broken:
        _tell(f"Not on the board: {text}")
    if opening.broken or any(entry.status != "scored" for entry in board.entries):
        raise typer.Exit(1)


@app.command("merge")
def merge(
    boards: Annotated[
        list[Path], typer.Argument(metavar="BOARD.json...", help="Boards, also from different machines.")
    ],
    output: OutputsOption = None,
    force: ForceOption = False,
    median_of: MedianOption = "scene",
    title: TitleOption = None,
) -> None:
    """Merge several boards into one.

    Of two results of a metric on the same images, the one with more scores is kept, or else the later one.
    """
    from topiq_metrics.leaderboard.board import load_board, merge_boards

    outputs = output or []
    if force and not outputs:
        fail("--force requires -o.")
    rules = _rules(median_of)
    _check_outputs(outputs, overwrite=force)
    with exit_on_error():
        board = merge_boards([load_board(path) for path in boards])
    _give(board, outputs, rules, title)


def _mode(mode: str | None) -> Mode | None:
    modes: dict[str | None, Mode | None] = {None: None, "nr": "NR", "fr": "FR"}
    if (name := mode and mode.lower()) not in modes:
        fail(f"Option --mode must be nr or fr, but got {mode!r}.")
    return modes[name]


def _rules(median_of: str) -> Rules:
    from topiq_metrics.leaderboard.ranking import MedianOf, Rules

    choices: dict[str, MedianOf] = {
        "scene": "scene",
        "distortion": "distortion",
        "split": "split",
        "none": "",
    }
    if median_of not in choices:
        fail(f"Option --median-of must be one of {', '.join(choices)}, but got {median_of!r}.")
    return Rules(median_of=choices[median_of])


def _check_outputs(outputs: list[Path], *, overwrite: bool) -> None:
    """Find out what would fail at the end before anything is scored."""
    with exit_on_error():
        from topiq_metrics.leaderboard.outputs import check_output
        from topiq_metrics.statistics.columns import load_scipy

        load_scipy("stats")

        for path in outputs:
            check_output(path, overwrite=overwrite)


def _tell_left_out(dataset: AnyDataset) -> None:
    """Say which images of a table are not there."""
    from topiq_metrics.datasets import CSVDataset

    if isinstance(dataset, CSVDataset) and dataset.missing and dataset.partial:
        count, first = len(dataset.missing), dataset.missing[0]
        note = f"{dataset.labels}: {count} left out, since they are not there; the first is on {first}"
        _tell(note)


def _tell(text: str) -> None:
    """Say it on stderr, above the bar where there is one: click writes past whoever stands in for the stream."""
    if sys.stderr is not None:
        sys.stderr.write(printable(text) + "\n")
        sys.stderr.flush()


def _thumbnails(board: Board, datasets: list[AnyDataset]) -> Thumbnails:
    """Finds the pictures of a page's outliers; the board's test sets are those of the datasets."""
    from topiq_metrics.datasets import Record

    files = {
        test_set.key: {record.id: record.image for record in dataset.records if isinstance(record, Record)}
        for test_set, dataset in zip(board.test_sets, datasets, strict=True)
    }
    return lambda test_set, ids: {name: files[test_set.key][name] for name in ids}


def _give(
    board: Board, outputs: list[Path], rules: Rules, title: str | None, thumbnails: Thumbnails | None = None
) -> None:
    from topiq_metrics.leaderboard.namesakes import tell_namesakes
    from topiq_metrics.leaderboard.outputs import write_outputs
    from topiq_metrics.leaderboard.tables import as_markdown

    for line in tell_namesakes(board):
        typer.echo(printable(line), err=True)
    if rules.median_of == "distortion":
        for test_set in board.test_sets:
            if not test_set.distortions:
                _tell(f"{test_set.title} has no types of distortion: its figures are over all images.")
    for text in _advantages(board):
        _tell(text)
    with exit_on_error():
        named = {} if title is None else {"title": title}
        rankings = write_outputs(board, outputs, rules, thumbnails=thumbnails, **named)
    typer.echo("\n".join(map(str, outputs)) if outputs else as_markdown(rankings))


def _advantages(board: Board) -> Iterator[str]:
    """Say which metrics have learned from the very data that they are compared on, or from another part of it."""
    how = {"this": "learned from it", "other part": "learned from another part of that dataset"}
    for test_set in board.test_sets:
        found: dict[tuple[str, str], list[str]] = {}
        for entry in board.of(test_set.key):
            if entry.scores and entry.trained_on.knows_the_set:
                found.setdefault((entry.trained_on.relation, entry.trained_on.note), []).append(entry.metric)
        for (relation, note), metrics in found.items():
            # A note says why it is not known whether these images are among them.
            may_have = "may have " if relation == "this" and note else ""
            told = f"{', '.join(metrics)} {may_have}{how[relation]}, an advantage over others."
            yield f"{test_set.title}: {told}{f' {note}' if note else ''}"
