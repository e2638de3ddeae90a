"""Rows in one file: CSV, JSON lines or a JSON array.

For ``scores.csv``, on the disk lie

- while the job runs, and after it was stopped, ``scores.csv.part`` and ``scores.csv.part.provenance.json``; an earlier
  ``scores.csv`` stays as it is
- after its end ``scores.csv`` and ``scores.csv.provenance.json``.

Between any two steps the job may be killed. A part without rows is as good as none, one with rows always has its
provenance: the empty part is made first, then its provenance, then come rows. In the end the provenance is marked as
complete, the part renamed, then the provenance; a complete provenance without a part is renamed by the next job.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from topiq_metrics.scoring.errors import OutputError
from topiq_metrics.scoring.provenance import Provenance
from topiq_metrics.scoring.rows import RowRecord, ScoreRow, columns
from topiq_metrics.scoring.sinks.files import OutputLock, check_unlocked
from topiq_metrics.scoring.sinks.formats import ROW_FORMATS
from topiq_metrics.scoring.sinks.rowlog import RowLog


def check_text(path: Path, shard: str, *, resume: bool, overwrite: bool) -> None:
    """Raise OutputError if a `TextSink` cannot be expected to write ``path``."""
    check_unlocked(_lock_file(path), str(path))
    if not (resume or overwrite):
        _refuse_leftover(path)
    if not resume:
        _refuse_other_shard(path, shard, overwrite=overwrite)


class TextSink:
    """Rows into ``path``, by its suffix; `open_sink` makes it.

    Attributes:
        place: the file that rows go to meanwhile.
    """

    def __init__(self, path: Path, provenance: Provenance, *, resume: bool = False, overwrite: bool = False) -> None:
        self.path = path
        self.place = _part(path)
        self._provenance = provenance
        self._names = columns(provenance.names)
        self._finished = False
        self._lock = OutputLock(_lock_file(path), str(path))
        try:
            if overwrite:
                # In this order: rows are never beside the provenance of others.
                self._finish_last()
                _beside(self.place).unlink(missing_ok=True)
                self.place.unlink(missing_ok=True)
            self._log = self._open(resume, overwrite)
        except BaseException:
            self._lock.release()
            raise

    def earlier(self) -> Iterator[RowRecord]:
        """The rows of the job that is resumed; to be called before the first `write`.

        Raises:
            OutputError: if the file is damaged elsewhere than at its end.
        """
        return self._log.read()

    def write(self, row: ScoreRow) -> None:
        """Add a row; it survives whatever happens to this process when this returns.

        Raises:
            OSError: if it cannot be written.
        """
        if self._finished:
            self._begin_again()
        self._log.append(row.as_dict())

    def __enter__(self) -> TextSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and not self._finished:
                self._finish()
        finally:
            self._log.close()
            self._lock.release()

    def _open(self, resume: bool, overwrite: bool) -> RowLog:
        self._finish_last()
        if not resume:
            _refuse_leftover(self.path)
            _refuse_other_shard(self.path, self._provenance.shard, overwrite=overwrite)
        if _has_rows(self.path):
            found = self._compare(self.place)
            if found.complete:
                replace(found, complete=False).save(_beside(self.place))
            self._provenance = found
        elif resume and self.path.exists() and not self.place.exists():
            self._provenance = self._compare(self.path)
            self._finished = True
            return self._log_of(self.path)
        else:
            self.place.open("wb").close()
            self._provenance.save(_beside(self.place))
            log = self._log_of(self.place)
            log.open()
            return log
        return self._log_of(self.place)

    def _finish_last(self) -> None:
        """Do what is left to do for a job that was killed behind its last row."""
        provenance = _beside(self.place)
        if self.place.exists() or not provenance.exists():
            return
        if self.path.exists() and Provenance.load(provenance).complete:
            provenance.replace(_beside(self.path))
        else:
            provenance.unlink()

    def _compare(self, rows: Path) -> Provenance:
        found = Provenance.load(_beside(rows))
        conflicts = self._provenance.conflicts(found)
        if not conflicts and found.shard != self._provenance.shard:
            here = self._provenance.shard
            conflicts = [
                f"Shard: {found.shard} there, {here} here; each needs a file of its own, or a .parquet folder."
            ]
        refuse(rows, conflicts)
        return found

    def _begin_again(self) -> None:
        """Make a part of the finished file, which stays until the part is whole."""
        copy = self.place.with_name(f".{self.place.name}.tmp")
        shutil.copyfile(self.path, copy)
        self._provenance = replace(self._provenance, complete=False)
        self._provenance.save(_beside(self.place))
        copy.replace(self.place)
        self._log.path = self.place
        self._finished = False

    def _finish(self) -> None:
        self._log.finish()
        self._log.close()
        replace(self._provenance, complete=True).save(_beside(self.place))
        self.place.replace(self.path)
        _beside(self.place).replace(_beside(self.path))

    def _log_of(self, path: Path) -> RowLog:
        return RowLog(path, ROW_FORMATS[self.path.suffix.lower()], self._names)


def refuse(rows: Path, conflicts: list[str]) -> None:
    """Raise OutputError if there is a conflict with the rows that are there."""
    if conflicts:
        raise OutputError(
            f"The rows in {rows} are of another job, and must not be mixed with these. {' '.join(conflicts)} "
            "Name another output, or do as that job did."
        )


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _beside(rows: Path) -> Path:
    return rows.with_name(rows.name + ".provenance.json")


def _lock_file(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _refuse_leftover(path: Path) -> None:
    if _has_rows(path):
        raise OutputError(
            f"{_part(path)} exists: a job was stopped before its end. Resume it with --resume (resume=True); or "
            "move it away, name another output, or overwrite it (--force)."
        )


def _refuse_other_shard(path: Path, shard: str, *, overwrite: bool) -> None:
    """Raise OutputError if the finished rows there are of another part of the images, which this one would replace.

    To overwrite is meant, unless both are parts of the same division: then it is their common name that is not.
    """
    if not path.exists():
        return
    try:
        there = Provenance.load(_beside(path)).shard
    except OutputError:
        # It is no output of a job that is known.
        return
    parts = {there.rpartition("/")[2], shard.rpartition("/")[2]}
    if there == shard or (overwrite and (len(parts) > 1 or parts == {"1"})):
        return
    own = "these" if shard == "0/1" else f"those of shard {shard}"
    raise OutputError(
        f"{path} has the rows of shard {there}, which {own} would replace: "
        + (
            "name another output, or overwrite it (--force)."
            if len(parts) > 1
            else "each shard needs a file of its own, or all of them a .parquet folder."
        )
    )


def _has_rows(path: Path) -> bool:
    """Whether a stopped job has left a part with rows."""
    part = _part(path)
    if not part.exists() or not part.stat().st_size:
        return False
    if not _beside(part).exists():
        raise OutputError(
            f"{part} is there, but no {_beside(part).name}: how its rows were computed is unknown. "
            "Move it away, or name another output."
        )
    with part.open("rb") as stream:
        return ROW_FORMATS[path.suffix.lower()].has_rows(stream)
