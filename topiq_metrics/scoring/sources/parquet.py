"""Parquet tables of paths, or of the images themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from topiq_metrics._extras import import_extra
from topiq_metrics._tables import IMAGE_COLUMNS, find_column, no_column
from topiq_metrics.scoring.items import Item
from topiq_metrics.scoring.sources import remote
from topiq_metrics.scoring.sources.base import Fragment, Items, Options, Part, References, chunked, paired
from topiq_metrics.scoring.sources.errors import SourceError
from topiq_metrics.scoring.sources.files import is_folder, walk
from topiq_metrics.scoring.sources.locations import is_url, parent, suffix
from topiq_metrics.scoring.sources.reading import readable, until_damage
from topiq_metrics.scoring.sources.tables import column_of, row_item

_BYTES_ROWS = 16
_PATH_ROWS = 2048
_BUFFER = 1 << 20
# Beside bytes, other names are seldom those of files.
_NAME_COLUMNS = ("path", "filename", "file_name")


@dataclass(frozen=True)
class _Columns:
    """Which column holds what: ``image`` paths or bytes, ``name`` what to call bytes."""

    image: str
    reference: str | None
    name: str | None
    has_bytes: bool

    @property
    def all(self) -> list[str]:
        return list(dict.fromkeys(filter(None, (self.image, self.reference, self.name))))


@dataclass(frozen=True)
class RowGroup:
    """A fragment: some rows of a file, which are read a few at a time."""

    table: str
    group: int
    first: int
    columns: _Columns
    root: str

    def items(self) -> Iterator[Item]:
        return until_damage(self._items(), lambda count: f"{self.table}#{self.first + count}")

    def _items(self) -> Iterator[Item]:
        columns, row = self.columns, self.first
        keys = (columns.image, columns.reference, columns.name)
        step = _BYTES_ROWS if columns.has_bytes else _PATH_ROWS
        with _open(self.table) as file:
            for batch in file.iter_batches(step, row_groups=[self.group], columns=columns.all):
                for cells in batch.select(columns.all).to_pylist():
                    image, reference, name = (cells.get(key) for key in keys)
                    yield row_item(f"{self.table}#{row}", image, reference, self.root, name)
                    row += 1


class ParquetTable(Part):
    """A Parquet file, or a folder of them."""

    uses = frozenset({"path_column", "image_column", "reference_column"})

    def __init__(self, table: str, options: Options) -> None:
        self._table = table
        self._options = options
        self._root = options.root or parent(table.rstrip("/"))
        self.label = f"the table {table}"
        self.key = table
        self._files = self._list()
        with self._opened(self._files[0]) as file:
            columns = self._choose(file.schema_arrow)
        self.own_data = columns.name is None
        if self._lookup is not None and columns.has_bytes and columns.reference is None:
            raise SourceError(f"{self.label} holds images, not names: its references must be in a column of it.")

    @classmethod
    def takes(cls, source: object) -> bool:
        return isinstance(source, str) and suffix(source.rstrip("/")) == ".parquet"

    @property
    def _lookup(self) -> References | None:
        return None if self._options.reference_column else self._options.references

    def _list(self) -> list[str]:
        if is_url(self._table):
            is_table_folder, files = self._table.endswith("/"), remote.walk
        else:
            is_table_folder, files = is_folder(self._table), walk
        if not is_table_folder:
            return [self._table]
        found = [path for path in files(self._table) if suffix(path) == ".parquet"]
        if not found:
            raise SourceError(f"There is no .parquet file in the folder {self._table}.")
        return found

    @contextmanager
    def _opened(self, path: str) -> Iterator[Any]:
        with readable(f"the table {path}"), _open(path) as file:
            yield file

    def _choose(self, schema: Any) -> _Columns:
        options, table, columns = self._options, self._table, schema.names
        kinds = {field.name: _kind(field.type) for field in schema}

        def of_kind(kind: str, candidates: tuple[str, ...]) -> str | None:
            found = (find_column(columns, candidate) for candidate in candidates)
            return next((column for column in found if column is not None and kinds[column] == kind), None)

        def named(wanted: str | None, *allowed: str) -> str | None:
            if not wanted:
                return None
            column = column_of(table, columns, wanted)
            if kinds[column] not in allowed:
                raise SourceError(f"The column {column!r} of {table} must hold {' or '.join(allowed)}.")
            return column

        reference = named(options.reference_column, "paths", "bytes")
        path, image = named(options.path_column, "paths"), named(options.image_column, "bytes", "paths")
        if image is not None and kinds[image] == "paths":
            path, image = path or image, None
        if path is None and image is None:
            image = of_kind("bytes", IMAGE_COLUMNS)
        if image is not None:
            name = None if options.path_column == "" else path or of_kind("paths", _NAME_COLUMNS)
            return _Columns(image, reference, name, has_bytes=True)
        path = path or of_kind("paths", IMAGE_COLUMNS)
        if path is None:
            raise SourceError(f"{table} {no_column(columns, IMAGE_COLUMNS, 'images')}")
        return _Columns(path, reference, None, has_bytes=reference is not None and kinds[reference] == "bytes")

    def fragments(self) -> Iterator[Fragment]:
        for path in self._files:
            try:
                with self._opened(path) as file:
                    columns = self._choose(file.schema_arrow)
                    sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
            except SourceError as error:
                yield Items((Item(path, problem=f"unreadable: {error}"),))
                continue
            for group, first in enumerate(accumulate(sizes[:-1], initial=0) if sizes else ()):
                rows = RowGroup(path, group, first, columns, self._root)
                if (lookup := self._lookup) is None:
                    yield rows
                else:
                    yield from chunked(paired(item, lookup, self._root) for item in rows.items())

    def count(self) -> int:
        total = 0
        for path in self._files:
            try:
                with self._opened(path) as file:
                    total += file.metadata.num_rows
            except SourceError:
                total += 1
        return total


def _arrow() -> Any:
    return import_extra("pyarrow", "parquet", "Parquet tables need")


@contextmanager
def _open(path: str) -> Iterator[Any]:
    _arrow()
    from pyarrow import parquet

    stream: Any = remote.open_seekable(path) if is_url(path) else Path(path).open("rb")  # noqa: SIM115
    # Buffered, so that of large rows only some are in memory at once.
    with stream, parquet.ParquetFile(stream, buffer_size=_BUFFER, pre_buffer=False) as file:
        yield file


def _kind(column: Any) -> str:
    from pyarrow import types

    if isinstance(column, _arrow().ExtensionType):
        column = column.storage_type
    if types.is_dictionary(column):
        column = column.value_type
    if types.is_struct(column):
        column = next((field.type for field in column if field.name == "bytes"), column)
        return "bytes" if _is_binary(column) else "other"
    # Older versions have no functions that know views.
    if types.is_string(column) or types.is_large_string(column) or str(column) == "string_view":
        return "paths"
    return "bytes" if _is_binary(column) else "other"


def _is_binary(column: Any) -> bool:
    from pyarrow import types

    return types.is_binary(column) or types.is_large_binary(column) or str(column) == "binary_view"
