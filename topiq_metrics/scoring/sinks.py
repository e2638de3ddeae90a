"""Rows as text: CSV and JSON lines, written aside and renamed when whole."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TextIO

from topiq_metrics.scoring.engine import ScoreRow

_DECIMALS = 6


def columns(metrics: Sequence[str]) -> tuple[str, ...]:
    return ("path", *metrics, "width", "height", "size", "status", "error")


def as_record(row: ScoreRow) -> dict[str, str | int | float | None]:
    """A row under its column names, scores rounded to 6 decimals."""
    scores = {name: None if score is None else round(score, _DECIMALS) for name, score in row.scores.items()}
    return {
        "path": row.path,
        **scores,
        "width": row.width,
        "height": row.height,
        "size": row.size,
        "status": row.status,
        "error": row.error,
    }


class CSVWriter:
    """Comma-separated rows under a header; what is unknown is empty."""

    def __init__(self, stream: TextIO, metrics: Sequence[str]) -> None:
        # A cell with a character of the line's end is quoted, so both must be part of it.
        self._writer = csv.DictWriter(_UnixLines(stream), columns(metrics), lineterminator="\r\n")
        self._writer.writeheader()

    def write(self, row: ScoreRow) -> None:
        self._writer.writerow(as_record(row))


class _UnixLines:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, line: str) -> None:
        self._stream.write(line.removesuffix("\r\n") + "\n")


class JSONLinesWriter:
    """One JSON object a line; what is unknown is null."""

    def __init__(self, stream: TextIO, metrics: Sequence[str]) -> None:  # noqa: ARG002
        self._stream = stream

    def write(self, row: ScoreRow) -> None:
        self._stream.write(json.dumps(as_record(row)) + "\n")


FORMATS: dict[str, type[CSVWriter] | type[JSONLinesWriter]] = {".csv": CSVWriter, ".jsonl": JSONLinesWriter}


def check_output(path: str | os.PathLike[str]) -> Path:
    """``path``, if a `FileSink` can be expected to write it.

    Raises:
        ValueError: another suffix than ``.csv`` or ``.jsonl``, a folder that does not exist, a folder as output,
            or rows of a job that runs or was stopped.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"An output file must end in one of {tuple(FORMATS)}, but got {path}.")
    if not path.parent.is_dir():
        raise ValueError(f"There is no folder {path.parent} for the output {path.name}.")
    if path.is_dir():
        raise ValueError(f"The output {path} is a folder.")
    if _part(path).exists():
        raise ValueError(
            f"{_part(path)} is there: another job is writing it, or one was stopped. "
            "Move it away, or name another output."
        )
    return path


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


class FileSink:
    """Rows into ``path``, by its suffix ``.csv`` or ``.jsonl``.

    Rows go to ``<path>.part``; leaving the context normally renames it, so that ``path`` is always whole and an
    earlier file of that name stays until then.

    Raises:
        ValueError: see `check_output`.
        OSError: the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], metrics: Sequence[str]) -> None:
        self.path = check_output(path)
        self.part = _part(self.path)
        # File names need not be valid Unicode, and go out as they came in.
        self._stream = self.part.open("x", newline="", encoding="utf-8", errors=sys.getfilesystemencodeerrors())
        self._writer = FORMATS[self.path.suffix.lower()](self._stream, metrics)

    def write(self, row: ScoreRow) -> None:
        self._writer.write(row)
        self._stream.flush()

    def __enter__(self) -> FileSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        if kind is None:
            self.part.replace(self.path)
