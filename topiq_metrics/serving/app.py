"""The server's pages and calls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from topiq_metrics import __version__
from topiq_metrics.catalog import DEFAULT_FR, DEFAULT_NR, default_metric
from topiq_metrics.explaining.colors import colorize
from topiq_metrics.pages.rendering import render
from topiq_metrics.scoring.rows import reason
from topiq_metrics.serving.comparison import ComparedPicture
from topiq_metrics.serving.guard import Access, Guard, refused
from topiq_metrics.serving.limits import Limits
from topiq_metrics.serving.offered import Offered, offered_metrics
from topiq_metrics.serving.openapi import LEAST_PREVIEW, MOST_PREVIEW, openapi
from topiq_metrics.serving.service import NotLoadedError, Picture, Scored, Service
from topiq_metrics.serving.uploads import Form, RefusedError, Room, announced_size, read_form

T = TypeVar("T")

_COLORS = 33

_GONE = 499
"""What logs say of an answer that nobody waits for any more."""


def create_app(service: Service, access: Access, limits: Limits) -> Starlette:
    """The application, for any ASGI server; when it ends, it closes the service.

    Args:
        service: scores.
        access: who is let in.
        limits: of what is sent.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.close)

    calls = _Calls(service, access, limits)
    routes = [
        Route("/", calls.page),
        Route("/api/openapi.json", calls.openapi),
        Route("/api/metrics", calls.metrics),
        Route("/api/score", calls.score, methods=["POST"]),
        Route("/api/compare", calls.compare, methods=["POST"]),
    ]
    handlers: Any = {RefusedError: _on_refused, HTTPException: _on_http, ClientDisconnect: _on_gone}
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, access)],
        exception_handlers={**handlers, Exception: _on_failure},
        lifespan=lifespan,
    )


class _Calls:
    def __init__(self, service: Service, access: Access, limits: Limits) -> None:
        self._service = service
        self._has_token = access.token is not None
        self._limits = limits
        self._room = Room(limits.held_bytes, limits.waiting)
        self._page = render("serve", title="topiq serve", version=__version__, data={"palette": _palette()})

    async def page(self, _: Request) -> Response:
        return HTMLResponse(self._page)

    async def openapi(self, _: Request) -> Response:
        return JSONResponse(openapi(offered_metrics(), self._limits, has_token=self._has_token))

    async def metrics(self, _: Request) -> Response:
        return JSONResponse(
            {
                "version": __version__,
                "defaults": {"NR": DEFAULT_NR, "FR": DEFAULT_FR},
                "metrics": [_described(metric) for metric in offered_metrics().values()],
                "limits": {name: getattr(self._limits, name) for name in ("request_bytes", "pictures", "pixels")},
            }
        )

    async def score(self, request: Request) -> Response:
        async with self._form(request) as form:
            offered = {name: metric for name, metric in offered_metrics().items() if metric.is_here}
            _check_fields(form, files={"images", "reference"}, texts={"metrics", "preview", "map"})
            images, reference = _pictures(form, 1, self._limits.pictures)
            names = dict.fromkeys(form.texts.get("metrics") or [default_metric(with_reference=reference is not None)])
            metrics = tuple(_known(name, offered) for name in names)
            mapped = _one(form, "map")
            if mapped is not None:
                _known(mapped, _comparing(offered))
            answer = self._service.score(images, reference, metrics, _preview_side(form), mapped)
            rows = await _answer(request, answer)
        return JSONResponse({"rows": [_row(scored, metrics) for scored in rows]})

    async def compare(self, request: Request) -> Response:
        async with self._form(request) as form:
            offered = {name: metric for name, metric in offered_metrics().items() if metric.is_here}
            _check_fields(form, files={"images", "reference"}, texts={"metric"})
            images, reference = _pictures(form, 2, self._limits.pictures)
            metric = _one(form, "metric") or default_metric(with_reference=reference is not None)
            _known(metric, _comparing(offered))
            rows = await _answer(request, self._service.compare(images, reference, metric))
        return JSONResponse({"metric": metric, "rows": [_compared(row) for row in rows]})

    @contextlib.asynccontextmanager
    async def _form(self, request: Request) -> AsyncIterator[Form]:
        """The form of a request, which holds its room in memory until the answer is there."""
        async with self._room.take(announced_size(request.headers, self._limits)):
            yield await read_form(request, self._limits)


def _palette() -> list[str]:
    """The colours of maps, from good to bad."""
    colors = colorize(np.linspace(0, 1, _COLORS, dtype=np.float32)).round().astype(int)
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colors.tolist()]


