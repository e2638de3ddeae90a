"""Where rows go: files that are whole when they appear, and of which a kill at any moment loses nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol

from topiq_metrics._outputs import check_place_of_file, check_place_of_folder, check_suffix
from topiq_metrics.scoring.errors import OutputError, OutputWriteError, output_errors
from topiq_metrics.scoring.provenance import Provenance
from topiq_metrics.scoring.rows import RowRecord, ScoreRow
from topiq_metrics.scoring.sinks.formats import ROW_FORMATS, CSVWriter
from topiq_metrics.scoring.sinks.parquet import ParquetSink, check_parquet
from topiq_metrics.scoring.sinks.text import TextSink, check_text

__all__ = [
    "CSVWriter",
    "OutputError",
    "OutputWriteError",
    "ParquetSink",
    "Provenance",
    "Sink",
    "TextSink",
    "check_output",
    "open_sink",
]

_PARQUET = ".parquet"


class Sink(Protocol):
    """Takes rows. Leaving its context normally makes the output whole; by an exception, what was written is kept.

    Attributes:
        place: where rows lie meanwhile, for messages.
    """

    place: Path

    def earlier(self) -> Iterator[RowRecord]:
        """The rows that a resumed job finds, lazily; to be called before the first `write`."""
        ...

    def write(self, row: ScoreRow) -> None:
        """Add a row; it survives whatever happens to this process when this returns."""
        ...

    def __enter__(self) -> Sink: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def check_output(
    path: str | os.PathLike[str], *, resume: bool = False, shard: str = "0/1", overwrite: bool = False
) -> Path:
    """``path``, if `open_sink` can be expected to write it; nothing is changed.

    Args:
        path: the output.
        resume: whether to continue after the rows that are there.
        shard: ``"i/n"``.
        overwrite: whether rows that are there may be dropped.

    Raises:
        OutputError: another suffix than ``.csv``, ``.jsonl``, ``.json`` or ``.parquet``, no such folder, a folder
            where a file is to be or the reverse, another job at work, or, without ``resume`` and ``overwrite``, rows of
            another shard or of a stopped job.
        ModuleNotFoundError: if pyarrow is needed and not installed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    with output_errors():
        check_suffix(path, (*ROW_FORMATS, _PARQUET))
        check_place = check_place_of_folder if suffix == _PARQUET else check_place_of_file
        check_place(path)
    if suffix == _PARQUET:
        check_parquet(path, resume or overwrite, shard)
    else:
        check_text(path, shard, resume=resume, overwrite=overwrite)
    return path


def open_sink(
    path: str | os.PathLike[str], provenance: Provenance, *, resume: bool = False, overwrite: bool = False
) -> Sink:
    """Open an output for rows: a ``.csv``, ``.jsonl`` or ``.json`` file, or a ``.parquet`` folder.

    A file appears when it is whole, and replaces an earlier one then. A folder is filled part by part, by all shards of
    a job at the same time.

    Args:
        path: the output.
        provenance: what the rows are the result of.
        resume: continue the rows of a job that was stopped, or has ended; begin where there are none.
        overwrite: drop the rows of a stopped job, and in a folder those of an ended one, of the same shard.

    Raises:
        OutputError: as `check_output`, and if the rows that are there are of another provenance or damaged.
        ModuleNotFoundError: if pyarrow is needed and not installed.
        OSError: if it cannot be written.
    """
    path = check_output(path, resume=resume, shard=provenance.shard, overwrite=overwrite)
    kind = ParquetSink if path.suffix.lower() == _PARQUET else TextSink
    return kind(path, provenance, resume=resume, overwrite=overwrite)
