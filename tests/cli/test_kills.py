"""A job that is killed again and again, with everything that belongs to it, and goes on each time."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups of POSIX")

IMAGES = 600


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, save_picture) -> Path:
    """Few pictures under many names, of three sizes; some names are no pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(3):
        save_picture(folder / f"{i:03}.png", 40 + 8 * i, 48, seed=i)
    for i in range(3, IMAGES):
        if i % 50 == 7:
            (folder / f"{i:03}.png").write_text("no image")
        else:
            os.link(folder / f"{i % 3:03}.png", folder / f"{i:03}.png")
    return folder


def rows_on_disk(output: Path) -> list[dict[str, str]]:
    """Whole rows, wherever they lie while the job runs or after it."""
    if output.suffix == ".parquet":
        import pyarrow.parquet as pq

        rows = [row for part in sorted(output.glob("part-*.parquet")) for row in pq.read_table(part).to_pylist()]
        names = {row["path"] for row in rows}
        journal = next(iter(output.glob("_journal*")), None)
        return rows + [row for row in _json_rows(journal) if row["path"] not in names]
    part = output.with_name(output.name + ".part")
    path = part if part.exists() else output
    if output.suffix == ".jsonl":
        return _json_rows(path)
    if not path.exists():
        return []
    text = path.read_text()
    return list(csv.DictReader(text[: text.rfind("\n") + 1].splitlines()))


def _json_rows(path: Path | None) -> list[dict[str, str]]:
    if path is None or not path.exists():
        return []
    text = path.read_text()
    rows = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    return [row for row in rows if "path" in row]


@pytest.mark.parametrize(
    ("suffix", "kills"),
    [
        (".csv", 3),
        *(pytest.param(suffix, 8, marks=pytest.mark.slow) for suffix in (".csv", ".jsonl", ".parquet")),
    ],
)
def test_every_image_has_exactly_one_row(suffix, kills, start, pictures, tmp_path):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    moments = random.Random(f"{suffix} {kills}")
    output = tmp_path / f"out{suffix}"
    arguments = ("score", pictures, "-o", output, "--resume", "--workers", "2")
    options = {"fake": True, "env": {"PAUSE": "0.05", "OMP_NUM_THREADS": "1"}, "start_new_session": True}
    seen = 0
    for kill in range(kills):
        process = start(*arguments, **options)
        # Some while it starts, some while rows come.
        wanted = seen + moments.randrange(50) if kill else 0
        deadline = time.monotonic() + 120
        while process.poll() is None and len(rows_on_disk(output)) < wanted and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(moments.random() * (0.1 if kill else 2))
        before = rows_on_disk(output)
        assert process.poll() is None, process.communicate()
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        after = rows_on_disk(output)
        assert after[: len(before)] == before
        assert len({row["path"] for row in after}) == len(after)
        seen = len(after)
    assert seen > 0
    last = start(*arguments, **options)
    _, errors = last.communicate(timeout=120)
    assert last.returncode == 1, errors
    assert f"{IMAGES} images ({seen} of them before): " in errors
    rows = rows_on_disk(output)
    assert [row["path"] for row in rows] == sorted(str(path) for path in pictures.iterdir())
    assert [row["status"] for row in rows].count("error") == sum(1 for i in range(3, IMAGES) if i % 50 == 7)
    scores = {}
    for row in rows:
        if row["status"] == "ok":
            scores.setdefault(int(Path(row["path"]).stem) % 3, set()).add(float(row["topiq_nr-lite"]))
    assert all(len(found) == 1 for found in scores.values())
    assert len(scores) == 3
    leftovers = {path.name for path in tmp_path.rglob("*")} - {output.name, f"{output.name}.provenance.json"}
    assert not [name for name in leftovers if "part-" not in name and "_provenance" not in name]
