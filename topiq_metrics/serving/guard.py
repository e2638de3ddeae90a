"""Who may ask: pages of this server and programs, with the token if there is one; no page of another site."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEAST_TOKEN = 16
"""Characters of a token, at least."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class Access:
    """Who is let in.

    Attributes:
        token: what ``/api/`` asks for, as ``Authorization: Bearer …``; None for nothing, which is for loopback only.
        names: host names, beside loopback's own, under which the server may be addressed. A page of another site can
            give its own name the address of this server, but not use one of these.
        is_public: whether it listens beyond loopback, so that it is addressed by any of the machine's addresses, too.

    Raises:
        ValueError: if a token is too short to be one or has blanks around it, there is none beyond loopback, or a
            name is none.
    """

    token: str | None = field(default=None, repr=False)
    names: Collection[str] = ()
    is_public: bool = False

    def __post_init__(self) -> None:
        if self.is_public and self.token is None:
            raise ValueError("A server that others can reach needs a token.")
        if self.token is not None and (len(self.token) < LEAST_TOKEN or not self.token.isascii()):
            raise ValueError(f"A token must have {LEAST_TOKEN} characters of ASCII at least.")
        if self.token is not None and self.token != self.token.strip():
            raise ValueError("A token must not begin or end with a blank, which is lost on the way.")
        for name in self.names:
            if urlsplit(f"//{name}").hostname != name:
                raise ValueError(f"A host is a name in small letters without scheme and port, but got {name!r}.")

    def allows_host(self, host: str) -> bool:
        """Whether the server may be addressed as in a ``Host`` header."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name == "localhost" or name in self.names:
            return True
        address = _address(name)
        return address is not None and (self.is_public or address.is_loopback)

    def allows_token(self, authorization: str) -> bool:
        """Whether an ``Authorization`` header, or the lack of it, is good."""
        if self.token is None:
            return True
        scheme, _, given = authorization.partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), self.token.encode())


def own_names(host: str) -> list[str]:
    """Names of a server that listens on ``host`` beyond loopback; an address needs none."""
    return [name.lower() for name in (socket.gethostname(), host) if _address(name) is None]


def is_loopback(host: str) -> bool:
    """Whether a host to listen on is reached from this machine only."""
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


class Guard:
    """Answers what may not be asked, and lets the rest through; adds headers that keep browsers strict."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = self._refusal(Headers(scope=scope), scope["path"])
        await (refusal or self._app)(scope, receive, sent)

    def _refusal(self, headers: Headers, path: str) -> JSONResponse | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._access.allows_host(hosts[0]):
            return refused(403, "host", "This server is not to be addressed by that name.")
        if not path.startswith("/api/"):
            # The page itself, which has nothing to hide, may be linked to.
            return None
        if not _is_own(headers, hosts[0]):
            return refused(403, "origin", "Pages of other sites may not use this server.")
        if not self._access.allows_token(headers.get("authorization", "")):
            answer = refused(401, "token", "Give the token of this server: `Authorization: Bearer TOKEN`.")
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        return None


def refused(status: int, reason: str, message: str) -> JSONResponse:
    """The answer to what is not served."""
    return JSONResponse({"error": {"reason": reason, "message": message}}, status)


def _is_own(headers: Headers, host: str) -> bool:
    """Whether a request comes from a page of this server, or from no page."""
    if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
        return False
    return all(
        origin.partition("://")[0] in {"http", "https"} and origin.partition("://")[2].lower() == host.lower()
        for origin in headers.getlist("origin")
    )
