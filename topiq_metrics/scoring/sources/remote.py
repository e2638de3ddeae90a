"""Files at URLs, through fsspec. Importing this costs nothing: processes that only decode do it, too."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from topiq_metrics._extras import import_extra, missing
from topiq_metrics.errors import ImageError, ImageNotFoundError, ImageTooLargeError, one_line
from topiq_metrics.scoring.sources.errors import SourceError
from topiq_metrics.scoring.sources.locations import is_web, links

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

MAX_BYTES = 1 << 30
"""The largest file that is read into memory."""

_PAUSES = (0.5, 2.0)


def read_url(url: str, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a file at a URL; what may pass, such as an overloaded server, is tried three times.

    Raises:
        ImageNotFoundError: there is no such file.
        ImageTooLargeError: it has more than ``max_bytes``.
        ImageError: it cannot be read otherwise.
        ModuleNotFoundError: without the extra ``remote``.
    """
    pauses = iter(_PAUSES)
    while True:
        try:
            return _read(url, max_bytes)
        except (ImageError, ImportError):
            raise
        except FileNotFoundError as error:
            raise ImageNotFoundError(f"{url}: there is no such file.") from error
        except Exception as error:
            pause = next(pauses, None)
            if pause is None or not _may_pass(error):
                raise ImageError(f"{url}: cannot be read ({one_line(error)})") from error
            time.sleep(pause)


def _read(url: str, max_bytes: int) -> bytes:
    fs, path = _file_system(url)
    if is_web(url):
        # One request; to open it would be two, and would take any error of the first one for a missing file.
        sink = _Bounded(url, max_bytes)
        fs.get_file(path, sink)
        return sink.getvalue()
    with fs.open(path, "rb") as stream:
        data: bytes = stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise _too_large(url, max_bytes)
    return data


class _Bounded(io.BytesIO):
    def __init__(self, url: str, max_bytes: int) -> None:
        super().__init__()
        self._url, self._max_bytes = url, max_bytes

    def write(self, data: ReadableBuffer) -> int:
        count = super().write(data)
        if self.tell() > self._max_bytes:
            raise _too_large(self._url, self._max_bytes)
        return count


def _too_large(url: str, max_bytes: int) -> ImageError:
    return ImageTooLargeError(f"{url}: the file has more than {max_bytes} bytes.")


def _may_pass(error: Exception) -> bool:
    status = getattr(error, "status", None)
    if isinstance(status, int) and 400 <= status < 500:
        return status in {408, 429}
    return not isinstance(error, (PermissionError, ValueError, NotImplementedError))


def _file_system(url: str) -> tuple[Any, str]:
    core = import_extra("fsspec.core", "remote", "URLs need")
    try:
        found: tuple[Any, str] = core.url_to_fs(url)
    except ImportError as error:
        raise missing("remote", f"{url}: {error}", error.name) from None
    return found


def _source_file_system(url: str) -> tuple[Any, str]:
    try:
        return _file_system(url)
    except (OSError, ValueError) as error:
        raise SourceError(f"{url} cannot be opened: {one_line(error)}") from error


def check(url: str) -> None:
    """Tell at once that nothing at such a URL could be read.

    Raises:
        SourceError: there is no such kind of URL.
        ModuleNotFoundError: what it needs is not installed.
    """
    _source_file_system(url)


def exists(url: str) -> bool:
    fs, path = _source_file_system(url)
    return bool(fs.exists(path))


def open_url(url: str) -> IO[bytes]:
    """Open a URL to be read from its start to its end."""
    fs, path = _source_file_system(url)
    # A size that is given spares the request that asks for it; only one request, of the whole, then follows.
    options = {"block_size": 0, "size": 1} if is_web(url) else {}
    stream: IO[bytes] = fs.open(path, "rb", **options)
    return stream


def open_seekable(url: str) -> IO[bytes]:
    """Open a URL to be read in any order."""
    fs, path = _source_file_system(url)
    stream: IO[bytes] = fs.open(path, "rb")
    return stream


def matches(pattern: str) -> list[str]:
    """The files that a glob names, unsorted."""
    fs, path = _source_file_system(pattern)
    try:
        found = fs.glob(path, detail=True)
    except Exception as error:
        raise SourceError(f"{pattern} cannot be listed: {one_line(error)}") from error
    hidden = "/." in pattern
    names = [name for name, entry in found.items() if entry["type"] == "file" and (hidden or "/." not in f"/{name}")]
    return [_named(pattern, fs, name) for name in names]


def walk(folder: str) -> Iterator[str]:
    """The files below a folder, in the order of their paths, part by part; hidden ones are passed over.

    Raises:
        SourceError: a folder cannot be listed.
    """
    fs, top = _source_file_system(folder)
    waiting = [(top, True)]
    while waiting:
        path, is_folder = waiting.pop()
        if is_folder:
            waiting.extend(_entries(fs, path, folder))
        else:
            yield _named(folder, fs, path)


def _entries(fs: Any, folder: str, source: str) -> list[tuple[str, bool]]:
    """Path of each entry and whether it is a folder; the last one first."""
    try:
        entries = fs.ls(folder, detail=True)
    except FileNotFoundError:
        raise SourceError(f"There is no folder {_named(source, fs, folder)}.") from None
    except Exception as error:
        raise SourceError(f"The folder {_named(source, fs, folder)} cannot be listed: {one_line(error)}") from error
    prefix = folder.rstrip("/") + "/" if folder else ""
    found = set()
    for entry in entries:
        path: str = entry["name"]
        name = path.removeprefix(prefix).strip("/")
        # Web pages link to anything; stores may list the folder itself.
        if path.startswith(prefix) and name and "/" not in name and not name.startswith("."):
            found.add((name, path, entry["type"] == "directory"))
    return [(path, is_folder) for _, path, is_folder in sorted(found, reverse=True)]


def _named(source: str, fs: Any, path: str) -> str:
    """The URL of what was found at ``path`` on the way of ``source``."""
    before, link, after = links(source)
    if after:
        return f"{before}{link.partition('://')[0]}://{path.lstrip('/')}{after}"
    # A cache has the file system that it is for.
    return before + str((getattr(fs, "fs", fs) if before else fs).unstrip_protocol(path))
