"""What is wrong with an output."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


class OutputError(ValueError):
    """The output cannot be used for these rows; the message says what to do."""


class OutputWriteError(OSError):
    """Writing to an output failed, for example on a full disk; ``filename`` is the file."""


@contextlib.contextmanager
def output_errors() -> Iterator[None]:
    """Raise what `topiq_metrics._outputs` finds as OutputError."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise OutputError(str(error)) from None


@contextlib.contextmanager
def named_output(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let errors of the system say that they are of the output ``path``, unless they name a file.

    Raises:
        OutputWriteError: instead of any other OSError.
    """
    try:
        yield
    except OSError as error:
        file = error.filename if error.filename is not None else os.fspath(path)
        raise OutputWriteError(error.errno, f"cannot be written ({error.strerror or error})", file) from error
