"""A web server on this machine that answers as the Hugging Face hub does for one file, or fails as it may."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Behaviour = Literal["good", "missing", "cut", "cut once", "stall"]


@dataclass
class Hub:
    """``cut`` ends a download half-way and then refuses; ``cut once`` serves the rest; ``stall`` waits half-way."""

    path: str
    content: bytes
    behaviour: Behaviour = "good"
    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def downloads(self) -> int:
        return sum(method == "GET" for method, _ in self.requests)


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer()

        def do_GET(self):
            self.answer()

        def answer(self):
            hub.requests.append((self.command, self.path))
            if self.path != hub.path or hub.behaviour == "missing":
                self.empty(404, {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"})
            elif hub.behaviour == "cut" and hub.downloads > 1:
                self.empty(503)
            else:
                self.send_content()

        def empty(self, status, headers=None):
            self.send_response(status)
            for name, value in {"Content-Length": "0", **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()

        def send_content(self):
            range_header = self.headers.get("Range")
            start = int(range_header.removeprefix("bytes=").split("-")[0]) if range_header else 0
            body = hub.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("ETag", f'"{hashlib.sha256(hub.content).hexdigest()}"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(body)))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(hub.content) - 1}/{len(hub.content)}")
            self.end_headers()
            if self.command == "HEAD":
                return
            whole = hub.behaviour == "good" or (hub.behaviour == "cut once" and hub.downloads > 1)
            self.wfile.write(body if whole else body[: len(body) // 2])
            self.wfile.flush()
            if not whole:
                if hub.behaviour == "stall":
                    hub.stalled.set()
                    hub.closing.wait(300)
                self.close_connection = True

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        hub.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
