"""Every kind of source, told by its form."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.sources import hugging_face
from topiq_metrics.scoring.sources.base import Fragment, Options, Part, Source, SourceError
from topiq_metrics.scoring.sources.files import Files, Folder, Matches, is_folder, is_image, is_pattern, matches
from topiq_metrics.scoring.sources.lists import PathList
from topiq_metrics.scoring.sources.names import Mark, Names
from topiq_metrics.scoring.sources.parquet import ParquetTable
from topiq_metrics.scoring.sources.places import STDIN, absolute, inner, is_tar, is_url, suffix
from topiq_metrics.scoring.sources.references import ReferenceLookup
from topiq_metrics.scoring.sources.shards import Shards
from topiq_metrics.scoring.sources.tables import CSVTable

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict, IterableDataset

_SEPARATORS = tuple(filter(None, (os.sep, os.altsep)))

OneSource: TypeAlias = "str | os.PathLike[str] | Item | Dataset | DatasetDict | IterableDataset"
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
) -> Source:
    """Find what there is to score; reads as little as it takes to tell that it can be read.

    What a source is, its form tells:

    - an image, whatever its name; also if it is missing: it then becomes a row with the reason;
    - a folder: its images by their suffix, recursively, in the order of their paths; hidden files and folders are
      passed over;
    - a glob (``*``, ``?``, ``[…]``, ``**``), in the order of the paths: with a suffix what it matches, else the images;
    - a list of paths or URLs, one a line: ``.txt``, or ``-`` for the standard input;
    - a table with a column of paths: ``.csv`` or ``.parquet``; or of the bytes of images: ``.parquet``, also a folder;
    - a WebDataset shard: ``.tar``, ``.tar.gz``, ``.tgz``; it is streamed;
    - a Hugging Face dataset: an object, or ``hf:NAME`` or ``hf:NAME:SPLIT``, where NAME is a folder or on the hub;
    - each of these at a URL that fsspec knows; the URL of a folder ends in ``/``;
    - an `Item`.

    Args:
        source: one, or several.
        references: a file that is the reference of every image, or a folder that has a reference for each: with the
            same path below its source, else the same path but for its suffix, else the same name, else the same name
            but for its suffix; the case of letters does not matter. Where several fit equally well, there is none.
        path_column: of a table, the column of paths; beside images in the table, of their names. Default: the first
            of ``path``, ``image``, ``filename``, ``file_name`` and ``name``.
        image_column: of a Parquet table or a dataset, the column of images; of a shard, the extensions of images,
            separated by ``;``. Default: of a table, one of the names above that holds bytes; of a dataset, the first
            column of images; of a shard, all suffixes of images.
        reference_column: of a table or a dataset, the column of references, paths or bytes; of a shard, the extension
            of the reference in each sample, such as ``ref.png``.
        root: the folder or URL at which relative paths in lists and tables start. Default: the folder that the list
            or table is in.
        split: of a dataset, unless it names its own.

    Raises:
        SourceError: there is nothing to score, a list, table, dataset or ``references`` cannot be had, or a column is
            missing.
        TypeError: ``source`` is of no kind above.
        ModuleNotFoundError: a source needs an extra that is not installed.
    """
    options = Options(
        None if references is None else ReferenceLookup(os.fspath(references)),
        path_column,
        image_column,
        reference_column,
        None if root is None else os.fspath(root),
        split,
    )
    parts = _Parts(options)
    for one in [source] if _is_one(source) else source:  # type: ignore[union-attr]
        parts.add(one)
    if not parts.found:
        raise SourceError("There is nothing to score: name at least one image or folder.")
    for name in ("path_column", "image_column", "reference_column"):
        if getattr(options, name) is not None and not any(name in part.uses for part in parts.found):
            raise SourceError(f"Argument `{name}` means nothing to {', '.join(part.label for part in parts.found)}.")
    return _Sources(tuple(parts.found))


def _is_one(source: object) -> bool:
    if isinstance(source, (str, os.PathLike, Item)) or hugging_face.is_dataset(source):
        return True
    if isinstance(source, (bytes, dict)) or not isinstance(source, Iterable):
        raise TypeError(
            "Argument `source` must be a path, a URL, an Item or a Hugging Face dataset, or several of them, but got "
            f"{type(source).__name__}."
        )
    return False


@dataclass
class _Parts:
    options: Options
    found: list[Part] = field(default_factory=list)
    keys: dict[str, Part] = field(default_factory=dict)

    def add(self, source: object) -> None:
        if isinstance(source, Item):
            self._file(source)
        elif isinstance(source, (str, os.PathLike)):
            self._named(os.fspath(source))
        elif hugging_face.is_dataset(source):
            self._part(hugging_face.HuggingFace(source, self.options))
        else:
            _is_one(source)
            raise TypeError(f"Argument `source` holds a {type(source).__name__} within another sequence.")

    def _named(self, name: str) -> None:
        if not name:
            raise SourceError("A source has an empty name.")
        if name == STDIN:
            self._part(PathList(name, self.options))
        elif hugging_face.is_name(name):
            self._part(hugging_face.HuggingFace(name, self.options))
        elif is_url(name):
            if is_pattern(name):
                self._matches(name)
            elif inner(name).endswith("/") and suffix(name.rstrip("/")) != ".parquet":
                self._part(Folder(name, self.options))
            else:
                self._by_suffix(name)
        else:
            if name.endswith(_SEPARATORS) and not is_folder(name):
                raise SourceError(f"There is no folder {name}")
            name = str(Path(name))
            if is_folder(name) and suffix(name) != ".parquet":
                self._part(Folder(name, self.options))
            elif is_pattern(name):
                self._matches(name)
            else:
                self._by_suffix(name)

    def _matches(self, pattern: str) -> None:
        found = matches(pattern)
        if all(is_image(path) for path in found):
            self._part(Matches(pattern, found, self.options))
        else:
            for path in found:
                self._by_suffix(path)

    def _by_suffix(self, name: str) -> None:
        if is_tar(name):
            self._part(Shards(name, self.options))
        elif suffix(name) == ".txt":
            self._part(PathList(name, self.options))
        elif suffix(name) == ".csv":
            self._part(CSVTable(name, self.options))
        elif suffix(name.rstrip("/")) == ".parquet":
            self._part(ParquetTable(name, self.options))
        else:
            self._file(name)

    def _file(self, source: Item | str) -> None:
        if not self.found or not isinstance(self.found[-1], Files):
            self.found.append(Files(self.options))
        files = self.found[-1]
        if isinstance(files, Files):
            files.add(source)

    def _part(self, part: Part) -> None:
        if part.key:
            # A second one would repeat the names of the first.
            first = self.keys.setdefault(absolute(part.key), part)
            if first is not part:
                if isinstance(part, hugging_face.HuggingFace) and not part.is_same(first):
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
            raise SourceError(f"There is no image in {', '.join(part.label for part in self.parts)}.")
