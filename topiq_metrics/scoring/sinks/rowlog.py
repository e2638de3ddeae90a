"""A text file that grows by a row at a time, and can be read up to its last whole row."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from io import FileIO
from pathlib import Path

from topiq_metrics.scoring.errors import OutputError
from topiq_metrics.scoring.rows import RowRecord
from topiq_metrics.scoring.sinks.formats import FirstRowError, RowFormat, WholeLines


class RowLog:
    """Rows in a text file; what a killed job left of a row at its end is cut off before another is added.

    Args:
        path: the file, which need not exist yet.
        form: how rows are written.
        names: the columns.
    """

    def __init__(self, path: Path, form: RowFormat, names: Sequence[str]) -> None:
        self.path = path
        self.rows = 0
        self._form = form
        self._names = names
        self._end: int | None = None
        self._file: FileIO | None = None

    def read(self) -> Iterator[RowRecord]:
        """The whole rows, one after the other.

        Raises:
            OutputError: if there is something else before the last row; with the line's number.
        """
        header = self._form.header(self._names)
        rows, end, line = 0, 0, 1
        with self.path.open("rb") as stream:
            found = stream.read(len(header))
            if found == header:
                lines = WholeLines(stream)
                end, line = len(header), header.count(b"\n") + 1
                try:
                    for record in self._form.decode(lines, self._names):
                        rows, end = rows + 1, len(header) + lines.bytes
                        line = header.count(b"\n") + lines.number + 1
                        yield record
                except FirstRowError as error:
                    raise OutputError(
                        f"{self.path} is damaged in line {line}: {error}. Put a blank in the place of the comma."
                    ) from None
                except ValueError as error:
                    raise OutputError(
                        f"{self.path} is damaged in line {line}: {error}. Correct or remove that line, or name another "
                        "output."
                    ) from None
            elif not header.startswith(found):
                raise OutputError(
                    f"{self.path} does not begin with the columns {','.join(self._names)}: it is of another job. "
                    "Move it away, or name another output."
                )
        self.rows, self._end = rows, end

    def open(self) -> None:
        """Make the file ready for more rows, if it is not yet."""
        if self._file is not None:
            return
        self.path.touch()
        if self._end is None:
            for _ in self.read():
                pass
        self._file = FileIO(self.path, "r+")
        self._cut()
        if self._end == 0:
            self._write(self._form.header(self._names))

    def append(self, record: RowRecord) -> None:
        """Add a row; the system has it when this returns.

        Raises:
            OSError: if it cannot be written; then there is nothing of it in the file.
        """
        self.open()
        self._write(self._form.encode(record, first=not self.rows))
        self.rows += 1

    def finish(self) -> None:
        """Make the file whole, and wait until the disk has it."""
        self.open()
        self._write(self._form.footer)
        self.sync()

    def clear(self) -> None:
        """Remove the file, if it is there; the next row begins a new one."""
        self.close()
        self.path.unlink(missing_ok=True)
        self.rows, self._end = 0, None

    def sync(self) -> None:
        """Wait until the disk has it."""
        self.open()
        if self._file is not None:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, line: bytes) -> None:
        if self._file is None or self._end is None:
            raise ValueError(f"{self.path} is not open.")
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            with contextlib.suppress(OSError):
                self._cut()
            raise
        self._end += len(line)

    def _cut(self) -> None:
        if self._file is not None and self._end is not None:
            self._file.truncate(self._end)
            self._file.seek(self._end)
