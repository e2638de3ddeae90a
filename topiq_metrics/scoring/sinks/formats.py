"""Rows as text: CSV and JSON lines."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from typing import IO, Any, Protocol, TextIO

from topiq_metrics._tables import csv_rows
from topiq_metrics.scoring.rows import ROW_STATUSES, RowRecord, ScoreRow, columns

_WHOLE_NUMBERS = ("width", "height")
_TEXTS = ("path", "size", "status", "error", "note")


class WholeLines:
    """The lines of a file but for one without an end, counted."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.bytes = 0
        self.number = 0
        self.at_end = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        line = self._stream.readline()
        if not line.endswith(b"\n"):
            self.at_end = True
            raise StopIteration
        self.bytes += len(line)
        self.number += 1
        return line


class RowFormat(Protocol):
    """A way to write rows of the columns ``names`` below each other, such that a file can be cut after any of them.

    Attributes:
        footer: what stands below the last row of a whole file.
    """

    footer: bytes

    def header(self, names: Sequence[str]) -> bytes: ...

    def encode(self, record: RowRecord, *, first: bool = False) -> bytes:
        """A row, in its line; the first one may look different."""
        ...

    def decode(self, lines: WholeLines, names: Sequence[str]) -> Iterator[RowRecord]:
        """Read rows; one that is cut at the end is left out.

        Raises:
            ValueError: for a row that is none.
        """
        ...

    def has_rows(self, stream: IO[bytes]) -> bool:
        """Whether there is anything below the header, a row or the beginning of one."""
        ...


class CSVFormat:
    """Comma-separated rows under a header; what is unknown is empty."""

    footer = b""

    def header(self, names: Sequence[str]) -> bytes:
        return _to_bytes(_csv_line(names))

    def encode(self, record: RowRecord, *, first: bool = False) -> bytes:  # noqa: ARG002
        return _to_bytes(_csv_line(list(record.values())))

    def decode(self, lines: WholeLines, names: Sequence[str]) -> Iterator[RowRecord]:
        swallowed: list[str] = []

        def texts() -> Iterator[str]:
            for line in lines:
                swallowed.append(line.decode("utf-8", sys.getfilesystemencodeerrors()))
                yield swallowed[-1]

        reader = csv_rows(texts(), strict=True)
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if lines.at_end and not any(_is_row(line, names) for line in swallowed[1:]):
                    # Cut behind a line's end that is part of a name.
                    return
                raise ValueError(str(error)) from None
            swallowed.clear()
            if len(cells) != len(names):
                raise ValueError(f"{len(cells)} cells instead of {len(names)}")
            if cells[names.index("status")] not in ROW_STATUSES:
                raise ValueError(f"status is {cells[names.index('status')]!r}")
            yield {name: _from_cell(name, cell) for name, cell in zip(names, cells, strict=True)}

    def has_rows(self, stream: IO[bytes]) -> bool:
        stream.readline()
        return bool(stream.read(1))


class JSONLinesFormat:
    """One JSON object a line; what is unknown is null."""

    footer = b""

    def header(self, names: Sequence[str]) -> bytes:  # noqa: ARG002
        return b""

    def encode(self, record: RowRecord, *, first: bool = False) -> bytes:  # noqa: ARG002
        return json.dumps(record).encode() + b"\n"

    def decode(self, lines: WholeLines, names: Sequence[str]) -> Iterator[RowRecord]:
        for line in lines:
            yield _from_json(line, names)

    def has_rows(self, stream: IO[bytes]) -> bool:
        return bool(stream.read(1))


class FirstRowError(ValueError):
    """The first row of an array begins as the others do."""


class JSONArrayFormat:
    """A JSON array with one object a line, behind a comma but for the first; what is unknown is null."""

    footer = b"]\n"

    def header(self, names: Sequence[str]) -> bytes:  # noqa: ARG002
        return b"[\n"

    def encode(self, record: RowRecord, *, first: bool = False) -> bytes:
        return (b" " if first else b",") + json.dumps(record).encode() + b"\n"

    def decode(self, lines: WholeLines, names: Sequence[str]) -> Iterator[RowRecord]:
        for index, line in enumerate(lines):
            if line == self.footer:
                if next(lines, None) is not None:
                    raise ValueError("there is more behind the end of the array")
                return
            if line[:1] not in {b" ", b","}:
                raise ValueError("a line must begin with a comma, the first one with a blank")
            if index == 0 and line[:1] == b",":
                raise FirstRowError("the row that was before it is gone, and its comma remains")
            yield _from_json(line[1:], names)

    def has_rows(self, stream: IO[bytes]) -> bool:
        stream.readline()
        return stream.read(1) not in {b"", b"]"}


ROW_FORMATS: dict[str, RowFormat] = {".csv": CSVFormat(), ".jsonl": JSONLinesFormat(), ".json": JSONArrayFormat()}


class CSVWriter:
    """Comma-separated rows under a header, into a text stream; what is unknown is empty."""

    def __init__(self, stream: TextIO, metrics: Sequence[str]) -> None:
        self._stream = stream
        stream.write(_csv_line(columns(metrics)))

    def write(self, row: ScoreRow) -> None:
        self._stream.write(_csv_line(list(row.as_dict().values())))


class _Echo:
    def write(self, line: str) -> str:
        return line


# A cell with a character of the line's end is quoted, so both must be part of it.
_WRITER = csv.writer(_Echo(), lineterminator="\r\n")


def _csv_line(cells: Sequence[str | int | float | None]) -> str:
    line: str = _WRITER.writerow(cells)  # what `_Echo.write` returns
    return line.removesuffix("\r\n") + "\n"


def _is_row(line: str, names: Sequence[str]) -> bool:
    try:
        cells = next(csv_rows([line], strict=True), [])
    except csv.Error:
        return False
    return len(cells) == len(names) and cells[names.index("status")] in ROW_STATUSES


def _to_bytes(line: str) -> bytes:
    try:
        # File names need not be valid Unicode, and go out as they came in.
        return line.encode("utf-8", sys.getfilesystemencodeerrors())
    except UnicodeEncodeError:
        # No name of a file.
        return line.encode("utf-8", "backslashreplace")


def _from_cell(name: str, cell: str) -> str | int | float | None:
    if name in _TEXTS:
        return cell
    if not cell:
        return None
    return int(cell) if name in _WHOLE_NUMBERS else float(cell)


def _from_json(line: bytes, names: Sequence[str]) -> RowRecord:
    record: Any = json.loads(line)
    if not isinstance(record, dict) or tuple(record) != tuple(names):
        raise ValueError(f"not an object with {', '.join(names)}")
    for name, value in record.items():
        if not _fits(name, value) or (name == "status" and value not in ROW_STATUSES):
            raise ValueError(f"{name} is {value!r}")
    return record


def _fits(name: str, value: object) -> bool:
    if name in _TEXTS:
        return isinstance(value, str)
    return value is None or type(value) is int or (type(value) is float and name not in _WHOLE_NUMBERS)
