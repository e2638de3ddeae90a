"""Rows in a folder of Parquet files, which any number of shards write at the same time.

For shard 1 of 4 (0 is the first), in ``scores.parquet`` lie

- ``part-1-of-4-000000.parquet`` and so on: rows, never seen half-written and never changed again
- ``_journal-1-of-4.jsonl``: the rows since the last part; gone when the job is done
- ``_provenance-1-of-4.json``.

What reads such folders (pyarrow, pandas, Spark …) passes over names that begin with ``_`` or a dot.

A part is written under another name, and renamed; then the journal is removed. A job that is killed between the two has
its last part's rows in the journal, too: the next job removes that journal.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from topiq_metrics._extras import missing
from topiq_metrics._files import whole_file
from topiq_metrics.scoring.errors import OutputError
from topiq_metrics.scoring.items import as_unicode
from topiq_metrics.scoring.provenance import Provenance
from topiq_metrics.scoring.rows import RowRecord, ScoreRow, columns
from topiq_metrics.scoring.sinks.files import OutputLock, check_unlocked
from topiq_metrics.scoring.sinks.formats import ROW_FORMATS
from topiq_metrics.scoring.sinks.rowlog import RowLog
from topiq_metrics.scoring.sinks.text import refuse

PART_ROWS = 50_000
_GROUP_ROWS = 10_000
_PART = re.compile(r"part-([0-9]+-of-[0-9]+)-([0-9]{6,})\.parquet")


def check_parquet(path: Path, may_have_rows: bool, shard: str) -> None:
    """Raise an error if a `ParquetSink` cannot be expected to write ``path``.

    Raises:
        ModuleNotFoundError: if pyarrow is not installed.
        OutputError: if the folder has other things in it, or rows of this shard.
    """
    _pyarrow()
    files = _ShardFiles(path, shard)
    for entry in sorted(path.iterdir()) if path.exists() else ():
        if not entry.name.startswith(("_", ".")) and not _PART.fullmatch(entry.name):
            raise OutputError(
                f"The folder {path} has {entry.name} in it, which is not a file of rows. Name another folder."
            )
    check_unlocked(files.lock, files.output)
    if not may_have_rows:
        files.refuse_rows()


class ParquetSink:
    """Rows of one shard into the folder ``path``; `open_sink` makes it.

    Attributes:
        place: the folder.
    """

    def __init__(self, path: Path, provenance: Provenance, *, resume: bool = False, overwrite: bool = False) -> None:
        self.place = path
        self._provenance = provenance
        self._files = _ShardFiles(path, provenance.shard)
        path.mkdir(exist_ok=True)
        self._journal = RowLog(self._files.journal, ROW_FORMATS[".jsonl"], columns(provenance.names))
        self._schema = _schema(provenance.names)
        self._lock = OutputLock(self._files.lock, self._files.output)
        try:
            if overwrite:
                self._files.remove_rows()
            self._open(resume)
        except BaseException:
            self._lock.release()
            raise

    def earlier(self) -> Iterator[RowRecord]:
        """The rows of this shard that are there; to be called before the first `write`.

        Names that are not valid Unicode have backslash escapes.

        Raises:
            OutputError: if a file is damaged elsewhere than at its end.
        """
        for part in self._files.parts():
            yield from self._read(part)
        if self._files.journal.exists():
            yield from self._journal.read()

    def write(self, row: ScoreRow) -> None:
        """Add a row; it survives whatever happens to this process when this returns.

        Raises:
            OSError: if it cannot be written.
        """
        if self._provenance.complete:
            self._mark(complete=False)
        self._journal.append(row.as_dict())
        if self._journal.rows >= PART_ROWS:
            self._seal()

    def __enter__(self) -> ParquetSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and not self._provenance.complete:
                self._finish()
        finally:
            self._journal.close()
            self._lock.release()

    def _open(self, resume: bool) -> None:
        if not resume:
            self._files.refuse_rows()
        own = self._files.provenance
        self._refuse_others()
        if self._files.has_rows():
            found = Provenance.load(own)
            refuse(self.place, self._provenance.conflicts(found))
            self._provenance = found
        else:
            self._provenance.save(own)
            try:
                # Another shard may have begun meanwhile.
                self._refuse_others()
            except OutputError:
                own.unlink()
                raise
        for stale in self.place.glob(f".part-{self._files.tag}-*"):
            stale.unlink()
        self._drop_sealed()

    def _refuse_others(self) -> None:
        for path in sorted(self.place.glob("_provenance-*.json")):
            if path != self._files.provenance:
                refuse(self.place, self._provenance.conflicts(Provenance.load(path)))

    def _drop_sealed(self) -> None:
        """Remove the journal if a part has its rows: it becomes a part as a whole, so the first row tells."""
        parts = self._files.parts()
        if not parts or not self._files.journal.exists():
            return
        first = next(self._journal.read(), None)
        if first is not None:
            name = as_unicode(str(first["path"]))
            if any(record["path"] == name for record in self._read(parts[-1])):
                self._journal.clear()

    def _finish(self) -> None:
        self._journal.open()
        if self._journal.rows or not self._files.parts():
            self._seal()
        self._journal.clear()
        self._mark(complete=True)

    def _mark(self, *, complete: bool) -> None:
        self._provenance = replace(self._provenance, complete=complete)
        self._provenance.save(self._files.provenance)

    def _seal(self) -> None:
        """Make a part of the journal's rows; also of none."""
        _, pq = _pyarrow()
        part = self._files.next_part()
        with whole_file(part) as draft, draft.open("wb") as stream, pq.ParquetWriter(stream, self._schema) as writer:
            for table in self._tables():
                writer.write_table(table)
        self._journal.clear()

    def _tables(self) -> Iterator[Any]:
        pa, _ = _pyarrow()
        records = self._journal.read()
        while group := list(itertools.islice(records, _GROUP_ROWS)):
            texts = [
                {name: as_unicode(value) if isinstance(value, str) else value for name, value in record.items()}
                for record in group
            ]
            yield pa.Table.from_pylist(texts, schema=self._schema)

    def _read(self, part: Path) -> Iterator[RowRecord]:
        pa, pq = _pyarrow()
        try:
            with pq.ParquetFile(part) as file:
                if not file.schema_arrow.equals(self._schema):
                    raise OutputError(f"{part} has other columns than this job's. Name another output.")
                for batch in file.iter_batches(_GROUP_ROWS):
                    yield from batch.to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise OutputError(f"{part} cannot be read: {error}. Remove it to score its images again.") from None


