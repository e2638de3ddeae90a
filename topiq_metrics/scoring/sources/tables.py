"""What the rows of a table say of images; and tables as text."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence

from topiq_metrics._tables import IMAGE_COLUMNS, TABLE_SUFFIXES, TableError, choose_column, read_table
from topiq_metrics.scoring.items import Image, Item, is_image_object
from topiq_metrics.scoring.sources.base import Fragment, Options, Part, chunked, paired
from topiq_metrics.scoring.sources.errors import SourceError
from topiq_metrics.scoring.sources.locations import parent, place_of, suffix
from topiq_metrics.scoring.sources.reading import open_text, readable

_MISSING = {"NAType", "NaTType"}


def column_of(table: str, columns: Sequence[str], wanted: str | None = None) -> str:
    """The column ``wanted``; or that of images, by its usual names.

    Raises:
        SourceError: there is none, or more than one.
    """
    try:
        return choose_column(columns, wanted, IMAGE_COLUMNS, "images")
    except TableError as error:
        raise SourceError(f"{table} {error}") from None


def row_item(row: str, image: object, reference: object, root: str, name: object = None) -> Item:
    """The image of a row.

    Args:
        row: stands for the row where it has no name.
        image: a cell: a path; the bytes of a file; a mapping of ``bytes`` and ``path``, as Hugging Face stores images;
            or what is an image in memory.
        reference: another.
        root: where relative paths start.
        name: a cell: what an image is called that is not a path.
    """
    source, other = _image(image, root, row), _image(reference, root, row)
    if isinstance(source, str):
        return Item(source, other)
    called = place_of(root, name) if isinstance(name, str) and name.strip() else row
    if source is None:
        return Item(called, other, problem=f"missing: {row} names no image")
    return Item(called, other, data=source)


def is_missing(cell: object) -> bool:
    """Whether a cell holds nothing, as some kind of table says it."""
    # What pandas has for values of other types is no float.
    return cell is None or (isinstance(cell, float) and math.isnan(cell)) or type(cell).__name__ in _MISSING


def _image(cell: object, root: str, row: str) -> str | Image | None:
    if isinstance(cell, Mapping):
        cell = cell.get("bytes") or cell.get("path")
    if is_missing(cell):
        return None
    if isinstance(cell, (bytes, bytearray, memoryview)):
        return bytes(cell) or None
    if is_image_object(cell):
        return cell
    if isinstance(cell, (str, os.PathLike)):
        path = str(os.fspath(cell))
        return place_of(root, path) if path.strip() else None
    raise SourceError(
        f"{row} holds {type(cell).__name__}, but an image must be a path, the bytes of a file, a PIL image, an array "
        "or a tensor."
    )


class TextTable(Part):
    """A file of text with a header, such as CSV."""

    uses = frozenset({"path_column", "image_column", "reference_column"})

    def __init__(self, table: str, options: Options) -> None:
        self._table = table
        self._options = options
        self._root = options.root or parent(table)
        self.label = f"the table {table}"
        rows = self._rows()
        columns = next(rows)
        self._path = columns.index(column_of(table, columns, options.path_column or options.image_column))
        wanted = options.reference_column
        self._reference = None if wanted is None else columns.index(column_of(table, columns, wanted))
        if next(rows, None) is None:
            raise SourceError(f"There is no image in {self.label}.")

    @classmethod
    def takes(cls, source: object) -> bool:
        return isinstance(source, str) and suffix(source) in TABLE_SUFFIXES

    def _rows(self) -> Iterator[list[str]]:
        """The header, then the rows."""
        named = (self._options.path_column, self._options.image_column, self._options.reference_column)
        try:
            with readable(self.label), open_text(self._table, newline="") as lines:
                table = read_table(lines, (*IMAGE_COLUMNS, *filter(None, named)), strict=True)
                yield table.columns
                for _, row in table.rows:
                    yield row
        except TableError as error:
            raise SourceError(f"{self._table} {error}") from None

    def _items(self) -> Iterator[Item]:
        rows = self._rows()
        next(rows)
        lookup = self._options.references
        for number, row in enumerate(rows):
            image = row[self._path] if self._path < len(row) else None
            reference = None
            if self._reference is not None and self._reference < len(row):
                reference = row[self._reference]
            item = row_item(f"{self._table}#{number}", image, reference, self._root)
            yield item if self._reference is not None else paired(item, lookup, self._root)

    def fragments(self) -> Iterator[Fragment]:
        return chunked(self._items())

    def count(self) -> int:
        return sum(1 for _ in self._rows()) - 1
