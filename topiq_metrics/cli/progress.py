"""How far a job is, on stderr: a bar on a terminal, JSON lines for programs, else a line now and then."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from topiq_metrics.cli.console import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    from topiq_metrics.leaderboard.progress import BoardProgress
    from topiq_metrics.scoring.job import ScoreJob

_LOG_SECONDS = 5.0
_LINE_SECONDS = 30.0
_WIDE = 110


@contextlib.contextmanager
def shown_progress(job: ScoreJob, *, log_json: bool) -> Iterator[None]:
    """Show the progress of ``job`` while the context lasts."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    with _shower(partial(_log if log_json else _bar if is_terminal else _lines, job)):
        yield


@contextlib.contextmanager
def shown_board_progress(progress: BoardProgress) -> Iterator[None]:
    """Show how far a leaderboard is while the context lasts."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    with _shower(partial(_board_bar if is_terminal else _board_lines, progress)):
        yield


@contextlib.contextmanager
def _shower(show: Callable[[threading.Event], None]) -> Iterator[None]:
    """Let another thread show what it does, on stderr if there is one, until the event says that it is over."""
    if sys.stderr is None:
        yield
        return
    ended = threading.Event()
    shower = threading.Thread(target=show, args=(ended,), daemon=True)
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
    from rich.progress import BarColumn, TextColumn

    total = _counted(job)
    _draw(
        Console(stderr=True),
        [TextColumn("scoring"), BarColumn()],
        lambda: {"completed": job.progress.images, "total": total()},
        lambda: _figures(job, total()),
        ended,
    )


def _draw(
    console: Console,
    columns: Sequence[ProgressColumn],
    state: Callable[[], dict[str, Any]],
    figures: Callable[[], str],
    ended: threading.Event,
) -> None:
    """Draw a bar until it is over: columns, how many of how many, and figures."""
    from rich.progress import MofNCompleteColumn, Progress, ProgressColumn
    from rich.text import Text

    class Figures(ProgressColumn):
        def render(self, task: Task) -> Text:  # noqa: ARG002
            return Text(figures())

    with Progress(*columns, MofNCompleteColumn(), Figures(), console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        while True:
            over = ended.wait(0.2)
            bar.update(task, **state())
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
        parts.append(_left(left))
    return " · ".join(parts)


def _left(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02} left"


def _board_lines(progress: BoardProgress, ended: threading.Event) -> None:
    while not ended.wait(_LINE_SECONDS):
        images = f"{progress.images} of {progress.total} images" if progress.total else ""
        parts = filter(None, (_board_place(progress), images, _board_figures(progress)))
        sys.stderr.write(printable(" · ".join(parts)) + "\n")
        sys.stderr.flush()


def _board_bar(progress: BoardProgress, ended: threading.Event) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn

    console = Console(stderr=True)
    # Names are long: on a narrow terminal they matter more.
    drawn = (BarColumn(),) if console.width >= _WIDE else ()

    def state() -> dict[str, Any]:
        place = printable(_board_place(progress))
        return {"description": place, "completed": progress.images, "total": progress.total or None}

    columns = [TextColumn("{task.description}", markup=False), *drawn]
    _draw(console, columns, state, lambda: _board_figures(progress), ended)


def _board_place(progress: BoardProgress) -> str:
    """Which metric and set it is at, of how many of both together."""
    if not progress.step:
        return ""
    return f"{progress.step} of {progress.steps}: {progress.metric} on {progress.test_set}"


def _board_figures(progress: BoardProgress) -> str:
    if progress.stage != "scoring":
        return progress.stage
    left = progress.seconds_left
    rate = f"{progress.images_per_second:.1f} images/s"
    return rate if left is None else f"{rate} · {_left(left)}"
