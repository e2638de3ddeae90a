"""The folder of Parquet files."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from dataclasses import replace

import pytest

from topiq_metrics.scoring.items import name_digest
from topiq_metrics.scoring.sinks import OutputError, Provenance, check_output, open_sink, parquet

pytestmark = pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed")

SHARDS = ["0/2", "1/2"]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(parquet, "PART_ROWS", 3)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out.parquet"


def fill(output, provenance, rows, resume=False):
    with open_sink(output, provenance, resume=resume) as sink:
        for row in rows:
            sink.write(row)


def paths_of(sink):
    return [record["path"] for record in sink.earlier()]


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_lies_there(output, provenance, make_row, read_output):
    with open_sink(output, provenance) as sink:
        assert sink.place == output
        for number in range(7):
            sink.write(make_row(f"{number}.png"))
        assert names_in(output) == [
            ".lock-0-of-1",
            "_journal-0-of-1.jsonl",
            "_provenance-0-of-1.json",
            "part-0-of-1-000000.parquet",
            "part-0-of-1-000001.parquet",
        ]
        assert len((output / "_journal-0-of-1.jsonl").read_text().splitlines()) == 1
        # While the job runs, readers see whole parts.
        assert len(read_output(output)) == 6
    assert names_in(output) == ["_provenance-0-of-1.json", *(f"part-0-of-1-00000{i}.parquet" for i in range(3))]
    assert Provenance.load(output / "_provenance-0-of-1.json") == replace(provenance, complete=True)
    assert [row["path"] for row in read_output(output)] == [f"{number}.png" for number in range(7)]


def test_columns_and_types(output, provenance, make_row):
    import pyarrow as pa
    import pyarrow.dataset as ds

    fill(output, provenance, [make_row(width=None)])
    table = ds.dataset(output).to_table()
    assert table.schema.names == [
        "path",
        "topiq_nr-lite",
        "topiq_fr",
        "width",
        "height",
        "size",
        "status",
        "error",
        "note",
    ]
    kinds = [pa.string(), pa.float64(), pa.float64(), pa.int32(), pa.int32(), *[pa.string()] * 4]
    assert table.schema.types == kinds
    (row,) = table.to_pylist()
    assert (row["topiq_nr-lite"], row["topiq_fr"], row["width"], row["height"]) == (0.123457, None, None, 480)
    with open_sink(output, provenance, resume=True) as sink:
        assert list(sink.earlier()) == [row]


def test_pandas_reads_it(output, provenance, make_row):
    pandas = pytest.importorskip("pandas")
    fill(output, provenance, [make_row(f"{number}.png") for number in range(4)])
    frame = pandas.read_parquet(output)
    assert list(frame["path"]) == [f"{number}.png" for number in range(4)]
    assert frame["topiq_nr-lite"].mean() == pytest.approx(0.123457)


def test_no_rows_still_have_columns(output, provenance, read_output):
    import pyarrow.dataset as ds

    fill(output, provenance, [])
    assert "topiq_fr" in ds.dataset(output).schema.names
    with open_sink(output, provenance, resume=True) as sink:
        assert paths_of(sink) == []
    assert names_in(output) == ["_provenance-0-of-1.json", "part-0-of-1-000000.parquet"]


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows file names are Unicode")
@pytest.mark.parametrize("place", ["part", "journal"])
def test_names_that_are_not_unicode(place, output, provenance, make_row, read_output):
    name = os.fsdecode(b"caf\xe9 \xff\n.png")
    sink = open_sink(output, provenance)
    sink.write(make_row(name))
    sink.__exit__(None if place == "part" else KeyboardInterrupt, None, None)
    with open_sink(output, provenance, resume=True) as sink:
        (path,) = paths_of(sink)
    assert name_digest(path) == name_digest(name)
    assert read_output(output)[0]["path"] == "caf\\udce9 \\udcff\n.png"


def test_shards_share_a_folder(output, provenance, make_row, read_output):
    sinks = [open_sink(output, replace(provenance, shard=shard)) for shard in SHARDS]
    for number in range(10):
        sinks[number % 2].write(make_row(f"{number}.png"))
    sinks[0].__exit__(None, None, None)
    sinks[1].__exit__(KeyboardInterrupt, None, None)
    for shard, expected in zip(SHARDS, (range(0, 10, 2), range(1, 10, 2)), strict=True):
        with open_sink(output, replace(provenance, shard=shard), resume=True) as sink:
            assert paths_of(sink) == [f"{number}.png" for number in expected]
    assert sorted(row["path"] for row in read_output(output)) == [f"{number}.png" for number in range(10)]


def test_provenance_of_all_shards_is_compared(output, provenance, make_row):
    fill(output, replace(provenance, shard="0/2"), [make_row()])
    before = names_in(output)
    for other, problem in [
        (replace(provenance, shard="0/4"), "Number of shards: 2 there, 4 here."),
        (replace(provenance, shard="1/2", versions={"torch": "2.7.0"}), "Version of torch: 2.6.0 there, 2.7.0 here."),
    ]:
        for resume in (False, True):
            with pytest.raises(OutputError, match=f"rows in .*out.parquet are of another job.*{problem}"):
                open_sink(output, other, resume=resume)
    assert [name for name in names_in(output) if not name.startswith(".")] == before


def test_a_shard_that_begins_at_the_same_time(output, provenance, make_row, monkeypatch):
    """Its provenance is not there yet at the first look."""
    save = Provenance.save

    def save_beside(self, path):
        save(self, path)
        save(replace(self, shard="1/2", backend="onnx"), path.with_name("_provenance-1-of-2.json"))

    monkeypatch.setattr(Provenance, "save", save_beside)
    with pytest.raises(OutputError, match=r"Backend: onnx there, torch here"):
        open_sink(output, replace(provenance, shard="0/2"))
    assert names_in(output) == ["_provenance-1-of-2.json"]


@pytest.mark.parametrize("end", [None, KeyboardInterrupt])
def test_rows_need_resume(end, output, provenance, make_row):
    sink = open_sink(output, provenance)
    sink.write(make_row())
    sink.__exit__(end, None, None)
    for refuse in (lambda: check_output(output), lambda: open_sink(output, provenance)):
        with pytest.raises(OutputError, match=r"There are rows of shard 0/1 of .*out.parquet: .* with --resume"):
            refuse()
    check_output(output, resume=True)
    check_output(output, shard="1/2")
    with pytest.raises(OutputError, match=r"Precision: float32 there, float16 here"):
        open_sink(output, replace(provenance, precision="float16"), resume=True)
    (output / "_provenance-0-of-1.json").unlink()
    with pytest.raises(OutputError, match="computed is unknown"):
        open_sink(output, provenance, resume=True)


def test_a_job_that_failed_before_its_first_row_is_in_nobodys_way(output, provenance, make_row):
    sink = open_sink(output, provenance)
    sink.__exit__(KeyboardInterrupt, None, None)
    fill(check_output(output), replace(provenance, backend="onnx"), [make_row()])
    assert Provenance.load(output / "_provenance-0-of-1.json").backend == "onnx"


def test_a_whole_output_is_untouched_until_the_first_write(output, provenance, make_row, read_output):
    fill(output, provenance, [make_row()])
    states = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in output.iterdir()}
    with open_sink(output, provenance, resume=True) as sink:
        assert paths_of(sink) == ["a.png"]
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in output.iterdir()} == states
    with open_sink(output, provenance, resume=True) as sink:
        sink.write(make_row("b.png"))
        assert not Provenance.load(output / "_provenance-0-of-1.json").complete
    assert [row["path"] for row in read_output(output)] == ["a.png", "b.png"]


def test_rows_of_a_part_that_are_in_the_journal_too_count_once(output, provenance, make_row, monkeypatch, read_output):
    """Killed between the renaming of a part and the removal of the journal."""
    sink = open_sink(output, provenance)
    with monkeypatch.context() as patch:
        patch.setattr(sink._journal, "clear", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fill_sink(sink, [make_row(f"{number}\udcff.png") for number in range(3)])
    sink.__exit__(KeyboardInterrupt, None, None)
    assert (output / "_journal-0-of-1.jsonl").read_text().count("\n") == len(read_output(output)) == 3
    with open_sink(output, provenance, resume=True) as sink:
        assert paths_of(sink) == [f"{number}\\udcff.png" for number in range(3)]
        sink.write(make_row("new.png"))
    assert len(read_output(output)) == 4


def fill_sink(sink, rows):
    for row in rows:
        sink.write(row)


def test_stale_files_of_a_killed_job_are_removed(output, provenance, make_row):
    fill(output, provenance, [make_row()])
    stale = output / ".part-0-of-1-000001.parquet"
    other = output / ".part-1-of-2-000001.parquet"
    stale.write_bytes(b"PAR1")
    other.write_bytes(b"PAR1")
    with open_sink(output, provenance, resume=True):
        assert not stale.exists()
        assert other.exists()


def test_a_damaged_part(output, provenance, make_row):
    fill(output, provenance, [make_row(f"{number}.png") for number in range(6)])
    os.truncate(output / "part-0-of-1-000001.parquet", 100)
    with (
        pytest.raises(OutputError, match=r"part-0-of-1-000001.parquet cannot be read: .* Remove it"),
        open_sink(output, provenance, resume=True) as sink,
    ):
        paths_of(sink)


def test_a_removed_part_is_never_overwritten_by_a_later_one(output, provenance, make_row, read_output):
    fill(output, provenance, [make_row(f"{number}.png") for number in range(9)])
    (output / "part-0-of-1-000001.parquet").unlink()
    with open_sink(output, provenance, resume=True) as sink:
        done = paths_of(sink)
        fill_sink(sink, [make_row(f"{number}.png") for number in range(9) if f"{number}.png" not in done])
    assert sorted(row["path"] for row in read_output(output)) == [f"{number}.png" for number in range(9)]


def test_other_columns(output, provenance, make_row):
    import pyarrow as pa
    import pyarrow.parquet as pq

    fill(output, provenance, [make_row()])
    pq.write_table(pa.table({"path": ["a.png"]}), output / "part-0-of-1-000000.parquet")
    with (
        pytest.raises(OutputError, match="has other columns than this job's"),
        open_sink(output, provenance, resume=True) as sink,
    ):
        paths_of(sink)


def test_a_damaged_journal(output, provenance, make_row):
    sink = open_sink(output, provenance)
    fill_sink(sink, [make_row("0.png"), make_row("1.png")])
    sink.__exit__(KeyboardInterrupt, None, None)
    journal = output / "_journal-0-of-1.jsonl"
    journal.write_text("{}\n" + journal.read_text())
    with (
        pytest.raises(OutputError, match=r"_journal-0-of-1.jsonl is damaged in line 1: not an object with path, "),
        open_sink(output, provenance, resume=True) as sink,
    ):
        paths_of(sink)


def test_a_disk_that_fails_keeps_the_rows(output, provenance, make_row, monkeypatch):
    def fail(descriptor):
        raise OSError("the disk is gone")

    sink = open_sink(output, provenance)
    sink.write(make_row())
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="the disk is gone"):
            sink.__exit__(None, None, None)
    with open_sink(output, provenance, resume=True) as sink:
        assert paths_of(sink) == ["a.png"]
    assert names_in(output) == ["_provenance-0-of-1.json", "part-0-of-1-000000.parquet"]


def test_a_folder_of_others(output, provenance):
    output.mkdir()
    (output / "_SUCCESS").touch()
    check_output(output)
    (output / "table.parquet").touch()
    with pytest.raises(OutputError, match=r"has table.parquet in it, which is not a file of rows"):
        check_output(output)
    (output / "table.parquet").unlink()
    output.with_name("file.parquet").touch()
    with pytest.raises(OutputError, match=r"is a file: give a folder"):
        check_output(output.with_name("file.parquet"))


def test_a_provenance_of_another_kind(output, provenance):
    output.mkdir()
    (output / "_provenance-1-of-2.json").write_text(json.dumps({"made by": "someone"}))
    with pytest.raises(OutputError, match=r"_provenance-1-of-2.json does not say .*: it is not of topiq-metrics"):
        open_sink(output, provenance)


def test_without_pyarrow(output, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'topiq-metrics\[parquet\]'"):
        check_output(output)


def test_importing_sinks_needs_nothing_heavy():
    import subprocess

    code = "import topiq_metrics.scoring.sinks, sys; print({'torch', 'pyarrow', 'numpy', 'PIL'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
