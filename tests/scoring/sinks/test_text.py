"""CSV and JSON lines."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import tracemalloc
from dataclasses import replace

import pytest

from topiq_metrics.scoring.sinks import CSVWriter, OutputError, Provenance, check_output, open_sink
from topiq_metrics.scoring.sinks.formats import ROW_FORMATS

NAMES = ("topiq_nr-lite", "topiq_fr")
HEADER = b"path,topiq_nr-lite,topiq_fr,width,height,size,status,error,note\n"
RECORD = {
    "path": "a.png",
    "topiq_nr-lite": 0.123457,
    "topiq_fr": None,
    "width": 640,
    "height": 480,
    "size": "native",
    "status": "partial",
    "error": "why",
    "note": "",
}
ODD_PATHS = [
    "plain.png",
    "with, comma.png",
    'with "quotes".png',
    "with\nnewline.png",
    "with\rreturn.png",
    'with\r\nboth".png',
    " leading and trailing ",
    "ünïcödé 图.png",
    "=1+1.png",
    "tab\t.png",
    "\n",
    "",
    "\ud800 in no name of a file.png",
]
TEXT = pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json"])


EMPTY = {".csv": HEADER, ".jsonl": b"", ".json": b"[\n]\n"}


def fill(output, provenance, rows, resume=False):
    with open_sink(output, provenance, resume=resume) as sink:
        for row in rows:
            sink.write(row)


def stop(output, provenance, rows, resume=False):
    """Write rows, and end like a job that is interrupted."""

    def interrupted():
        with open_sink(output, provenance, resume=resume) as sink:
            for row in rows:
                sink.write(row)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    return output.with_name(output.name + ".part")


def go_on(output, provenance, rows):
    """Write the rows that are not there, and stop again; tells how many there were."""
    sink = open_sink(output, provenance, resume=True)
    found = len(list(sink.earlier()))
    for row in rows[found:]:
        sink.write(row)
    sink.__exit__(KeyboardInterrupt, None, None)
    return found


def resumed(output, provenance):
    with open_sink(output, provenance, resume=True) as sink:
        return list(sink.earlier())


def test_csv_has_one_column_for_each_metric(tmp_path, provenance, make_row):
    fill(tmp_path / "out.csv", provenance, [make_row()])
    assert (tmp_path / "out.csv").read_bytes() == HEADER + b"a.png,0.123457,,640,480,native,partial,why,\n"


def test_json_lines_have_null_for_what_is_unknown(tmp_path, provenance, make_row):
    fill(tmp_path / "out.jsonl", provenance, [make_row(width=None, height=None), make_row()])
    first, second = (json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines())
    assert first == {**RECORD, "width": None, "height": None}
    assert second == RECORD


def test_a_json_array_is_one(tmp_path, provenance, make_row):
    output = tmp_path / "out.json"
    fill(output, provenance, [make_row(path) for path in ODD_PATHS[:3]])
    fill(output, provenance, [make_row("later.png")], resume=True)
    rows = json.loads(output.read_text())
    assert [row["path"] for row in rows] == [*ODD_PATHS[:3], "later.png"]
    assert rows[0] == make_row(ODD_PATHS[0]).as_dict()


@TEXT
def test_no_rows_at_all(suffix, tmp_path, provenance):
    fill(tmp_path / f"out{suffix}", provenance, [])
    assert (tmp_path / f"out{suffix}").read_bytes() == EMPTY[suffix]
    assert resumed(tmp_path / f"out{suffix}", provenance) == []


@TEXT
@pytest.mark.parametrize("path", ODD_PATHS)
def test_odd_names_come_back(suffix, path, tmp_path, provenance, make_row, read_output):
    output = tmp_path / f"out{suffix}"
    fill(output, provenance, [make_row(path, error=path), make_row()])
    if "\ud800" in path and suffix == ".csv":
        path = path.replace("\ud800", "\\ud800")
    first, second = read_output(output)
    assert first["path"] == first["error"] == path
    assert second["path"] == "a.png"
    assert resumed(output, provenance) == [{**RECORD, "path": path, "error": path}, RECORD]


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows file names are Unicode")
@TEXT
def test_names_that_are_not_unicode_come_back(suffix, tmp_path, provenance, make_row, read_output):
    name = b"caf\xe9 \xff.png"
    output = tmp_path / f"out{suffix}"
    fill(output, provenance, [make_row(os.fsdecode(name))])
    assert os.fsencode(read_output(output)[0]["path"]) == name
    assert os.fsencode(resumed(output, provenance)[0]["path"]) == name


def test_a_stream_gets_unix_lines(make_row):
    stream = io.StringIO()
    CSVWriter(stream, NAMES).write(make_row("a\r\nb"))
    header, *lines = stream.getvalue().splitlines(keepends=True)
    assert header.encode() == HEADER
    assert lines == ['"a\r\n', 'b",0.123457,,640,480,native,partial,why,\n']


@TEXT
def test_rows_are_aside_until_all_are_there(suffix, tmp_path, provenance, make_row, read_output):
    output = tmp_path / f"out{suffix}"
    output.write_text("earlier")
    with open_sink(output, provenance) as sink:
        sink.write(make_row())
        assert output.read_text() == "earlier"
        assert sink.place.name == f"out{suffix}.part"
        assert sink.place.read_bytes().startswith({".csv": HEADER, ".jsonl": b"{", ".json": b"[\n {"}[suffix])
        assert sink.place.read_bytes().endswith(b"\n")
    assert len(read_output(output)) == 1
    assert {path.name for path in tmp_path.iterdir()} == {output.name, f"{output.name}.provenance.json"}
    assert Provenance.load(tmp_path / f"{output.name}.provenance.json") == replace(provenance, complete=True)


def test_a_failure_keeps_the_earlier_file_and_what_was_written(tmp_path, provenance, make_row):
    output = tmp_path / "out.csv"
    output.write_text("earlier")
    part = stop(output, provenance, [make_row()])
    assert output.read_text() == "earlier"
    assert part.read_bytes().count(b"\n") == 2
    with pytest.raises(OutputError, match=r"out.csv.part exists: a job was stopped.* --resume .* or move it away"):
        check_output(output)
    with pytest.raises(OutputError, match=r"out.csv.part exists: a job was stopped"):
        open_sink(output, provenance)
    assert part.read_bytes().count(b"\n") == 2


@TEXT
def test_a_job_that_failed_before_its_first_row_is_in_nobodys_way(suffix, tmp_path, provenance, make_row):
    output = tmp_path / f"out{suffix}"
    part = stop(output, provenance, [])
    assert part.exists()
    other = replace(provenance, backend="onnx")
    fill(check_output(output), other, [make_row()])
    assert Provenance.load(tmp_path / f"{output.name}.provenance.json").backend == "onnx"


@TEXT
def test_a_row_that_was_cut_anywhere_is_written_again(suffix, tmp_path, provenance, make_row):
    rows = [make_row(path, error=path) for path in (*ODD_PATHS[1:6], *ODD_PATHS[-3:], 'last "one"\r\n"\n"', "z\n")]
    output = tmp_path / f"out{suffix}"
    part = stop(output, provenance, rows)
    whole = part.read_bytes()
    ends = [len(EMPTY[suffix].removesuffix(ROW_FORMATS[suffix].footer))]
    for row in rows:
        ends.append(ends[-1] + len(ROW_FORMATS[suffix].encode(row.as_dict())))
    assert ends[-1] == len(whole)
    for size in range(len(whole) + 1):
        part.write_bytes(whole[:size])
        found = go_on(output, provenance, rows)
        assert found == sum(end <= size for end in ends[1:]), whole[:size]
        assert part.read_bytes() == whole, size


@TEXT
def test_a_whole_output_is_untouched_until_the_first_write(suffix, tmp_path, provenance, make_row, read_output):
    output = tmp_path / f"out{suffix}"
    fill(output, provenance, [make_row()])
    states = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.iterdir()}
    assert resumed(output, replace(provenance, device="cuda")) == [RECORD]
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.iterdir()} == states
    fill(output, replace(provenance, device="cuda"), [make_row("b.png")], resume=True)
    assert [row["path"] for row in read_output(output)] == ["a.png", "b.png"]
    assert Provenance.load(tmp_path / f"{output.name}.provenance.json") == replace(provenance, complete=True)


@TEXT
def test_resuming_where_nothing_is_begins(suffix, tmp_path, provenance, make_row, read_output):
    output = tmp_path / f"out{suffix}"
    with open_sink(output, provenance, resume=True) as sink:
        assert list(sink.earlier()) == []
        sink.write(make_row())
    assert len(read_output(output)) == 1


def test_rows_that_nobody_asked_for_stay(tmp_path, provenance, make_row, read_output):
    output = tmp_path / "out.csv"
    stop(output, provenance, [make_row()])
    with open_sink(output, provenance, resume=True) as sink:
        next(sink.earlier())
        sink.write(make_row("b.png"))
    assert [row["path"] for row in read_output(output)] == ["a.png", "b.png"]


@pytest.mark.parametrize("state", ["stopped", "whole"])
@TEXT
def test_rows_of_another_provenance(suffix, state, tmp_path, provenance, make_row):
    output = tmp_path / f"out{suffix}"
    (stop if state == "stopped" else fill)(output, provenance, [make_row()])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for other, problem in [
        (replace(provenance, precision="bfloat16"), "Precision: float32 there, bfloat16 here."),
        (replace(provenance, shard="1/2"), "Number of shards: 1 there, 2 here."),
    ]:
        with pytest.raises(OutputError, match=rf"The rows in .*out.* are of another job.* {problem}"):
            open_sink(output, other, resume=True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_each_shard_needs_a_file_of_its_own(tmp_path, provenance, make_row):
    output = tmp_path / "out.csv"
    fill(output, replace(provenance, shard="0/2"), [make_row()])
    with pytest.raises(OutputError, match=r"Shard: 0/2 there, 1/2 here; each needs a file of its own"):
        open_sink(output, replace(provenance, shard="1/2"), resume=True)


@TEXT
@pytest.mark.parametrize("shard", ["1/2", "0/3", "0/1"])
def test_the_rows_of_another_shard_are_not_replaced(suffix, shard, tmp_path, provenance, make_row):
    output = tmp_path / f"out{suffix}"
    fill(output, replace(provenance, shard="0/2"), [make_row()])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    own = "these" if shard == "0/1" else f"those of shard {shard}"
    message = rf"out{suffix} has the rows of shard 0/2, which {own} would replace"
    with pytest.raises(OutputError, match=message):
        check_output(output, shard=shard)
    with pytest.raises(OutputError, match=message):
        open_sink(output, replace(provenance, shard=shard))
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if not path.name.endswith(".lock")} == {
        path: content for path, content in before.items() if not path.name.endswith(".lock")
    }
    # Its own may be done again.
    fill(output, replace(provenance, shard="0/2"), [make_row(), make_row("b.png")])


@TEXT
def test_who_overwrites_replaces_the_rows_of_a_shard_but_not_of_a_sibling(suffix, tmp_path, provenance, make_row):
    output = tmp_path / f"out{suffix}"
    fill(output, replace(provenance, shard="0/2"), [make_row()])
    for opened in (
        check_output,
        lambda path, *, shard, overwrite: open_sink(path, replace(provenance, shard=shard), overwrite=overwrite),
    ):
        with pytest.raises(OutputError, match="which those of shard 1/2 would replace: each shard needs a file of"):
            opened(output, shard="1/2", overwrite=True)
    assert check_output(output, shard="0/1", overwrite=True) == output
    with open_sink(output, replace(provenance, shard="0/1"), overwrite=True) as sink:
        sink.write(make_row("b.png"))
    assert Provenance.load(next(tmp_path.glob(f"out{suffix}.provenance.json"))).shard == "0/1"


@pytest.mark.parametrize("state", ["stopped", "whole"])
def test_rows_without_provenance(state, tmp_path, provenance, make_row):
    output = tmp_path / "out.csv"
    (stop if state == "stopped" else fill)(output, provenance, [make_row()])
    (beside,) = tmp_path.glob("*.provenance.json")
    beside.unlink()
    rows = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(OutputError, match="computed is unknown"):
        open_sink(output, provenance, resume=True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == rows


def test_a_provenance_whose_rows_were_removed_is_not_that_of_earlier_ones(tmp_path, provenance, make_row):
    output = tmp_path / "out.csv"
    fill(output, provenance, [make_row()])
    stop(output, replace(provenance, backend="onnx"), [make_row()]).unlink()
    assert resumed(output, provenance) == [RECORD]


def test_a_part_that_is_gone_on_with_is_not_complete(tmp_path, provenance, make_row):
    """Of a job that was killed before the renaming."""
    output = tmp_path / "out.csv"
    part = stop(output, provenance, [make_row()])
    beside = tmp_path / f"{part.name}.provenance.json"
    replace(provenance, complete=True).save(beside)
    stop(output, provenance, [make_row("b.png")], resume=True)
    assert Provenance.load(beside) == provenance


@pytest.mark.parametrize(
    ("suffix", "damage", "line"),
    [
        (".csv", lambda rows: [rows[0], b"a.png,0.5\n", *rows[2:]], 3),
        (".csv", lambda rows: [rows[0], b"a.png,much,,640,480,native,ok,\n", *rows[2:]], 3),
        (".csv", lambda rows: [rows[0], b"\n", *rows[2:]], 3),
        (".csv", lambda rows: [b'"a" b,0.5,,640,480,native,ok,\n', *rows[1:]], 2),
        (".csv", lambda rows: [*rows, b"a.png,0.5,,640,480\n"], 5),
        (".csv", lambda rows: [b'"x\n', *rows * 2000], 2),
        (".jsonl", lambda rows: [rows[0], rows[1][:20] + b"\n", *rows[2:]], 2),
        (".jsonl", lambda rows: [b"[1]\n", *rows], 1),
        (".jsonl", lambda rows: [*rows, b'{"path": "a.png"}\n'], 4),
        (".jsonl", lambda rows: [rows[0].replace(b"640", b'"640"'), *rows], 1),
        (".jsonl", lambda rows: [rows[0], b"\xff\xff\n", *rows], 2),
        (".json", lambda rows: [rows[0], rows[1][1:], *rows[2:]], 3),
        (".json", lambda rows: [rows[0], b"]\n", *rows[1:]], 3),
        (".json", lambda rows: rows[1:], 2),
        (".json", lambda rows: [rows[0], b",[1]\n", *rows[1:]], 3),
    ],
)
def test_damage_is_told_with_its_line(suffix, damage, line, tmp_path, provenance, make_row):
    output = tmp_path / f"out{suffix}"
    part = stop(output, provenance, [make_row(f"{number}.png") for number in range(3)])
    header = EMPTY[suffix].removesuffix(ROW_FORMATS[suffix].footer)
    rows = part.read_bytes()[len(header) :].splitlines(keepends=True)
    damaged = header + b"".join(damage(rows))
    part.write_bytes(damaged)
    for use in (lambda sink: list(sink.earlier()), lambda sink: sink.write(make_row())):
        with (
            pytest.raises(OutputError, match=rf"out.*part is damaged in line {line}: "),
            open_sink(output, provenance, resume=True) as sink,
        ):
            use(sink)
        assert part.read_bytes() == damaged


@pytest.mark.parametrize(
    "header", [b"path,other\n", b"path,topiq_fr,topiq_nr-lite,width,height,size,status,error,note\n"]
)
def test_other_columns(header, tmp_path, provenance, make_row):
    output = tmp_path / "out.csv"
    part = stop(output, provenance, [make_row()])
    part.write_bytes(header + b"a,1\n")
    with (
        pytest.raises(OutputError, match=r"does not begin with the columns path,topiq_nr-lite,topiq_fr"),
        open_sink(output, provenance, resume=True) as sink,
    ):
        list(sink.earlier())
    assert part.read_bytes() == header + b"a,1\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of a process")
@TEXT
def test_a_disk_that_is_full_leaves_whole_rows(suffix, tmp_path, provenance, make_row, read_output):
    import resource

    output = tmp_path / f"out{suffix}"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_sink(output, provenance) as sink:
        sink.write(make_row())
        before = sink.place.read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                sink.write(make_row("b.png"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert sink.place.read_bytes() == before
        sink.write(make_row("c.png"))
    assert [row["path"] for row in read_output(output)] == ["a.png", "c.png"]


def test_a_disk_that_fails_at_the_end_keeps_the_rows(tmp_path, provenance, make_row, monkeypatch):
    output = tmp_path / "out.csv"

    def fail(descriptor):
        raise OSError("the disk is gone")

    sink = open_sink(output, provenance)
    sink.write(make_row())
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="the disk is gone"):
            sink.__exit__(None, None, None)
    assert not output.exists()
    assert resumed(output, provenance) == [RECORD]
    assert output.exists()


def test_memory_does_not_grow_with_rows(tmp_path, provenance, make_row):
    output = tmp_path / "out.csv"
    fill(output, provenance, (make_row(f"some/folder/and/a/picture-{number}.jpg") for number in range(5000)))
    with open_sink(output, provenance, resume=True) as sink:
        tracemalloc.start()
        assert sum(1 for _ in sink.earlier()) == 5000
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 200_000 < output.stat().st_size


@pytest.mark.parametrize("name", ["out.txt", "out", "out.csv.gz", ".csv"])
def test_another_suffix_is_refused(name, tmp_path):
    with pytest.raises(OutputError, match=r"must end in one of \('.csv', '.jsonl', '.json', '.parquet'\), but got"):
        check_output(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"There is no folder .*nowhere: create it first"):
        check_output(tmp_path / "nowhere" / "out.csv")


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(OutputError, match=r"out.csv is a folder: name a file"):
        check_output(tmp_path / "out.csv")


def test_suffix_may_be_of_any_case(tmp_path, provenance, make_row):
    fill(tmp_path / "OUT.CSV", provenance, [make_row()])
    with (tmp_path / "OUT.CSV").open() as stream:
        assert len(list(csv.DictReader(stream))) == 1


def test_a_first_row_that_was_removed(tmp_path, provenance, make_row):
    output = tmp_path / "out.json"
    rows = [make_row(f"{i}.png") for i in range(3)]
    part = stop(output, provenance, rows)
    head, _, *others = part.read_bytes().splitlines(keepends=True)
    part.write_bytes(head + b"".join(others))
    with pytest.raises(OutputError, match=r"its comma remains\. Put a blank in the place of the comma\.$"):
        fill(output, provenance, rows[:1], resume=True)
    part.write_bytes(head + b" " + b"".join(others)[1:])
    fill(output, provenance, rows[:1], resume=True)
    assert [row["path"] for row in json.loads(output.read_text())] == ["1.png", "2.png", "0.png"]


@pytest.mark.parametrize("row", [1, 2])
def test_a_quote_that_is_not_closed_swallows_no_rows(row, tmp_path, provenance, make_row):
    output = tmp_path / "out.csv"
    rows = [make_row(f"{i}.png") for i in range(6)]
    stop(output, provenance, rows[:4])
    part = output.with_name("out.csv.part")
    damaged = part.read_bytes().splitlines(keepends=True)
    damaged[row] = b'"' + damaged[row]
    part.write_bytes(b"".join(damaged))
    with pytest.raises(OutputError, match=f"is damaged in line {row + 1}"):
        fill(output, provenance, rows[4:], resume=True)
    assert part.read_bytes() == b"".join(damaged)
