"""Every kind of source, told by its form."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from topiq_metrics.scoring.items import ImageObject, Item
from topiq_metrics.scoring.sources.base import Fragment, LeftOut, Options, Part, Source
from topiq_metrics.scoring.sources.braces import expand_braces
from topiq_metrics.scoring.sources.errors import SourceError
from topiq_metrics.scoring.sources.files import Files, Folder, Matches, is_folder, is_image, is_pattern, matches
from topiq_metrics.scoring.sources.hugging_face import HuggingFace
from topiq_metrics.scoring.sources.in_memory import DataFrame, Frame, Images
from topiq_metrics.scoring.sources.lists import PathList
from topiq_metrics.scoring.sources.locations import absolute, is_url
from topiq_metrics.scoring.sources.names import Mark, Names
from topiq_metrics.scoring.sources.parquet import ParquetTable
from topiq_metrics.scoring.sources.references import open_references
from topiq_metrics.scoring.sources.shards import Shards
from topiq_metrics.scoring.sources.tables import TextTable
from topiq_metrics.scoring.sources.videos import Video

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict, IterableDataset

KINDS: tuple[type[Part], ...] = (
    HuggingFace,
    Folder,
    PathList,
    Shards,
    TextTable,
    ParquetTable,
    Video,
    Files,
    Images,
    Frame,
)
"""Every kind of source: the first that takes a source opens it. A new one is a line here, before `Files`."""

# There is no other meaning to the name of a file that a glob has found.
_OF_FILES = tuple(kind for kind in KINDS if not kind.as_they_are)
_SEPARATORS = tuple(filter(None, (os.sep, os.altsep)))

OneSource: TypeAlias = (
    "str | os.PathLike[str] | Item | ImageObject | DataFrame | Dataset | DatasetDict | IterableDataset"
)
"""What `open_source` takes, alone or several of them."""


def open_source(
    source: OneSource | Iterable[OneSource],
    *,
    references: str | os.PathLike[str] | None = None,
    path_column: str | None = None,
    image_column: str | None = None,
    reference_column: str | None = None,
    root: str | os.PathLike[str] | None = None,
    split: str = "train",
    every: str | None = None,
) -> Source:
    """Open a source of images; reads only as much as is needed to check that it can be read.

    The kind of a source is recognised by its form:

    - an image, whatever its name; a missing one becomes a row with the reason;
    - a folder: its images by their suffix, recursively, sorted by path; hidden files and folders are skipped;
    - a glob (``*``, ``?``, ``[…]``, ``**``), sorted by path: with a suffix all matches, else only images;
    - a list of paths or URLs, one per line: ``.txt``, or ``-`` for the standard input;
    - a table with a column of paths (``.csv``, ``.tsv`` or ``.parquet``) or of encoded images (``.parquet``, also a
      folder of such files);
    - a WebDataset shard: ``.tar``, ``.tar.gz``, ``.tgz``; it is streamed;
    - a Hugging Face dataset: an object, or ``hf:NAME`` or ``hf:NAME:SPLIT``, where NAME is a folder or on the hub;
    - a video on this machine, ``.mp4``, ``.mkv``, ``.mov``, ``.webm`` and others: its frames;
    - any of these at a URL that fsspec supports; the URL of a folder ends in ``/``;
    - several of these by braces in the name, ``{00..10}`` or ``{a,b}``, unless a file has that very name;
    - an image in memory, as `topiq_metrics.load_image` takes it: a PIL image, an array ``(H, W)`` or ``(H, W, C)``, or
      a tensor ``(C, H, W)``; an array with more axes is several images;
    - a data frame of pandas or Polars with a column of paths, of encoded images or of images in memory;
    - an `Item`.

    Text may be UTF-8, or UTF-16 with a byte-order mark; the separator of cells (comma, semicolon or tab) is detected
    from the header. Blanks around names are ignored and backslashes are read as slashes, unless a file has that very
    name.

    Args:
        source: one source, or several.
        references: a file that is the reference of every image; or a folder with a reference for each, which has the
            same path below its source, else the same path except for the suffix, else the same name, else the same name
            except for the suffix, ignoring case (if several match equally well, none is used); or a pattern of their
            paths, such as ``"gt/{path}.png"`` or ``"{folder}/{name%%_*}_GT.jpg"``, with the image's ``folder``, its
            ``path`` below the source and its ``name``, both without ``suffix``. ``%`` removes the shortest ending that
            matches a wildcard, ``%%`` the longest; ``#`` and ``##`` do the same at the beginning.
        path_column: of a table, the column of paths or, if the table contains the images, of their names. Default: the
            first of ``path``, ``image``, ``filename``, ``file_name``, ``name`` and similar names. An empty text names
            images in a table by their rows.
        image_column: of a table or dataset, the column of images or of their paths; of a shard, the extensions of
            images without a leading dot, separated by ``;``. Default: of a table, the first of the names above that
            holds images; of a dataset, the first column of images; of a shard, all image suffixes.
        reference_column: of a table or a dataset, the column of references, paths or bytes; of a shard, the extension
            of the reference in each sample, such as ``ref.png``.
        root: the folder or URL where relative paths in lists and tables start. Default: the folder of the list or
            table.
        split: of a Hugging Face dataset, unless its name includes one.
        every: of a video, one frame per time, such as ``"1s"`` or ``"500ms"``, or every n-th frame, such as ``"10"``.
            Default: every frame.

    Raises:
        SourceError: there is nothing to score, a list, table, dataset or ``references`` cannot be read, or a column is
            missing.
        TypeError: ``source`` is of none of these kinds.
        ModuleNotFoundError: a source needs an extra that is not installed.
    """
    options = Options(
        None if references is None else open_references(os.fspath(references)),
        path_column,
        image_column,
        reference_column,
        None if root is None else os.fspath(root),
        split,
        every,
    )
    parts = _Parts(options)
    for one in [source] if _is_one(source) else source:  # type: ignore[union-attr]
        parts.add(one)
    if not parts.found:
        raise SourceError("There is nothing to score: name at least one image or folder.")
    for name in ("path_column", "image_column", "reference_column", "every"):
        if getattr(options, name) is not None and not any(name in part.uses for part in parts.found):
            raise SourceError(f"Argument `{name}` does not apply to {', '.join(part.label for part in parts.found)}.")
    # Files beside tables may have their references in a folder.
    only_tables = all("reference_column" in part.uses for part in parts.found)
    if only_tables and references is not None and reference_column is not None:
        labels = ", ".join(part.label for part in parts.found)
        raise SourceError(f"Give `references` or `reference_column`, not both, for {labels}.")
    return _Sources(tuple(parts.found))


def _is_one(source: object) -> bool:
    if isinstance(source, os.PathLike) or any(kind.takes(source) for kind in KINDS):
        return True
    if hasattr(source, "read"):
        raise TypeError("Argument `source` is an open file: give its path, or what `load_image` makes of it.")
    if isinstance(source, (bytes, dict)) or not isinstance(source, Iterable):
        raise TypeError(
            "Argument `source` must be a path, a URL, an Item, an image in memory, a data frame or a Hugging Face "
            f"dataset, or several of them, but got {type(source).__name__}."
        )
    return False


@dataclass
class _Parts:
    options: Options
    found: list[Part] = field(default_factory=list)
    keys: dict[str, Part] = field(default_factory=dict)

    def add(self, source: object) -> None:
        if isinstance(source, (str, os.PathLike)):
            self._named(os.fspath(source))
        elif _is_one(source):
            self._one(source)
        else:
            raise TypeError(f"Argument `source` holds a {type(source).__name__} within another sequence.")

    def _named(self, name: str) -> None:
        if not name:
            raise SourceError("A source has an empty name.")
        if any(kind.as_they_are and kind.takes(name) for kind in KINDS):
            self._one(name)
        elif (names := expand_braces(name)) != [name]:
            for each in names:
                self._named(each)
        else:
            if not is_url(name):
                if name.endswith(_SEPARATORS) and not is_folder(name):
                    raise SourceError(f"There is no folder {name}")
                name = str(Path(name))
            if is_pattern(name):
                self._matches(name)
            else:
                self._one(name)

    def _matches(self, pattern: str) -> None:
        found = matches(pattern)
        if all(is_image(path) for path in found):
            self.found.append(Matches(pattern, self.options, found))
        else:
            for path in found:
                self._one(path, (Files,) if is_image(path) else _OF_FILES)

    def _one(self, source: object, kinds: Sequence[type[Part]] = KINDS) -> None:
        kind = next(kind for kind in kinds if kind.takes(source))
        last = self.found[-1] if self.found else None
        if not (isinstance(last, kind) and last.add(source)):
            self._part(kind.open(source, self.options, self.found))

    def _part(self, part: Part) -> None:
        if part.key:
            # A second one would repeat the names of the first.
            first = self.keys.setdefault(absolute(part.key), part)
            if first is not part:
                if not part.is_same(first):
                    raise SourceError(f"Two different sources are called {part.key}: score them in two jobs.")
                return
        self.found.append(part)


@dataclass(frozen=True)
class _Sources:
    parts: tuple[Part, ...]

    def fragments(self) -> Iterator[Fragment]:
        for part in self.parts:
            yield from part.fragments()

    def count(self) -> int | None:
        counts = [part.count() for part in self.parts]
        return None if None in counts else sum(count for count in counts if count is not None)

    @property
    def left_out(self) -> LeftOut:
        return sum((part.left_out for part in self.parts), Counter())

    def items(self) -> Iterator[Item]:
        names = Names()
        is_empty = True
        for part in self.parts:
            unique = part.once and len(self.parts) == 1
            for fragment in part.fragments():
                for item in fragment.items():
                    is_empty = False
                    if unique or (part.own_data and item.data is not None) or names.is_new(item.name, Mark.of(item)):
                        yield item
        if is_empty:
            left_out = ", ".join(f"{count} {kind}" for kind, count in sorted(self.left_out.items()))
            hint = f" Left out by the extensions that were asked for: {left_out}." if left_out else ""
            raise SourceError(f"There is no image in {', '.join(part.label for part in self.parts)}.{hint}")
