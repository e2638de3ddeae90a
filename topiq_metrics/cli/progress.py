"""How far a job is, on stderr: a bar for people, JSON lines for programs, nothing for a plain pipe."""

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


@contextlib.contextmanager
def shown_progress(job: ScoreJob, *, log_json: bool) -> Iterator[None]:
    """Show the progress of ``job`` while the context lasts."""
    show = _log if log_json else _bar if sys.stderr is not None and sys.stderr.isatty() else None
    if show is None:
        yield
        return
    total: list[int | None] = [None]
    ended = threading.Event()
    # A folder of millions takes a while to count.
    counting = threading.Thread(target=lambda: total.__setitem__(0, _count(job)), daemon=True)
    counting.start()
    shower = threading.Thread(target=show, args=(job, lambda: total[0], ended), daemon=True)
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


def _count(job: ScoreJob) -> int | None:
    with contextlib.suppress(Exception):  # the job itself tells what is wrong with its source
        return job.count()
    return None


def _log(job: ScoreJob, total: Callable[[], int | None], ended: threading.Event) -> None:
    while not ended.wait(_LOG_SECONDS):
        log_event("progress", **job.progress.as_dict(total()))


def _bar(job: ScoreJob, total: Callable[[], int | None], ended: threading.Event) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn
    from rich.text import Text

    class Figures(ProgressColumn):
        def render(self, task: Task) -> Text:  # noqa: ARG002
            return Text(_figures(job, total()))

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
