"""What every command prints through, and how it ends."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from topiq_metrics.errors import WeightsError, one_line

if TYPE_CHECKING:
    from rich.table import Table

_OPTIONS = {"references": "reference"}
"""Of arguments of the library that the command line calls otherwise."""

Errors = tuple[type[BaseException], ...]

FULL_DISK = 3
"""Exit code of a command that has found the disk full."""


def fail(message: object, code: int = 2, *, output: Path | None = None) -> NoReturn:
    """Print ``message`` to stderr and end with exit code ``code``; or with `FULL_DISK` if that is what it tells of.

    Args:
        message: an error, or text.
        code: of the exit.
        output: what was being written, for errors that do not name their file.
    """
    if is_full_disk(message):
        code = FULL_DISK
    text = "\n".join(printable(line) for line in _in_words(message, output).split("\n"))
    typer.echo(f"Error: {text}", err=True)
    raise typer.Exit(code)


def discard_stdout() -> None:
    """Let Python not complain once more at exit that it cannot write what is left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def exit_on_error(
    *,
    refused: Errors = (ValueError, OSError, WeightsError, ImportError),
    failed: Errors = (),
    brief: bool = False,
    output: Path | None = None,
    interrupted: str = "Interrupted.",
) -> Iterator[None]:
    """End the command in a line where an error is raised that a user may cause; others are bugs.

    Args:
        refused: errors that mean that the command cannot start: exit code 2.
        failed: others, that mean that it could not do what it was told: exit code 1.
        brief: whether of the latter the first line is enough, as of torch's, which tell of C++ below.
        output: what is being written, for errors that do not name their file.
        interrupted: what to say where the user has had enough; exit code 130.
    """
    try:
        yield
    except typer.Exit:
        raise
    except refused as error:
        fail(error, output=output)
    except failed as error:
        fail(one_line(error, with_type=False) if brief else error, code=1)
    except KeyboardInterrupt:
        fail(interrupted, code=130)


def print_table(table: Table, width: int = 200) -> None:
    """Print a table as wide as the terminal; elsewhere ``width``, which is to be enough for every column."""
    from rich.console import Console

    console = Console()
    Console(width=None if console.is_terminal else width).print(table)


def is_full_disk(error: object) -> bool:
    """Whether an error, or what it comes from, is that there is no room to write to."""
    while isinstance(error, BaseException):
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return True
        error = error.__cause__ or error.__context__
    return False


def printable(text: str) -> str:
    """``text`` with escapes for what a terminal cannot show, or would obey: file names may hold anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _in_words(message: object, output: Path | None) -> str:
    """Without Python's ``[Errno 28]``, and with the file that the system tells of; options as they are typed."""
    if not isinstance(message, OSError) or message.strerror is None:
        return _as_typed(str(message))
    file = output if message.filename is None else message.filename
    full = "The disk is full. " if is_full_disk(message) else ""
    return f"{full}{message.strerror}" if file is None else f"{full}{file}: {message.strerror}"


def _as_typed(text: str) -> str:
    """An error of the library in the command line's words: no Python tuples, and options by their names."""
    text = re.sub(r"\(('[^']*'(?:, '[^']*')*),?\)", lambda found: found[1].replace("'", ""), text)
    return re.sub(r"\b([Aa])rgument `(\w+)`", _option, text)


def _option(found: re.Match[str]) -> str:
    name = _OPTIONS.get(found[2], found[2].replace("_", "-"))
    return f"{'O' if found[1] == 'A' else 'o'}ption --{name}"
