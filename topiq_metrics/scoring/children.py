"""The processes that decode, as the job sees them: started, asked, ended.

This module loads the standard library only, so that a command can have one start before it imports torch.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, cast

LOST = (EOFError, BrokenPipeError, pickle.UnpicklingError)
"""What asking a process raises that has ended."""

_START_SECONDS = 120
# There is a process for each processor.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

_EARLY: deque[Child] = deque()


@dataclass
class Child:
    """A process that decodes, and the pipes to it.

    Attributes:
        late: it was killed because an answer took too long.
    """

    process: subprocess.Popen[bytes]
    requests: IO[bytes]
    answers: IO[bytes]
    late: bool = False

    def await_ready(self) -> None:
        """Wait until it has started; raises one of `LOST` if it does not."""
        with self.deadline(_START_SECONDS):
            pickle.load(self.answers)  # noqa: S301 - our own process

    def ask(self, request: object, seconds: float) -> Any:
        with self.deadline(seconds):
            self.tell(request)
            return pickle.load(self.answers)  # noqa: S301 - our own process

    def tell(self, request: object) -> None:
        pickle.dump(request, self.requests, protocol=5)
        self.requests.flush()

    @contextlib.contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _end(self) -> None:
        self.late = True
        self.process.kill()

    def dispose(self) -> int:
        self.process.kill()
        for pipe in (self.requests, self.answers):
            with contextlib.suppress(OSError):
                pipe.close()
        return self.process.wait()


def launch() -> Child:
    """Start a process that decodes, without waiting for it.

    Raises:
        RuntimeError: if the system starts none.
    """
    # Not multiprocessing, whose children import the caller's script once more.
    code = "import sys; sys.path[:] = sys.argv[1:]; from topiq_metrics.scoring.worker import main; main()"
    try:
        process = subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-c", code, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **_ONE_THREAD},
        )
    except OSError as error:
        raise RuntimeError(f"A process that decodes images cannot be started: {error}.") from error
    return Child(process, cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout))


@contextlib.contextmanager
def started_early() -> Iterator[None]:
    """Have one process start by now, for the first decoder that wants one; if none does, it ends with the block."""
    # Who needs it will say why it cannot be started.
    with contextlib.suppress(RuntimeError):
        _EARLY.append(launch())
    try:
        yield
    finally:
        while _EARLY:
            _EARLY.pop().dispose()


def take_early() -> Child | None:
    """A process that was started early, if one is left that still runs; under the limits of memory of this process."""
    while _EARLY:
        try:
            child = _EARLY.popleft()
        except IndexError:
            # Another thread was faster.
            return None
        if child.process.poll() is None:
            _share_limit(child)
            return child
        child.dispose()
    return None


def _share_limit(child: Child) -> None:
    """Set the limit that a process started now would have."""
    try:
        import resource

        resource.prlimit(child.process.pid, resource.RLIMIT_DATA, resource.getrlimit(resource.RLIMIT_DATA))
    except (ImportError, AttributeError, OSError, ValueError):
        # As `limit_memory`, on Linux only; or it has ended meanwhile, as its decoder will notice.
        return
