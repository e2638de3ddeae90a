"""Files, folders and globs, here or at a URL."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence

from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.sources import remote
from topiq_metrics.scoring.sources.base import Fragment, Options, Part, chunked, paired
from topiq_metrics.scoring.sources.errors import SourceError
from topiq_metrics.scoring.sources.locations import STDIN, inner, is_url, is_web, parent, suffix

_SUFFIXES = """
    apng avif bmp gif heic heif hif j2c j2k jfif jp2 jpc jpe jpeg jpf jpg jpx pbm pfm pgm png pnm ppm qoi tif tiff webp
"""
IMAGE_SUFFIXES = frozenset(f".{name}" for name in _SUFFIXES.split())


def is_image(name: str) -> bool:
    return suffix(name) in IMAGE_SUFFIXES


def is_folder(path: str) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises where a parent may not be read


def is_file(path: str) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises there, and where a name is too long


def walk(folder: str) -> Iterator[str]:
    """The files below a folder, in the order of their paths, part by part; hidden files and folders are passed over.

    A folder that cannot be read comes itself, with a separator at its end. Links to folders are not followed, so it
    always ends.
    """
    waiting = [(folder, True)]
    while waiting:
        path, is_folder = waiting.pop()
        if is_folder:
            waiting.extend(_entries(path))
        else:
            yield path


def _entries(folder: str) -> list[tuple[str, bool]]:
    """Path of each entry and whether it is a folder to look into; the last one first."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    is_folder = entry.is_dir()
                except OSError:
                    is_folder = False
                if not entry.name.startswith(".") and not (is_folder and entry.is_symlink()):
                    found.append((entry.name, is_folder))
    except OSError:
        return [(os.path.join(folder, ""), False)]  # noqa: PTH118
    prefix = "" if folder == "." else os.path.join(folder, "")  # noqa: PTH118 - a string, of which there are millions
    return [(prefix + name, is_folder) for name, is_folder in sorted(found, reverse=True)]


class Files(Part):
    """Images that were named one by one."""

    label = "what was named"

    def __init__(self, source: Item | str, options: Options) -> None:
        self._options = options
        self._items: list[Item] = []
        self.add(source)

    @classmethod
    def takes(cls, source: object) -> bool:
        return isinstance(source, (str, Item))

    def add(self, source: Item | str) -> bool:
        if isinstance(source, str):
            if is_url(source):
                remote.check(source)
            source = paired(Item(source), self._options.references, parent(source))
        self._items.append(source)
        self.once = len(self._items) == 1
        return True

    def fragments(self) -> Iterator[Fragment]:
        return chunked(self._items)

    def count(self) -> int:
        return len(self._items)


class Folder(Part):
    """The images of a folder, found by their suffix."""

    once = True

    def __init__(self, folder: str, options: Options) -> None:
        self._folder = folder
        self._options = options
        self.label = f"the folder {folder}"
        if next(self._images(), None) is None:
            raise SourceError(f"There is no image in the folder {folder}.")

    @classmethod
    def takes(cls, source: object) -> bool:
        if not isinstance(source, str) or source == STDIN or suffix(source.rstrip("/")) == ".parquet":
            return False
        return inner(source).endswith("/") if is_url(source) else is_folder(source)

    def _images(self) -> Iterator[str]:
        if is_url(self._folder):
            return filter(is_image, remote.walk(self._folder))
        return (path for path in walk(self._folder) if is_image(path) or _is_unreadable(path))

    def fragments(self) -> Iterator[Fragment]:
        return chunked(_items(self._images(), self._folder, self._options))

    def count(self) -> int:
        return sum(1 for _ in self._images())


class Matches(Part):
    """The images that a glob has matched.

    Args:
        images: all that it has.
    """

    once = True

    def __init__(self, pattern: str, options: Options, images: Sequence[str] = ()) -> None:
        self._images = images
        self._folder = _before_wildcards(pattern)
        self._options = options
        self.label = f"the files {pattern}"

    def fragments(self) -> Iterator[Fragment]:
        return chunked(_items(self._images, self._folder, self._options))

    def count(self) -> int:
        return len(self._images)


def _items(images: Iterator[str] | Sequence[str], folder: str, options: Options) -> Iterator[Item]:
    lookup = options.references
    for image in images:
        if _is_unreadable(image):
            yield Item(image, problem="unreadable: there is no permission to list the folder")
        else:
            yield paired(Item(image), lookup, folder)


def _is_unreadable(path: str) -> bool:
    """Whether `walk` has met a folder that it could not look into."""
    return path.endswith(os.sep)


def has_wildcards(name: str) -> bool:
    # Of a web address, a question mark begins the query.
    return any(sign in name for sign in ("*" if is_web(inner(name)) else "*?["))


def is_pattern(name: str) -> bool:
    """Whether a name with wildcards is not that of a file."""
    if not has_wildcards(name):
        return False
    return not (remote.exists(name) if is_url(name) else os.path.lexists(name))


def matches(pattern: str) -> list[str]:
    """The files that a glob names, in the order of their paths, part by part.

    A pattern with a suffix names them whatever they are; one without, or with wildcards in it, the images among them.

    Raises:
        SourceError: there is none.
    """
    # Path.glob would find hidden files, too.
    found = remote.matches(pattern) if is_url(pattern) else glob.glob(pattern, recursive=True)  # noqa: PTH207
    wanted = suffix(pattern)
    if not wanted or has_wildcards(wanted):
        found = [path for path in found if is_image(path)]
    if not is_url(pattern):
        # A folder may be a table.
        found = [path for path in found if suffix(path) == ".parquet" or not is_folder(path)]
    if not found:
        raise SourceError(f"There is no image or table that matches {pattern}.")
    return sorted(set(found), key=lambda path: path.replace(os.sep, "/").split("/"))


def _before_wildcards(pattern: str) -> str:
    folder = pattern
    while has_wildcards(folder):
        folder = parent(folder)
    return folder
