"""Names of files, here or at a URL."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from topiq_metrics._tables import encoding_of, written_path

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STDIN = "-"
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")


def is_url(name: str) -> bool:
    return "://" in name


def is_web(url: str) -> bool:
    return re.match(r"https?://", url, re.IGNORECASE) is not None


def links(url: str) -> tuple[str, str, str]:
    """The links of fsspec's chains: ``simplecache::``, then the URL itself, then ``::`` and where its archive is."""
    first, chain, rest = url.partition("::")
    if chain and not is_url(first):
        before, path, after = links(rest)
        return first + chain + before, path, after
    return "", first, chain + rest


def inner(url: str) -> str:
    """The URL itself, without the links around it and without a query."""
    path = links(url)[1]
    return path.partition("#")[0].partition("?")[0] if is_web(path) else path


def suffix(name: str) -> str:
    """``.jpg``, in small letters."""
    return os.path.splitext(inner(name) if is_url(name) else name)[1].lower()  # noqa: PTH122 - not a Path


def is_tar(name: str) -> bool:
    return (inner(name) if is_url(name) else name).lower().endswith(TAR_SUFFIXES)


def parent(name: str) -> str:
    if is_url(name):
        before, _, after = links(name)
        return before + inner(name).rpartition("/")[0] + after
    return str(Path(name).parent)


def join(root: str, name: str) -> str:
    """``name``, which starts at ``root`` unless it is a URL or absolute."""
    if is_url(name):
        return name
    if is_url(root) and not os.path.isabs(name):  # noqa: PTH117 - not a Path
        before, path, after = links(root)
        return f"{before}{path.rstrip('/')}/{name}{after}"
    return str(Path(root, name))


def place_of(root: str, name: str) -> str:
    """`join` of a name as a list or table has it; see `written_path`."""
    if is_url(name):
        return name.strip()
    if is_url(root):
        # It would take a request for each.
        return join(root, name.strip().replace("\\", "/"))
    return join(root, written_path(name, lambda path: os.path.lexists(join(root, path))))


def absolute(name: str) -> str:
    """One name for a file that can be named in several ways, without following links."""
    return name if is_url(name) else os.path.abspath(name)  # noqa: PTH100 - resolve() would follow links


def open_binary(name: str) -> IO[bytes]:
    """Open a file or a URL to be read from its start to its end."""
    if is_url(name):
        from topiq_metrics.scoring.sources.remote import open_url

        return open_url(name)
    return Path(name).open("rb")


@contextmanager
def open_text(name: str, newline: str | None = None) -> Iterator[TextIO]:
    """Open text in UTF-8, or in UTF-16 with a byte-order mark; ``-`` is the standard input.

    Names that are not valid Unicode stay what they are.
    """
    binary = sys.stdin.buffer if name == STDIN else open_binary(name)
    try:
        head = binary.read(2)
        whole = io.BufferedReader(_Rejoined(head, binary))
        yield io.TextIOWrapper(whole, encoding=encoding_of(head), errors="surrogateescape", newline=newline)
    finally:
        if name != STDIN:
            binary.close()


class _Rejoined(io.RawIOBase):
    """A stream from its start, of which the first bytes have been read."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = head
        # What has come is enough: a pipe may be slow.
        self._read = getattr(rest, "read1", rest.read)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        target = memoryview(cast(Any, buffer))
        data = self._head or self._read(len(target))
        self._head = b""
        target[: len(data)] = data
        return len(data)
