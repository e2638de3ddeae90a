"""What the rows of a table say of images; and tables as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from topiq_metrics.scoring.csv_rows import csv_rows
from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.sources.base import Fragment, Options, Part, SourceError, chunked, readable
from topiq_metrics.scoring.sources.places import join, open_text, parent

PATH_COLUMNS = ("path", "image", "filename", "file_name", "name")


def find_column(columns: Sequence[str], wanted: str) -> str | None:
    """The column of this name, or of this name but for the case of letters."""
    if wanted in columns:
        return wanted
    alike = [column for column in columns if column.lower() == wanted.lower()]
    return alike[0] if len(alike) == 1 else None


def named_column(table: str, columns: Sequence[str], wanted: str) -> str:
    """`find_column`.

    Raises:
        SourceError: there is none, or more than one.
    """
    column = find_column(columns, wanted)
    if column is None:
        raise SourceError(f"{table} has no column {wanted!r}; its columns are {', '.join(columns)}.")
    return column


def no_path_column(table: str, columns: Sequence[str]) -> SourceError:
    return SourceError(
        f"{table} has none of the columns {', '.join(PATH_COLUMNS)}: say which one holds the images; "
        f"its columns are {', '.join(columns)}."
    )


def row_item(row: str, image: object, reference: object, root: str, name: object = None) -> Item:
    """The image of a row.

    Args:
        row: stands for the row where it has no name.
        image: a cell: a path, bytes, or a mapping of ``bytes`` and ``path``, as Hugging Face stores images.
        reference: another.
        root: where relative paths start.
        name: a cell: what an image is called that is not a path.
    """
    source, other = _encoded(image, root, row), _encoded(reference, root, row)
    if isinstance(source, str):
        return Item(source, other)
    called = join(root, name) if isinstance(name, str) and name.strip() else row
    if source is None:
        return Item(called, other, problem=f"missing: {row} names no image")
    return Item(called, other, data=source)


def _encoded(cell: object, root: str, row: str) -> str | bytes | None:
    if isinstance(cell, Mapping):
        cell = cell.get("bytes") or cell.get("path")
    if cell is None or isinstance(cell, bytes):
        return cell or None
    if isinstance(cell, str):
        return join(root, cell) if cell.strip() else None
    raise SourceError(f"{row} holds {type(cell).__name__}, but an image must be a path or the bytes of a file.")


class CSVTable(Part):
    """A CSV file with a header."""

    uses = frozenset({"path_column", "reference_column"})

    def __init__(self, table: str, options: Options) -> None:
        self._table = table
        self._options = options
        self._root = options.root or parent(table)
        self.label = f"the table {table}"
        rows = self._rows()
        columns = next(rows, [])
        self._path = columns.index(self._path_column(columns))
        wanted = options.reference_column
        self._reference = None if wanted is None else columns.index(named_column(table, columns, wanted))
        if next(rows, None) is None:
            raise SourceError(f"There is no image in {self.label}.")

    def _path_column(self, columns: Sequence[str]) -> str:
        if self._options.path_column is not None:
            return named_column(self._table, columns, self._options.path_column)
        for candidate in PATH_COLUMNS:
            if (column := find_column(columns, candidate)) is not None:
                return column
        raise no_path_column(self._table, columns)

    def _rows(self) -> Iterator[list[str]]:
        with readable(self.label), open_text(self._table, newline="") as lines:
            yield from filter(None, csv_rows(lines, strict=True))

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
            if self._reference is None and lookup is not None and not item.problem:
                item = Item(item.path, lookup.find(item.name, self._root))
            yield item

    def fragments(self) -> Iterator[Fragment]:
        return chunked(self._items())

    def count(self) -> int:
        return sum(1 for _ in self._rows()) - 1
