from __future__ import annotations

import csv
import io
import json
import os
import sys
from dataclasses import replace

import pytest

from topiq_metrics.scoring import CSVWriter, FileSink, ScoreRow

NAMES = ("topiq_nr-lite", "topiq_fr")
ROW = ScoreRow("a.png", {"topiq_nr-lite": 0.123456789, "topiq_fr": None}, 640, 480, "native", "partial", "why")
ODD_PATHS = [
    "plain.png",
    "with, comma.png",
    'with "quotes".png',
    "with\nnewline.png",
    "with\rreturn.png",
    "with\r\nboth.png",
    " leading and trailing ",
    "ünïcödé 图.png",
    "=1+1.png",
    "tab\t.png",
]


def rows_of(path):
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
        return list(csv.DictReader(stream))


def test_csv_has_one_column_for_each_metric(tmp_path):
    with FileSink(tmp_path / "out.csv", NAMES) as sink:
        sink.write(ROW)
    assert (tmp_path / "out.csv").read_bytes() == (
        b"path,topiq_nr-lite,topiq_fr,width,height,size,status,error\na.png,0.123457,,640,480,native,partial,why\n"
    )


def test_json_lines_have_null_for_what_is_unknown(tmp_path):
    with FileSink(tmp_path / "out.jsonl", NAMES) as sink:
        sink.write(replace(ROW, width=None, height=None))
        sink.write(ROW)
    first, second = (json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines())
    assert first == {
        "path": "a.png",
        "topiq_nr-lite": 0.123457,
        "topiq_fr": None,
        "width": None,
        "height": None,
        "size": "native",
        "status": "partial",
        "error": "why",
    }
    assert second["width"] == 640


@pytest.mark.parametrize("path", ODD_PATHS)
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_odd_names_come_back(suffix, path, tmp_path):
    output = tmp_path / f"out{suffix}"
    with FileSink(output, NAMES) as sink:
        sink.write(replace(ROW, path=path, error=path))
        sink.write(ROW)
    if suffix == ".csv":
        first, second = rows_of(output)
    else:
        first, second = (json.loads(line) for line in output.read_text().splitlines())
    assert first["path"] == first["error"] == path
    assert second["path"] == "a.png"


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows file names are Unicode")
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_names_that_are_not_unicode_come_back(suffix, tmp_path):
    name = b"caf\xe9 \xff.png"
    output = tmp_path / f"out{suffix}"
    with FileSink(output, NAMES) as sink:
        sink.write(replace(ROW, path=os.fsdecode(name)))
    (path,) = (
        [row["path"] for row in rows_of(output)]
        if suffix == ".csv"
        else [json.loads(line)["path"] for line in output.read_text().splitlines()]
    )
    assert os.fsencode(path) == name


def test_a_stream_gets_unix_lines():
    stream = io.StringIO()
    CSVWriter(stream, NAMES).write(replace(ROW, path="a\r\nb"))
    assert stream.getvalue().splitlines(keepends=True)[1:] == [
        '"a\r\n',
        'b",0.123457,,640,480,native,partial,why\n',
    ]


def test_rows_are_aside_until_all_are_there(tmp_path):
    output = tmp_path / "out.csv"
    output.write_text("earlier")
    with FileSink(output, NAMES) as sink:
        sink.write(ROW)
        assert output.read_text() == "earlier"
        assert len(rows_of(tmp_path / "out.csv.part")) == 1
    assert len(rows_of(output)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_a_failure_keeps_the_earlier_file_and_what_was_written(tmp_path):
    output = tmp_path / "out.csv"
    output.write_text("earlier")

    def interrupted():
        with FileSink(output, NAMES) as sink:
            sink.write(ROW)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert output.read_text() == "earlier"
    assert len(rows_of(tmp_path / "out.csv.part")) == 1


def test_the_rows_of_another_job_are_left_alone(tmp_path):
    with FileSink(tmp_path / "out.csv", NAMES) as sink:
        sink.write(ROW)
        with pytest.raises(ValueError, match=r"out.csv.part is there: another job is writing it, or one was stopped"):
            FileSink(tmp_path / "out.csv", NAMES)
    assert len(rows_of(tmp_path / "out.csv")) == 1


@pytest.mark.parametrize("name", ["out.txt", "out", "out.csv.gz", ".csv"])
def test_another_suffix_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match=r"An output file must end in one of \('.csv', '.jsonl'\), but got"):
        FileSink(tmp_path / name, NAMES)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"There is no folder .*nowhere for the output out.csv"):
        FileSink(tmp_path / "nowhere" / "out.csv", NAMES)


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(ValueError, match=r"The output .*out.csv is a folder"):
        FileSink(tmp_path / "out.csv", NAMES)


def test_suffix_may_be_of_any_case(tmp_path):
    with FileSink(tmp_path / "OUT.CSV", NAMES) as sink:
        sink.write(ROW)
    assert len(rows_of(tmp_path / "OUT.CSV")) == 1
