"""From options to a server that listens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from urllib.parse import quote

import uvicorn

from topiq_metrics.catalog import DEFAULT_NR
from topiq_metrics.inference.backends import choose_backend
from topiq_metrics.inference.predictor import choose_device
from topiq_metrics.serving.app import create_app
from topiq_metrics.serving.guard import Access, is_loopback, own_names
from topiq_metrics.serving.limits import Limits
from topiq_metrics.serving.service import Service

_BACKLOG = 1024
_SECONDS_TO_END = 3


def serve(
    host: str = "127.0.0.1",
    port: int = 8642,
    *,
    token: str | None = None,
    names: Sequence[str] = (),
    limits: Limits | None = None,
    device: str | None = None,
    backend: str = "torch",
    precision: str = "float32",
    max_memory: str | int | None = None,
    workers: int | None = None,
    timeout: float = 30.0,
    announce: Callable[[str], object] = print,
) -> None:
    """Serve the page and the API until the process is told to end.

    Args:
        host: to listen on. Beyond loopback a token is asked for.
        port: 0 takes a free one.
        token: that every call must have; beyond loopback, one is made if none is given.
        names: further host names under which the server is addressed.
        limits: of what is sent.
        device: where to run; a GPU if there is one.
        backend: what runs the networks, as for `topiq_metrics.score_images`.
        precision: likewise.
        max_memory: likewise; None for the usual.
        workers: processes that decode; None takes one for each processor, at most 8.
        timeout: seconds for decoding a picture.
        announce: is told the page's address when the server listens.

    Raises:
        ValueError: if an argument is wrong.
        OSError: if nothing can listen there.
        NotLoadedError: if the bundled metric cannot be loaded.
    """
    limits = Limits() if limits is None else limits
    is_public = not is_loopback(host)
    if is_public and token is None:
        token = secrets.token_urlsafe(32)
    access = Access(token, [*(own_names(host) if is_public else ()), *(name.lower() for name in names)], is_public)
    chosen = choose_backend(backend, precision, **({} if max_memory is None else {"max_memory": max_memory}))
    where = choose_device(device)
    listening = _listen(host, port)
    with listening:
        service = Service(limits, device=str(where), backend=chosen.on(where), workers=workers, timeout=timeout)
        try:
            # What is wrong with weights is to be known before anybody comes.
            service.warm_up([DEFAULT_NR]).result()
            config = uvicorn.Config(
                create_app(service, access, limits),
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                ws="none",
                lifespan="on",
                timeout_graceful_shutdown=_SECONDS_TO_END,
            )
            # Whoever sends a damaged form is told of it; what it prints is for who has started the server.
            logging.getLogger("python_multipart").setLevel(logging.ERROR)
            announce(_address(host, listening, token))
            server = uvicorn.Server(config)
            with contextlib.suppress(asyncio.CancelledError):
                server.run(sockets=[listening])
        except CancelledError:
            return
        finally:
            service.close()
    # A signal ends uvicorn. What asyncio makes of it depends on the moment: an interruption, a cancellation or nothing.
    if server.should_exit:
        raise KeyboardInterrupt


def _listen(host: str, port: int) -> socket.socket:
    address = "127.0.0.1" if host == "localhost" else host
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise OSError(f"Cannot listen on {host}, port {port}: {error.strerror or error}.") from error


def _address(host: str, listening: socket.socket, token: str | None) -> str:
    """The page's address; what is behind the # is not sent over the network."""
    name = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)  # noqa: S104
    shown = f"[{name}]" if ":" in name else name
    fragment = "" if token is None else f"#token={quote(token, safe='')}"
    return f"http://{shown}:{listening.getsockname()[1]}/{fragment}"
