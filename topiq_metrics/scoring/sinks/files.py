"""A lock on an output that dies with its job."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from filelock import FileLock, Timeout

from topiq_metrics.scoring.errors import OutputError


class OutputLock:
    """Held by the one job that writes an output; the system lets go of it however the job ends.

    Args:
        path: of the lock file, which is removed in the end; one that is left behind does not matter.
        output: what is locked, for the message.

    Raises:
        OutputError: if another job holds it.
    """

    def __init__(self, path: Path, output: str) -> None:
        self._path = path
        # Rows may be written by another thread than the one that opened their output.
        self._lock = FileLock(path, thread_local=False)
        while True:
            path.touch()
            with contextlib.suppress(FileNotFoundError):
                file = path.stat()
                self._acquire(output)
                # The job before us removes its lock file: a lock on that one would keep nobody away.
                if path.exists() and os.path.samestat(file, path.stat()):
                    return
                self._lock.release()

    def release(self) -> None:
        # Where an open file cannot be removed, letting go of the lock does it.
        with contextlib.suppress(OSError):
            self._path.unlink()
        self._lock.release()

    def _acquire(self, output: str) -> None:
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise OutputError(f"Another job is writing {output}. Wait for it, or name another output.") from None


def check_unlocked(path: Path, output: str) -> None:
    """Raise OutputError if a job holds the lock ``path``."""
    if path.exists():
        OutputLock(path, output).release()
