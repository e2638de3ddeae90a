"""The process that decodes for a job: files that crash or hang a decoder end it, and not the job.

It holds Pillow and numpy only. Requests come in on stdin and answers go out on stdout, pickled: for each image its
size, then, if the job says go, what it wants of the image; or the error. When the job's end of the pipe closes, however
the job has died, the process ends.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from typing import IO, Any

from topiq_metrics.errors import ImageError
from topiq_metrics.scoring.decoders import NO_MEMORY, decode_encoded


class _DismissedError(ImageError):
    """The job does not want these pixels."""


def main() -> None:
    # Signals to the whole group are for the job, which then ends this process.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    requests, answers = _take_pipes()
    _send(answers, "ready")
    while True:
        try:
            encoded, name, request = pickle.load(requests)  # noqa: S301 - the job's own words
        except EOFError:
            return
        except MemoryError:
            os._exit(NO_MEMORY)
        try:
            answer: Any = decode_encoded(encoded, name, request, lambda *size: _ask(requests, answers, size))
        except _DismissedError:
            continue
        except ImageError as error:
            answer = error
        except ImportError as error:
            answer = ImageError(f"{name}: {error}")
        _send(answers, answer)


def _end_with(job: int) -> None:
    """End this process with the job, also in the middle of an image."""
    while os.getppid() == job:
        time.sleep(1)
    os._exit(0)


def _ask(requests: IO[bytes], answers: IO[bytes], size: tuple[int, int]) -> None:
    _send(answers, size)
    if not pickle.load(requests):  # noqa: S301
        raise _DismissedError


def _take_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """The pipes to the job, out of reach of libraries that print."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    while nowhere <= 2:
        # What starts us may have closed one of these, and a copy must not get its number.
        nowhere = os.dup(nowhere)
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    return requests, answers


def _send(answers: IO[bytes], answer: object) -> None:
    try:
        pickle.dump(answer, answers, protocol=5)
        answers.flush()
    except BrokenPipeError:
        os._exit(0)
    except MemoryError:
        # Half an answer may be under way, which nobody can read on from.
        os._exit(NO_MEMORY)
