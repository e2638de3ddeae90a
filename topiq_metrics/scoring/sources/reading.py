"""Files and URLs as streams; and what comes of those that cannot be read."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from topiq_metrics._tables import TableError, encoding_of
from topiq_metrics.errors import one_line
from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.sources import remote
from topiq_metrics.scoring.sources.errors import SourceError
from topiq_metrics.scoring.sources.locations import STDIN, is_url

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def open_binary(name: str) -> IO[bytes]:
    """Open a file or a URL to be read from its start to its end."""
    if is_url(name):
        return remote.open_url(name)
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


def until_damage(items: Iterator[Item], name: Callable[[int], str]) -> Iterator[Item]:
    """The items up to where what holds them turns out to be damaged, and then one that tells of it.

    Args:
        name: of the item after so many.
    """
    count = 0
    try:
        for item in items:
            yield item
            count += 1
    except (SourceError, ImportError):
        raise
    except FileNotFoundError as error:
        yield Item(name(count), problem=f"missing: there is no {error.filename or name(count)}")
    except PermissionError:
        yield Item(name(count), problem=f"unreadable: there is no permission to read {name(count)}")
    except Exception as error:  # noqa: BLE001 - libraries raise what they like on damaged data; the rest must go on
        yield Item(name(count), problem=f"truncated: it cannot be read from here on ({one_line(error)})")


@contextmanager
def readable(label: str) -> Iterator[None]:
    """Say as a SourceError why what has this label cannot be read."""
    try:
        yield
    except (SourceError, TableError, ImportError):
        raise
    except FileNotFoundError:
        raise SourceError(f"There is no {label.removeprefix('the ')}.") from None
    except Exception as error:
        raise SourceError(f"{label} cannot be read: {one_line(error)}") from error
