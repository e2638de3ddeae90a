"""Rows that lie on the disk, as `topiq_metrics.score_images` writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from topiq_metrics._extras import import_extra
from topiq_metrics._tables import TABLE_SUFFIXES, TableError, read_table
from topiq_metrics.errors import one_line
from topiq_metrics.scoring.errors import OutputError
from topiq_metrics.scoring.provenance import Provenance
from topiq_metrics.scoring.rows import RowRecord, columns
from topiq_metrics.scoring.selection import Shard
from topiq_metrics.scoring.sources.reading import open_text

_PARQUET = ".parquet"
_SUFFIXES = (*TABLE_SUFFIXES, ".jsonl", ".json", _PARQUET)
_NOT_SCORES = columns(())


class SavedRows:
    """The rows of an output; each iteration reads them anew.

    Args:
        path: a ``.csv`` (or ``.tsv``), ``.jsonl`` or ``.json`` file, or a ``.parquet`` file or folder; also one with
            further columns, or a table of another origin with a column ``path`` and columns of scores.

    Attributes:
        path: likewise.
        columns: their names; metrics are those that are none of a row's others.

    Raises:
        OutputError: if it is not there, its job was stopped before its end, it cannot be read or has no such column.
        ModuleNotFoundError: if pyarrow is needed and not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._suffix = path.suffix.lower()
        if self._suffix not in _SUFFIXES:
            raise OutputError(f"Rows are in a file that ends in one of {_SUFFIXES}, but got {path}.")
        if not path.exists():
            part = path.with_name(path.name + ".part")
            stopped = f" Its job was stopped: --resume it, which makes {path.name} of {part}." if part.exists() else ""
            raise OutputError(f"There are no rows {path}.{stopped}")
        if path.is_dir():
            self._check_shards()
        first = next(iter(self), None)
        self.columns = self._header() if first is None else tuple(first)
        if "path" not in self.columns:
            raise OutputError(f"{path} has no column 'path'; its columns are {', '.join(self.columns)}.")

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(name for name in self.columns if name not in _NOT_SCORES)

    def __iter__(self) -> Iterator[RowRecord]:
        """The rows in order; scores are numbers where they can be.

        Raises:
            OutputError: if they cannot be read to the end.
        """
        kinds = {".jsonl": self._json_lines, ".json": self._json_array, _PARQUET: self._parquet}
        try:
            yield from kinds.get(self._suffix, self._table)()
        except TableError as error:
            raise OutputError(f"{self.path} {error}") from None
        except (OutputError, ModuleNotFoundError):
            raise
        except Exception as error:
            raise OutputError(f"{self.path} cannot be read: {one_line(error)}") from error

    def _check_shards(self) -> None:
        """Check that the jobs of a folder have ended, and none is missing."""
        shards: dict[int, set[int]] = {}
        for path in sorted(self.path.glob("_provenance-*.json")):
            provenance = Provenance.load(path)
            if not provenance.complete:
                raise OutputError(f"Rows of {self.path} are missing: the job of {path} has not ended. --resume it.")
            shard = Shard.parse(provenance.shard)
            shards.setdefault(shard.count, set()).add(shard.index)
        for count, there in shards.items():
            if missing := sorted(set(range(count)) - there):
                names = ", ".join(f"{index}/{count}" for index in missing[:3]) + (", …" if len(missing) > 3 else "")
                raise OutputError(f"Rows of {self.path} are missing: those of --shard {names} are not there yet.")

    def _header(self) -> tuple[str, ...]:
        """The columns where there is no row."""
        if self._suffix not in TABLE_SUFFIXES:
            return _NOT_SCORES
        with open_text(str(self.path), newline="") as lines:
            return tuple(read_table(lines, _NOT_SCORES).columns)

    def _table(self) -> Iterator[RowRecord]:
        with open_text(str(self.path), newline="") as lines:
            table = read_table(lines, _NOT_SCORES, strict=True, exact=_NOT_SCORES)
            for line, cells in table.rows:
                if len(cells) != len(table.columns):
                    raise OutputError(
                        f"{self.path} has {len(cells)} cells in line {line}, under {len(table.columns)} columns."
                    )
                yield {name: _from_text(name, cell) for name, cell in zip(table.columns, cells, strict=True)}

    def _json_lines(self) -> Iterator[RowRecord]:
        with open_text(str(self.path)) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield self._record(json.loads(line), f"line {number}")

    def _json_array(self) -> Iterator[RowRecord]:
        with open_text(str(self.path)) as lines:
            rows = json.load(lines)
        if not isinstance(rows, list):
            raise OutputError(f"{self.path} is no array of rows.")
        for number, row in enumerate(rows):
            yield self._record(row, f"row {number}")

    def _record(self, row: object, place: str) -> RowRecord:
        if not isinstance(row, dict):
            raise OutputError(f"{self.path} has something else than a row in {place}.")
        if not isinstance(row.get("path"), str):
            raise OutputError(f"{self.path} has a row without a path in {place}.")
        return row

    def _parquet(self) -> Iterator[RowRecord]:
        pq: Any = import_extra("pyarrow.parquet", "parquet", "Parquet needs pyarrow,")
        folder = self.path.is_dir()
        parts = sorted(self.path.glob("*.parquet")) if folder else [self.path]
        for part in parts:
            if not part.name.startswith(("_", ".")):
                with pq.ParquetFile(part) as file:
                    for batch in file.iter_batches():
                        yield from batch.to_pylist()


def _from_text(name: str, cell: str) -> str | int | float | None:
    if name in {"path", "size", "status", "error", "note"}:
        return cell
    if not cell.strip():
        return None
    try:
        return int(cell) if name in {"width", "height"} else float(cell)
    except ValueError:
        return cell