class _ShardFiles:
    """The files of one shard in the folder of all."""

    def __init__(self, folder: Path, shard: str) -> None:
        self.tag = shard.replace("/", "-of-")
        self.folder = folder
        self.output = f"shard {shard} of {folder}"
        self.journal = folder / f"_journal-{self.tag}.jsonl"
        self.provenance = folder / f"_provenance-{self.tag}.json"
        self.lock = folder / f".lock-{self.tag}"

    def parts(self) -> list[Path]:
        """In the order in which they were written."""
        entries = self.folder.iterdir() if self.folder.exists() else ()
        matches = [match for path in entries if (match := _PART.fullmatch(path.name)) and match[1] == self.tag]
        return [self.folder / match[0] for match in sorted(matches, key=lambda match: int(match[2]))]

    def next_part(self) -> Path:
        last = self.parts()[-1:]
        number = int(last[0].stem.rpartition("-")[2]) + 1 if last else 0
        return self.folder / f"part-{self.tag}-{number:06}.parquet"

    def has_rows(self) -> bool:
        has_journal = self.journal.exists() and self.journal.stat().st_size > 0
        return has_journal or bool(self.parts())

    def refuse_rows(self) -> None:
        if self.has_rows():
            raise OutputError(
                f"There are rows of {self.output}: a job has ended or was stopped. Resume it with --resume "
                "(resume=True); or remove the folder, name another one, or overwrite them (--force)."
            )

    def remove_rows(self) -> None:
        for path in (*self.parts(), self.journal, self.provenance):
            path.unlink(missing_ok=True)


def _schema(metrics: Iterable[str]) -> Any:
    pa, _ = _pyarrow()
    kinds = {**dict.fromkeys(metrics, pa.float64()), "width": pa.int32(), "height": pa.int32()}
    return pa.schema([(name, kinds.get(name, pa.string())) for name in columns(list(metrics))])


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "pyarrow":
            raise
        raise missing("parquet", "Parquet needs pyarrow", "pyarrow") from None
    return pa, pq
