"""What is to be scored: one image, and the reference that belongs to it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TypeAlias

Encoded: TypeAlias = "str | os.PathLike[str] | bytes"
"""Where an encoded image is: a path, a URL, or its bytes."""


@dataclass(frozen=True)
class Item:
    """One image to score.

    Attributes:
        path: its name in the row, by which a job knows it again; also the path or the URL to read it from, unless there
            is ``data``.
        reference: its reference image: a path, a URL or the bytes of a file; None where none was found or asked for.
        data: the bytes of the image's file, where it lies inside another one.
        problem: why there is no image to read, beginning with a word to sort by; the row then tells of it.
    """

    path: str | os.PathLike[str]
    reference: Encoded | None = None
    data: bytes | None = None
    problem: str = ""

    @property
    def name(self) -> str:
        return os.fspath(self.path)

    @property
    def encoded(self) -> Encoded:
        return self.path if self.data is None else self.data

    @property
    def held_bytes(self) -> int:
        """Bytes of files that it has with it."""
        return sum(len(data) for data in (self.data, self.reference) if isinstance(data, bytes))


def fingerprint(name: str) -> bytes:
    """16 bytes that stand for an image's name, the same on every machine; names need not be valid Unicode."""
    return hashlib.blake2b(_as_utf8(name), digest_size=16).digest()


def as_unicode(name: str) -> str:
    """A name with backslash escapes for what is not valid Unicode; its fingerprint is that of the name."""
    return _as_utf8(name).decode()


def _as_utf8(name: str) -> bytes:
    return name.encode("utf-8", "backslashreplace")
