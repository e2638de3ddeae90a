"""A bound on the pixels in memory at once, whatever the sizes of images are."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class PixelBudget:
    """Pixels that images may hold between their decoding and their score.

    Images are let in by their number, one after the other: so a later one never takes what an earlier one waits for. An
    image that is larger than the whole budget is let in when it is alone.

    Args:
        pixels: the most to hold.
    """

    def __init__(self, pixels: int) -> None:
        self._total = pixels
        self._held = 0
        self._next = 0
        self._wanted = 0
        self._aborted = False
        self._changed = threading.Condition()

    def enter(self, number: int, pixels: int) -> None:
        """Wait for the images before ``number``, and for room; then hold ``pixels``.

        Raises:
            RuntimeError: if the job ends meanwhile.
        """
        with self._changed:
            self._wait_for(lambda: self._next == number)
            self._wanted = pixels
            self._changed.notify_all()
            self._wait_for(lambda: self._fits(pixels))
            self._wanted = 0
            self._held += pixels
            self._next += 1
            self._changed.notify_all()

    def hold(self, pixels: int) -> None:
        """Hold ``pixels`` (or fewer, where negative) besides what is held, without waiting."""
        with self._changed:
            self._held += pixels
            self._changed.notify_all()

    def wait(self, number: int, future: Future[Any]) -> bool:
        """Wait until ``future``, of the image ``number``, is done, or lacks room that others must make (False)."""
        future.add_done_callback(lambda _: self.hold(0))
        with self._changed:
            self._changed.wait_for(lambda: future.done() or (self._next == number and not self._fits(self._wanted)))
        return future.done()

    def abort(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._aborted = True
            self._changed.notify_all()

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        self._changed.wait_for(lambda: self._aborted or condition())
        if self._aborted:
            raise RuntimeError("The job has ended.")

    def _fits(self, pixels: int) -> bool:
        return not pixels or not self._held or self._held + pixels <= self._total
