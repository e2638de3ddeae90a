"""A job of ``topiq score`` at work: its rows and progress, what is said in the end, and the exit code."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from topiq_metrics.cli.console import FULL_DISK, discard_stdout, fail, is_full_disk, printable
from topiq_metrics.cli.progress import log_event, shown_progress
from topiq_metrics.cli.rows import printed_rows

if TYPE_CHECKING:
    from topiq_metrics.scoring import ScoreRow
    from topiq_metrics.scoring.job import ScoreJob
    from topiq_metrics.scoring.ordering import Order

OUTSIDE = 4
"""Exit code of a job that has scored every image, some of them outside of the limits."""

_ADVICE = {"profiles-differ": " (a program that drops profiles does that; --profiles ignore reads both alike)"}


def run_job(
    job: ScoreJob, output: Path | None, *, form: str | None = None, order: Order | None = None, log_json: bool = False
) -> None:
    """Run a job to its end, or until something ends it.

    Args:
        job: what is to be done.
        output: where its rows go; None prints them.
        form: of printed rows, ``"csv"``, ``"jsonl"`` or ``"json"``; None is for whoever reads them.
        order: of printed rows, which then come in the end.
        log_json: whether progress and summary are lines of JSON.
    """
    from topiq_metrics.errors import WeightsError
    from topiq_metrics.scoring.sinks import OutputError, OutputWriteError
    from topiq_metrics.scoring.sources import SourceError

    try:
        # Rows on a terminal are printed when the bar has gone.
        printing = printed_rows(job.metrics, form, order) if output is None else contextlib.nullcontext(_drop)
        with printing as write, shown_progress(job, log_json=log_json):
            for row in job.rows():
                write(row)
    except BrokenPipeError:
        # The reader of our output has gone.
        discard_stdout()
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        _stopped(job, "Interrupted", "", 130)
    except OutputError as error:
        fail(error)
    except OutputWriteError as error:
        _unwritten(job, error)
    except (OSError, SourceError, WeightsError, ImportError, RuntimeError, ValueError) as error:
        if output is None and is_full_disk(error):
            discard_stdout()
            fail(
                f"The disk is full: the standard output cannot be written after {job.progress.images} images. Make "
                "room, and name an output with -o, which --resume can continue.",
                code=FULL_DISK,
            )
        if not job.progress.images:
            fail(error)
        _stopped(job, "The job ended", f": {error}", 1)
    _summarize(job, output, log_json=log_json)


def _drop(row: ScoreRow) -> None:
    """The row is in the output."""


def _unwritten(job: ScoreJob, error: OSError) -> NoReturn:
    images = job.progress.images
    if not images and not is_full_disk(error):
        fail(error)
    full = "The disk is full: " if is_full_disk(error) else ""
    kept = f" The rows of {images} images are kept." if images else ""
    fail(f"{full}{error.filename} {error.strerror}.{kept} Make room, and resume with --resume.", code=FULL_DISK)


def _stopped(job: ScoreJob, what: str, why: str, code: int) -> NoReturn:
    images = job.progress.images
    is_kept = images and job.place is not None and job.place.exists()
    kept = f" They are in {job.place}; --resume continues." if is_kept else ""
    fail(f"{what} after {images} images{why.rstrip('.')}.{kept}", code=code)


def _summarize(job: ScoreJob, output: Path | None, *, log_json: bool) -> None:
    from topiq_metrics.scoring.limits import LIMIT_WORDS

    progress = job.progress
    if log_json:
        fields: dict[str, Any] = progress.as_dict(progress.images)
        log_event("finished", **fields, output=None if output is None else str(output))
    elif progress.failed or progress.left_out or output is not None:
        reasons = ", ".join(f"{count} {reason}" for reason, count in progress.reasons.most_common())
        earlier = f" ({progress.earlier} of them before)" if progress.earlier else ""
        place = f" -> {output}" if output is not None else ""
        errors = f"{progress.failed} with errors" + (f" ({reasons})" if reasons else "")
        suffixes = ", ".join(f"{count} {suffix}" for suffix, count in sorted(progress.left_out.items()))
        left_out = f", {progress.left_out.total()} left out of shards ({suffixes})" if suffixes else ""
        typer.echo(
            f"{progress.images} images{earlier}: {progress.statuses['ok']} ok, {errors}{left_out}{place}", err=True
        )
    if progress.outside and not log_json:
        outside = f"{progress.outside} of {progress.images} images"
        typer.echo(f"{outside} are outside of the limits ({job.limits}).", err=True)
    for word, count in () if log_json else progress.notes.most_common():
        if word in LIMIT_WORDS:
            continue
        typer.echo(
            printable(f"Note on {count} of them: {progress.first_notes[word]}{_ADVICE.get(word, '')}."), err=True
        )
    if progress.failed:
        raise typer.Exit(1)
    if progress.outside:
        raise typer.Exit(OUTSIDE)
