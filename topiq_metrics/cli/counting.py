"""A bar for a known number of pictures, on a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def counted(total: int, done: str) -> Iterator[Callable[[], None]]:
    """Show how many of ``total`` pictures are done while the context lasts; what it gives is called after each."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = BarColumn(), MofNCompleteColumn(), TextColumn(done), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(done, total=total)
        yield lambda: bar.advance(task)
