"""What every command prints through."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import NoReturn

import typer

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
    """Without Python's ``[Errno 28]``, and with the file that the system tells of."""
    if not isinstance(message, OSError) or message.strerror is None:
        return str(message)
    file = output if message.filename is None else message.filename
    full = "The disk is full. " if is_full_disk(message) else ""
    return f"{full}{message.strerror}" if file is None else f"{full}{file}: {message.strerror}"
