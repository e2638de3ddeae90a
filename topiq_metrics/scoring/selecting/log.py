"""What was done with files, line by line in the folder that they were put into; it survives a kill."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from topiq_metrics.scoring.errors import OutputError
from topiq_metrics.scoring.items import as_unicode
from topiq_metrics.scoring.rows import RowRecord
from topiq_metrics.scoring.sinks.formats import WholeLines
from topiq_metrics.scoring.sinks.rowlog import RowLog

NAME = "topiq-select.jsonl"
MOVING = "moving"
"""What is said before a file is moved: after a kill, it is in one place, or whole in both."""

_FIELDS = ("time", "what", "source", "target", "reason")


class SelectLog:
    """The log of a folder; nothing is written before the first line.

    Args:
        folder: that files are put into.

    Raises:
        OutputError: if what is there is no such log.
    """

    def __init__(self, folder: Path) -> None:
        self._log = RowLog(folder / NAME, _Lines(), _FIELDS)
        self._moving: dict[str, str] = {}
        if self._log.path.exists():
            for record in self._log.read():
                self._note(str(record["what"]), str(record["source"]), str(record["target"]))

    def was_moving(self, source: Path, target: str) -> bool:
        """Whether a file was on its way to a target, or came there, and nothing else is known of it since."""
        return self._moving.get(as_unicode(target)) == as_unicode(str(source))

    def write(self, what: str, source: Path, target: str, reason: str = "") -> None:
        """Add a line.

        Raises:
            OSError: if it cannot be written.
        """
        cells = (dt.datetime.now(dt.timezone.utc).isoformat("T", "seconds"), what, str(source), target, reason)
        record = {name: as_unicode(cell) for name, cell in zip(_FIELDS, cells, strict=True)}
        self._log.append(dict(record))
        self._note(what, record["source"], record["target"])

    def close(self) -> None:
        self._log.close()

    def _note(self, what: str, source: str, target: str) -> None:
        if what in {MOVING, "moved"}:
            self._moving[target] = source
        else:
            self._moving.pop(target, None)


class _Lines:
    """The lines of the log."""

    footer = b""

    def header(self, names: Sequence[str]) -> bytes:  # noqa: ARG002
        return b""

    def encode(self, record: RowRecord, *, first: bool = False) -> bytes:  # noqa: ARG002
        return json.dumps(record, ensure_ascii=False).encode() + b"\n"

    def decode(self, lines: WholeLines, names: Sequence[str]) -> Iterator[RowRecord]:
        for line in lines:
            record: Any = json.loads(line)
            if not isinstance(record, dict) or tuple(record) != tuple(names):
                raise ValueError("it is no line of `topiq select`")
            yield record

    def has_rows(self, stream: IO[bytes]) -> bool:
        return bool(stream.read(1))


def check_log(folder: Path) -> None:
    """Raise OutputError if a folder has something else under the name of the log."""
    if (folder / NAME).is_dir():
        raise OutputError(f"{folder / NAME} is a folder, but the log must be written there: give another folder.")
