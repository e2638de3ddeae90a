"""What every command prints through."""

from __future__ import annotations

from typing import NoReturn

import typer


def fail(message: object, code: int = 2) -> NoReturn:
    """Print ``message`` to stderr and end with exit code ``code``."""
    text = "\n".join(printable(line) for line in str(message).split("\n"))
    typer.echo(f"Error: {text}", err=True)
    raise typer.Exit(code)


def printable(text: str) -> str:
    """``text`` with escapes for what a terminal cannot show, or would obey: file names may hold anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
