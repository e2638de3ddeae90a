"""How much a server takes at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The bounds of what is sent to a server.

    Attributes:
        request_bytes: the most bytes of one request.
        held_bytes: the most bytes of all requests that are being read or scored; the others wait, unread.
        pictures: the most pictures in one request, beside the reference.
        pixels: the most pixels of a picture.
        waiting: the most requests at once; further ones are told to come again.
        idle_seconds: the longest that a request may send nothing while it is read.
    """

    request_bytes: int = 100_000_000
    pictures: int = 64
    pixels: int = 100_000_000
    waiting: int = 1000
    idle_seconds: float = 30.0

    def __post_init__(self) -> None:
        for name in ("request_bytes", "pictures", "pixels", "waiting", "idle_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"Argument `{name}` must be above 0, but got {getattr(self, name)!r}.")

    @property
    def held_bytes(self) -> int:
        return 4 * self.request_bytes
