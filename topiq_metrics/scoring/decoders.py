"""Encoded images to pixels, in this process or in one that they may crash."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import threading
from typing import Protocol

from topiq_metrics.errors import ImageError, ImageMemoryError
from topiq_metrics.images.color import Pixels
from topiq_metrics.images.files import Admit, decode_path, decode_stream
from topiq_metrics.scoring.children import LOST, Child, launch, take_early
from topiq_metrics.scoring.decoded import Decoded, Request, fit
from topiq_metrics.scoring.items import Encoded

NO_MEMORY = 77
"""Exit code of a decoding process that memory did not suffice for."""


class DecoderCrashedError(ImageError):
    """The decoder died of the image."""

    reason = "crashed"


class DecoderTimeoutError(ImageError):
    """The image could not be fetched or decoded in the time allowed."""

    reason = "timeout"


def decode_encoded(encoded: Encoded, name: str, request: Request, admit: Admit) -> Decoded:
    """Decode a file, a URL or bytes, called ``name`` in errors; raises as `topiq_metrics.load_image` does.

    Args:
        request: what is asked for.
        admit: is told width and height, as stored, before pixels are decoded; may wait, or raise an ImageError.
    """
    return fit(_pixels(encoded, name, request, admit), name, request.sizes)


def _pixels(encoded: Encoded, name: str, request: Request, admit: Admit) -> Pixels:
    max_pixels, profiles, least_size = request.max_pixels, request.profiles, request.least_size
    if isinstance(encoded, bytes):
        return decode_stream(io.BytesIO(encoded), name, max_pixels, admit, profiles, least_size)
    if "://" in os.fspath(encoded):
        from topiq_metrics.scoring.sources.remote import read_url

        return decode_stream(io.BytesIO(read_url(os.fspath(encoded))), name, max_pixels, admit, profiles, least_size)
    return decode_path(encoded, max_pixels, admit, profiles, least_size)


class Decoder(Protocol):
    """Decodes one image at a time, for one thread; raises as `decode_encoded` does."""

    def decode(self, encoded: Encoded, name: str, request: Request, admit: Admit) -> Decoded: ...

    def abort(self) -> None:
        """End a decoding that another thread waits for."""
        ...

    def close(self) -> None: ...


class LocalDecoder:
    """Decodes in this process."""

    def decode(self, encoded: Encoded, name: str, request: Request, admit: Admit) -> Decoded:
        return decode_encoded(encoded, name, request, admit)

    def abort(self) -> None:
        pass

    def close(self) -> None:
        pass


class ProcessDecoder:
    """Decodes in a process of its own, started when first needed and again after it has died.

    Args:
        timeout: seconds for the header of an image, fetching it included, and again for its pixels.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._child: Child | None = None
        self._aborted = False
        self._lock = threading.Lock()

    def decode(self, encoded: Encoded, name: str, request: Request, admit: Admit) -> Decoded:
        """Decode, as `decode_encoded` does.

        Raises:
            DecoderCrashedError: if the process died of it.
            DecoderTimeoutError: if it took too long.
            RuntimeError: if no process can be started.
        """
        child = self._living() or self._start()
        try:
            answer = self._asked(child, (encoded, name, request), admit)
        except LOST:
            raise self._obituary(child, name) from None
        except BaseException:
            # An answer that is still under way would be taken for that to the next question.
            self.close()
            raise
        if isinstance(answer, ImageError):
            raise answer
        return answer

    def _asked(self, child: Child, request: object, admit: Admit) -> Decoded | ImageError:
        answer = child.ask(request, self._timeout)
        if isinstance(answer, tuple):
            try:
                admit(*answer)
            except ImageError as error:
                child.tell(False)
                return error
            answer = child.ask(True, self._timeout)
        outcome: Decoded | ImageError = answer
        return outcome

    def _living(self) -> Child | None:
        """The process, unless it died since its last image, or was killed too late for it."""
        if self._child is not None and (self._child.late or self._child.process.poll() is not None):
            self.close()
        return self._child

    def abort(self) -> None:
        with self._lock:
            self._aborted = True
            if self._child is not None:
                self._child.process.kill()

    def close(self) -> None:
        if self._child is not None:
            self._child.dispose()
            self._child = None

    def _start(self) -> Child:
        with self._lock:
            if self._aborted:
                raise RuntimeError("The job has ended.")
            self._child = child = take_early() or launch()
        try:
            child.await_ready()
        except BaseException as error:
            self._child = None
            status = child.dispose()
            if not isinstance(error, LOST):
                raise
            raise RuntimeError(f"A process that decodes images ended at once, with code {status}.") from None
        return child

    def _obituary(self, child: Child, name: str) -> ImageError:
        self._child = None
        # Before it is killed for good, its own end is to be known.
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(timeout=5)
        code = child.dispose()
        if child.late:
            return DecoderTimeoutError(f"{name}: was not decoded within {self._timeout:g} s.")
        if code in {-9, NO_MEMORY}:
            return ImageMemoryError(f"{name}: its decoder was ended as the system does when memory runs out.")
        cause = f"signal {-code}" if code < 0 else f"code {code}"
        return DecoderCrashedError(f"{name}: its decoder died of {cause}.")
