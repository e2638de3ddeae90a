"""The forms that browsers and programs send: files in memory, within bounds, and nothing on the disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from topiq_metrics.serving.limits import Limits
from topiq_metrics.serving.service import Picture

_FIELDS = 100
_FIELD_BYTES = 10_000
_NAME_CHARACTERS = 255


class RefusedError(Exception):
    """A request that is not served.

    Args:
        status: of the answer, in HTTP.
        reason: a short, stable word.
        message: what is wrong and what to do.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message


@dataclass
class Form:
    """What was sent.

    Attributes:
        files: by field, in their order.
        texts: likewise.
    """

    files: dict[str, list[Picture]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)


class Room:
    """A bound on the bytes of requests in memory: who comes first is let in first, and others wait unread.

    Args:
        total: bytes.
        waiting: the most requests at once.
    """

    def __init__(self, total: int, waiting: int) -> None:
        self._total = total
        self._most = waiting
        self._held = 0
        self._requests = 0
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def take(self, size: int) -> AsyncIterator[None]:
        """Hold ``size`` bytes, as soon as those before have theirs.

        Raises:
            RefusedError: if too many wait already.
        """
        if self._requests >= self._most:
            raise RefusedError(503, "busy", f"There are {self._requests} requests already: come again later.")
        self._requests += 1
        try:
            async with self._turn:
                while self._held and self._held + size > self._total:
                    self._freed.clear()
                    await self._freed.wait()
                self._held += size
            try:
                yield
            finally:
                self._held -= size
                self._freed.set()
        finally:
            self._requests -= 1


def announced_size(headers: Headers, limits: Limits) -> int:
    """The bytes that a request is going to send, or may.

    Raises:
        RefusedError: if they are too many, or it is no form.
    """
    if parse_options_header(headers.get("content-type"))[0] != b"multipart/form-data":
        raise RefusedError(415, "not-a-form", "Send multipart/form-data, as `curl -F images=@photo.jpg` does.")
    length = headers.get("content-length", "")
    size = int(length) if length.isascii() and length.isdigit() else limits.request_bytes
    if size > limits.request_bytes:
        raise _too_large(limits)
    return size


async def read_form(request: Request, limits: Limits) -> Form:
    """Read a form.

    Raises:
        RefusedError: if it is damaged, too large, or stops coming.
        starlette.requests.ClientDisconnect: if whoever sends it has gone.
    """
    boundary = parse_options_header(request.headers["content-type"])[1].get(b"boundary", b"")
    # Names are read as UTF-8, whatever else a form claims: other codecs make text that cannot be written again.
    headers = Headers({"content-type": f'multipart/form-data; boundary="{boundary.decode("latin-1")}"'})
    async with aclosing(_bounded(request, limits)) as stream:
        parser = _Parser(headers, stream, max_files=limits.pictures + 1, max_fields=_FIELDS, max_part_size=_FIELD_BYTES)
        parser.spool_max_size = limits.request_bytes + 1
        try:
            fields = await parser.parse()
        except MultiPartException as error:
            raise RefusedError(400, "damaged-form", error.message) from None
    form = Form()
    try:
        for name, value in fields.multi_items():
            if isinstance(value, UploadFile):
                picture = Picture((value.filename or "")[:_NAME_CHARACTERS], await value.read())
                form.files.setdefault(name, []).append(picture)
            else:
                form.texts.setdefault(name, []).append(value)
    finally:
        await fields.close()
    return form


class _Parser(MultiPartParser):
    """Starlette's, for which a form that is cut short is one without its last fields."""

    _is_whole = False

    def on_end(self) -> None:
        self._is_whole = True

    async def parse(self) -> FormData:
        fields = await super().parse()
        if self._is_whole:
            return fields
        for file in self._files_to_close_on_error:
            file.close()
        raise MultiPartException("The form ends before its last boundary.")


async def _bounded(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    size = 0
    async with aclosing(request.stream()) as stream:
        while True:
            try:
                chunk = await asyncio.wait_for(anext(stream), limits.idle_seconds)
            except StopAsyncIteration:
                return
            except asyncio.TimeoutError:
                raise RefusedError(408, "too-slow", f"Nothing was received for {limits.idle_seconds:g} s.") from None
            size += len(chunk)
            if size > limits.request_bytes:
                raise _too_large(limits)
            yield chunk


def _too_large(limits: Limits) -> RefusedError:
    return RefusedError(413, "too-large", f"A request may have {limits.request_bytes} bytes at most.")
