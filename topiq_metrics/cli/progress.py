"""How far a job is, on stderr: a bar on a terminal, JSON lines for programs, else a line now and then."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Task
    from rich.text import Text

    from topiq_metrics.scoring.job import ScoreJob

_LOG_SECONDS = 5.0
_LINE_SECONDS = 30.0


@contextlib.contextmanager
def shown_progress(job: ScoreJob, *, log_json: bool) -> Iterator[None]:
    """Show the progress of ``job`` while the context lasts."""
    if sys.stderr is None:
        yield
        return
    show = _log if log_json else _bar if sys.stderr.isatty() else _lines
    ended = threading.Event()
    shower = threading.Thread(target=show, args=(job, ended), daemon=True)
    shower.start()
    try:
        yield
    finally:
        ended.set()
        shower.join()


def log_event(event: str, **fields: object) -> None:
    """One line of JSON on stderr."""
    sys.stderr.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stderr.flush()


def _counted(job: ScoreJob) -> Callable[[], int | None]:
    """Begin to count the images, which takes a while in a folder of millions; gives their number once it is there."""
    total: list[int | None] = [None]

    def count() -> None:
        with contextlib.suppress(Exception):  # the job itself tells what is wrong with its source
            total[0] = job.count()

    threading.Thread(target=count, daemon=True).start()
    return lambda: total[0]


def _lines(job: ScoreJob, ended: threading.Event) -> None:
    total = None
    while not ended.wait(_LINE_SECONDS):
        # Most jobs have ended before.
        total = total or _counted(job)
        known = total()
        images = f"{job.progress.images} images" if known is None else f"{job.progress.images} of {known} images"
        sys.stderr.write(f"{images} · {_figures(job, known)}\n")
        sys.stderr.flush()


def _log(job: ScoreJob, ended: threading.Event) -> None:
    total = _counted(job)
    while not ended.wait(_LOG_SECONDS):
        log_event("progress", **job.progress.as_dict(total()))


def _bar(job: ScoreJob, ended: threading.Event) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn
    from rich.text import Text

    class Figures(ProgressColumn):
        def render(self, task: Task) -> Text:  # noqa: ARG002
            return Text(_figures(job, total()))

    total = _counted(job)
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), Figures())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        while True:
            over = ended.wait(0.2)
            bar.update(task, completed=job.progress.images, total=total())
            if over:
                return


def _figures(job: ScoreJob, total: int | None) -> str:
    progress = job.progress
    seconds = max(progress.seconds, 1e-9)
    parts = [
        f"{progress.images_per_second:.1f} images/s",
        f"network {progress.network / seconds:.0%}",
        f"waiting for decoding {progress.waiting / seconds:.0%}",
    ]
    if progress.failed:
        parts.append(f"{progress.failed} with errors")
    left = None if total is None else progress.seconds_left(total)
    if left is not None:
        minutes, rest = divmod(round(left), 60)
        parts.append(f"{minutes // 60}:{minutes % 60:02}:{rest:02} left")
    return " · ".join(parts)
