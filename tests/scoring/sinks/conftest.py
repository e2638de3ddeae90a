from __future__ import annotations

import contextlib
import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from topiq_metrics.scoring.rows import ScoreRow
from topiq_metrics.scoring.sinks import open_sink

NAMES = ("topiq_nr-lite", "topiq_fr")
PACKAGE = str(Path(sys.modules[open_sink.__module__].__file__ or "").parent)


@pytest.fixture
def make_row() -> Callable[..., ScoreRow]:
    def make(path: str = "a.png", score: float = 0.123456789, **changes: Any) -> ScoreRow:
        values = {"width": 640, "height": 480, "size": "native", "status": "partial", "error": "why", **changes}
        return ScoreRow(path, {NAMES[0]: score, NAMES[1]: None}, **values)

    return make


@pytest.fixture
def read_output() -> Callable[[Path], list[dict[str, Any]]]:
    """Reads what a reader of the output would, without this package."""

    def read(path: Path) -> list[dict[str, Any]]:
        if path.suffix == ".parquet":
            import pyarrow.dataset as ds

            return ds.dataset(path).to_table().to_pylist()
        if path.suffix == ".json":
            return json.loads(path.read_bytes())
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
            return list(csv.DictReader(stream)) if path.suffix == ".csv" else [json.loads(line) for line in stream]

    return read


class Kills:
    """What a job would leave on the disk, were it killed before any line of the package's code that it runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.states: list[tuple[dict[str, bytes], int]] = []
        self.written = 0

    @contextlib.contextmanager
    def record(self):
        earlier = sys.gettrace()
        sys.settrace(self._on_call)
        try:
            yield
        finally:
            sys.settrace(earlier)
        self._look()

    def write(self, sink: Any, row: ScoreRow) -> None:
        sink.write(row)
        self.written += 1

    def restore(self, state: dict[str, bytes], folder: Path) -> Path:
        for name, content in state.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder

    def _on_call(self, frame: FrameType, event: str, argument: object) -> Any:
        return self._on_line if frame.f_code.co_filename.startswith(PACKAGE) else None

    def _on_line(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            self._look()
        return self._on_line

    def _look(self) -> None:
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        state = {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}
        if not self.states or state != self.states[-1][0]:
            self.states.append((state, self.written))


@pytest.fixture
def kills(tmp_path: Path) -> Kills:
    folder = tmp_path / "recorded"
    folder.mkdir()
    return Kills(folder)
