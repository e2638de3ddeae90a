"""A server on a free port of this machine, in a thread of the tests."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")
requests = pytest.importorskip("requests")

PHOTOGRAPHS = Path(__file__).parents[2] / "docs" / "photographs"


@dataclass
class Server:
    """Where a server is, and what it scores with."""

    url: str
    service: Any

    def score(self, *files: tuple[str, bytes], reference: bytes | None = None, **fields: Any) -> Any:
        """The answer to pictures of these names and contents."""
        return self.post("score", files, reference, fields)

    def compare(self, *files: tuple[str, bytes], reference: bytes | None = None, **fields: Any) -> Any:
        return self.post("compare", files, reference, fields)

    def post(self, call: str, files: Any, reference: bytes | None, fields: dict[str, Any]) -> Any:
        sent = [("images", file) for file in files]
        if reference is not None:
            sent.append(("reference", ("reference", reference)))
        return requests.post(f"{self.url}/api/{call}", files=sent, data=fields, timeout=60)


@contextlib.contextmanager
def running(*, token: str | None = None, workers: int = 1, timeout: float = 30, **limits: Any) -> Iterator[Server]:
    import uvicorn

    from topiq_metrics.serving.app import create_app
    from topiq_metrics.serving.guard import Access
    from topiq_metrics.serving.limits import Limits
    from topiq_metrics.serving.service import Service

    bounds = Limits(**limits)
    service = Service(bounds, device="cpu", workers=workers, timeout=timeout)
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        config = uvicorn.Config(create_app(service, Access(token), bounds), log_level="warning", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield Server(f"http://127.0.0.1:{listening.getsockname()[1]}", service)
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def run_server() -> Callable[..., contextlib.AbstractContextManager[Server]]:
    """A context manager: a server with these limits."""
    return running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(workers=2, request_bytes=2_000_000, pictures=8, pixels=2_000_000) as started:
        yield started


@pytest.fixture(scope="session")
def coffee() -> dict[str, bytes]:
    """Versions of a photograph by name, a quarter as wide, as PNG."""
    found = {}
    for path in sorted((PHOTOGRAPHS / "coffee").glob("*.jpg")):
        stream = io.BytesIO()
        with Image.open(path) as image:
            image.reduce(4).crop((0, 0, 112, 74)).save(stream, "PNG")
        found[path.stem] = stream.getvalue()
    return found