async def _answer(request: Request, answer: Future[T]) -> T:
    """What the service answers; a job whose asker goes away before its turn is not done.

    Raises:
        RefusedError: if the server ends, or a metric cannot be loaded.
        ClientDisconnect: if the asker has gone.
    """
    waiting = asyncio.wrap_future(answer)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        both: set[asyncio.Future[Any]] = {waiting, gone}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise ClientDisconnect
        return waiting.result()
    except asyncio.CancelledError:
        if not answer.cancelled():
            raise
        raise RefusedError(503, "ended", "The server ends.") from None
    except NotLoadedError as error:
        raise RefusedError(503, "not-loaded", str(error)) from error
    finally:
        gone.cancel()
        waiting.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _check_fields(form: Form, *, files: set[str], texts: set[str]) -> None:
    for names, known, kind, other in ((form.files, files, "file", texts), (form.texts, texts, "text", files)):
        for name in names:
            if name in other:
                raise _wrong(f"Field `{name}` must not be a {kind}.")
            if name not in known:
                raise _wrong(f"There is no field `{name[:100]}`, but {', '.join(sorted(files | texts))}.")


def _pictures(form: Form, least: int, most: int) -> tuple[Sequence[Picture], Picture | None]:
    images, references = form.files.get("images", []), form.files.get("reference", [])
    if not least <= len(images) <= most:
        raise _wrong(f"Field `images` takes {least} to {most} files, but got {len(images)}.")
    if len(references) > 1:
        raise _wrong("Field `reference` takes one file.")
    return images, references[0] if references else None


def _known(name: str, offered: dict[str, Offered]) -> str:
    if name not in offered:
        raise _wrong(f"There is no metric {name[:100]!r} here, but {', '.join(offered)}: see /api/metrics.")
    return name


def _one(form: Form, name: str) -> str | None:
    given = form.texts.get(name, [])
    if len(given) > 1:
        raise _wrong(f"Field `{name}` takes one metric.")
    return given[0] if given else None


def _comparing(offered: dict[str, Offered]) -> dict[str, Offered]:
    return {name: metric for name, metric in offered.items() if metric.compares}


def _preview_side(form: Form) -> int:
    given = form.texts.get("preview", [])
    if not given:
        return 0
    (text, *more) = given
    is_short_number = text.isascii() and text.isdigit() and len(text) <= len(str(MOST_PREVIEW))
    if more or not (is_short_number and LEAST_PREVIEW <= int(text) <= MOST_PREVIEW):
        raise _wrong(f"Field `preview` takes one number of pixels, {LEAST_PREVIEW} to {MOST_PREVIEW}.")
    return int(text)


def _described(metric: Offered) -> dict[str, Any]:
    card = metric.card
    return {
        "name": card.name,
        "mode": card.mode,
        "summary": card.summary,
        "score_range": card.score_range,
        "higher_is_better": card.higher_is_better,
        "license": "" if card.weights is None else card.weights.license,
        "here": metric.is_here,
        "lacking": metric.lacking,
        "compares": metric.compares,
    }


def _row(scored: Scored, metrics: Sequence[str]) -> dict[str, Any]:
    row = scored.row
    scores = {name: value for name, value in row.as_dict().items() if name in row.scores}
    return {
        "name": row.path,
        "scores": scores,
        "width": row.width,
        "height": row.height,
        "size": row.size,
        "status": row.status,
        "reason": reason(row.error, metrics),
        "error": row.error,
        "note": row.note,
        "preview": scored.preview,
        "map": None if scored.map is None else asdict(scored.map),
    }


def _compared(picture: ComparedPicture) -> dict[str, Any]:
    return {
        "name": picture.name,
        "score": picture.score,
        "noise": picture.noise,
        "place": picture.place,
        "ties": picture.ties,
        "reason": reason(picture.error, []),
        "error": picture.error,
        "note": picture.note,
    }


def _wrong(message: str) -> RefusedError:
    return RefusedError(422, "wrong-field", message)


async def _on_refused(_: Request, error: RefusedError) -> Response:
    answer = refused(error.status, error.reason, error.message)
    if error.status == 503:
        answer.headers["Retry-After"] = "5"
    return answer


async def _on_http(_: Request, error: HTTPException) -> Response:
    answer = refused(error.status_code, "not-found" if error.status_code == 404 else "not-allowed", error.detail)
    answer.headers.update(error.headers or {})
    return answer


async def _on_gone(_: Request, __: ClientDisconnect) -> Response:
    return Response(status_code=_GONE)


async def _on_failure(_: Request, __: Exception) -> Response:
    return refused(500, "failed", "The server has failed: what it prints says why.")
