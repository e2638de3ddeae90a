"""Threads that never keep a process from ending."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class DaemonThreads:
    """Calls functions in threads.

    Not a ThreadPoolExecutor: that one waits for its threads when Python ends, and ours may wait for a job that nobody
    goes on with.

    Args:
        count: of threads; each is started when there is work for it.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, function: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        self._calls.put((future, function))
        if len(self._threads) < self._count:
            self._threads.append(threading.Thread(target=self._run, daemon=True))
            self._threads[-1].start()
        return future

    def close(self) -> None:
        """Wait for what is under way, and drop the rest."""
        while not self._calls.empty():
            if (call := self._calls.get()) is not None:
                call[0].cancel()
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            future, function = call
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function())
                except BaseException as error:  # noqa: BLE001 - for whoever asks for the result
                    future.set_exception(error)
            del call, future, function
