"""After a kill at any moment a resumed job ends with every row once, and no row that was written is scored again."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys

import pytest

from topiq_metrics.scoring.sinks import OutputError, Provenance, check_output, open_sink, parquet

PATHS = ["plain.png", 'line\nbreak, "quoted".png', "a\r\nb\n", "3.png", "4.png"]
HAS_PYARROW = importlib.util.find_spec("pyarrow") is not None
SUFFIXES = [
    ".csv",
    ".jsonl",
    ".json",
    pytest.param(".parquet", marks=pytest.mark.skipif(not HAS_PYARROW, reason="pyarrow is not installed")),
]

JOB = """
import sys, time
from pathlib import Path
from topiq_metrics.scoring.rows import ScoreRow
from topiq_metrics.scoring.sinks import Provenance, open_sink

output, provenance = map(Path, sys.argv[1:])
with open_sink(output, Provenance.from_json(provenance.read_bytes())) as sink:
    for number in range(10):
        scores = dict.fromkeys(("topiq_nr-lite", "topiq_fr"), 0.5)
        sink.write(ScoreRow(f"{number}.png", scores, 640, 480, "native", "ok", ""))
    print("written", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(parquet, "PART_ROWS", 2)


def run(output, provenance, make_row, paths=PATHS, resume=True, kills=None):
    with open_sink(output, provenance, resume=resume) as sink:
        done = [record["path"] for record in sink.earlier()]
        assert len(set(done)) == len(done)
        for path in paths:
            if path not in done:
                kills.write(sink, make_row(path)) if kills else sink.write(make_row(path))
    return done


def check_every_kill(kills, name, tmp_path, provenance, make_row, read_output, known=0):
    """Resume from each state; ``known`` rows were there before."""
    assert len(kills.states) > len(PATHS)
    for number, (state, written) in enumerate(kills.states):
        folder = tmp_path / str(number)
        folder.mkdir()
        output = kills.restore(state, folder) / name
        done = run(output, provenance, make_row)
        assert len(done) >= known + written, list(state)
        assert sorted(row["path"] for row in read_output(output)) == sorted(PATHS), list(state)
        left = {path.name for path in folder.rglob("*") if path.is_file()}
        assert not [file for file in left if ".part" in file or "journal" in file or file.startswith(".")], left
        (beside,) = folder.rglob("*provenance*.json")
        assert Provenance.load(beside).complete


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_new_output(suffix, kills, tmp_path, provenance, make_row, read_output):
    name = f"out{suffix}"
    with kills.record():
        run(kills.folder / name, provenance, make_row, resume=False, kills=kills)
    check_every_kill(kills, name, tmp_path, provenance, make_row, read_output)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json"])
def test_an_output_that_replaces_another(suffix, kills, tmp_path, provenance, make_row, read_output):
    name = f"out{suffix}"
    output = kills.folder / name
    run(output, provenance, make_row, paths=PATHS[:1])
    before = output.read_bytes()
    with kills.record():
        run(output, provenance, make_row, resume=False, kills=kills)
    after = output.read_bytes()
    assert {state[name] for state, _ in kills.states} == {before, after}
    check_every_kill(kills, name, tmp_path, provenance, make_row, read_output)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_output_that_is_gone_on_with(suffix, kills, tmp_path, provenance, make_row, read_output):
    """Of a job that was killed in the middle of a row."""
    name = f"out{suffix}"
    output = kills.folder / name
    sink = open_sink(output, provenance)
    for path in PATHS[:3]:
        sink.write(make_row(path))
    sink.__exit__(KeyboardInterrupt, None, None)
    growing = output / "_journal-0-of-1.jsonl" if suffix == ".parquet" else sink.place
    os.truncate(growing, growing.stat().st_size - 9)
    with kills.record():
        run(output, provenance, make_row, kills=kills)
    check_every_kill(kills, name, tmp_path, provenance, make_row, read_output, known=2)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_whole_output_that_gets_more_rows(suffix, kills, tmp_path, provenance, make_row, read_output):
    name = f"out{suffix}"
    output = kills.folder / name
    run(output, provenance, make_row, paths=PATHS[:2])
    with kills.record():
        run(output, provenance, make_row, kills=kills)
    if suffix != ".parquet":
        assert all(name in state for state, _ in kills.states)
    check_every_kill(kills, name, tmp_path, provenance, make_row, read_output, known=2)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_job_in_another_process(suffix, tmp_path, provenance):
    output = tmp_path / f"out{suffix}"
    provenance.save(tmp_path / "provenance.json")
    command = [sys.executable, "-c", JOB, str(output), str(tmp_path / "provenance.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as job:
        try:
            assert job.stdout.readline() == "written\n"
            for resume in (False, True):
                with pytest.raises(OutputError, match=r"Another job is writing .*out"):
                    open_sink(output, provenance, resume=resume)
            with pytest.raises(OutputError, match=r"Another job is writing .*out"):
                check_output(output, resume=True)
        finally:
            job.send_signal(signal.SIGKILL)
    with pytest.raises(OutputError, match="Resume it with --resume"):
        check_output(output)
    check_output(output, resume=True)
    with open_sink(output, provenance, resume=True) as sink:
        assert [record["path"] for record in sink.earlier()] == [f"{number}.png" for number in range(10)]
    assert not list(tmp_path.rglob(".*"))
