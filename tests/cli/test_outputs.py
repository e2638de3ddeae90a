"""What is there is replaced with --force only, and a full disk is told as what it is, by every command."""

from __future__ import annotations

import errno
import time

import pytest

from topiq_metrics._files import write_whole
from topiq_metrics.cli import progress
from topiq_metrics.scoring.report import Report
from topiq_metrics.scoring.sinks import TextSink
from topiq_metrics.scoring.sinks.rowlog import RowLog

FULL = OSError(errno.ENOSPC, "No space left on device")


class TestForce:
    @pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
    def test_rows(self, name, topiq, folder, fake_network, tmp_path):
        output = tmp_path / name
        output.write_text("mine")
        kept = topiq("score", folder, "-o", output)
        assert kept.exit_code == 2
        assert kept.stderr == (
            f"Error: {output} already exists: resume it (--resume), name another one, or overwrite it (--force).\n"
        )
        assert output.read_text() == "mine"
        assert topiq("score", folder, "-o", output, "--force").exit_code == 0
        assert "0.png" in output.read_text()

    def test_rows_of_a_stopped_job(self, topiq, folder, fake_network, tmp_path):
        (tmp_path / "out.csv.part").write_text("rows of nobody knows what\n")
        assert topiq("score", folder, "-o", tmp_path / "out.csv").exit_code == 2
        assert topiq("score", folder, "-o", tmp_path / "out.csv", "--force").exit_code == 0
        assert {path.name for path in tmp_path.glob("out*")} == {"out.csv", "out.csv.provenance.json"}

    def test_a_folder_of_rows(self, topiq, folder, fake_network, tmp_path):
        pq = pytest.importorskip("pyarrow.parquet")
        output = tmp_path / "out.parquet"
        assert topiq("score", folder, "-o", output).exit_code == 0
        (folder / "0.png").unlink()
        refused = topiq("score", folder, "-o", output)
        assert refused.exit_code == 2
        assert "or overwrite them (--force)." in refused.stderr
        assert topiq("score", folder, "-o", output, "--size", "square=64", "--force").exit_code == 0
        table = pq.read_table(output)
        assert table.num_rows == 2
        assert set(table["size"].to_pylist()) == {"square=64"}

    def test_a_page(self, topiq, folder, fake_network, tmp_path):
        page = tmp_path / "page.html"
        page.write_text("mine")
        kept = topiq("score", folder, "--html", page)
        assert (kept.exit_code, kept.stdout) == (2, "")
        assert f"{page} already exists: name another one, or overwrite it (--force)." in kept.stderr
        assert page.read_text() == "mine"
        assert topiq("score", folder, "--html", page, "--force").exit_code == 0
        assert page.read_text() != "mine"

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--force"], "--force requires -o or --html."),
            (["-o", "a.csv", "--force", "--resume"], "A job resumes an output (--resume) or overwrites it (--force)"),
        ],
    )
    def test_what_it_does_not_go_with(self, options, message, topiq, folder, fake_network, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        result = topiq("score", folder, *options)
        assert result.exit_code == 2
        assert message in result.stderr

    @pytest.mark.parametrize("suffix", [".json", ".csv", ".md", ".html"])
    def test_boards(self, suffix, topiq, tmp_path):
        board = tmp_path / f"board{suffix}"
        board.write_text("mine")
        for arguments in (["leaderboard", "--data", tmp_path], ["leaderboard", "merge", tmp_path / "a.json"]):
            kept = topiq(*arguments, "-o", board)
            assert kept.exit_code == 2
            assert f"{board} already exists: name another file, or overwrite it (--force)." in kept.stderr
            forced = topiq(*arguments, "-o", board, "--force")
            assert forced.exit_code == 2
            assert "already" not in forced.stderr
            assert "--force requires -o." in topiq(*arguments, "--force").stderr
        assert board.read_text() == "mine"


class TestFullDisk:
    @pytest.mark.parametrize("written", [0, 2])
    def test_rows(self, written, topiq, folder, fake_network, tmp_path, monkeypatch):
        append, calls = RowLog.append, []

        def fail(self, record):
            if len(calls) == written:
                raise FULL
            calls.append(record)
            append(self, record)

        monkeypatch.setattr(RowLog, "append", fail)
        output = tmp_path / "out.csv"
        result = topiq("score", folder, "-o", output)
        assert result.exit_code == 3
        kept = " The rows of 2 images are kept." if written else ""
        assert result.stderr == (
            f"Error: The disk is full: {output}.part cannot be written (No space left on device).{kept} Make room, "
            "and resume with --resume.\n"
        )
        assert not output.exists()

    def test_the_end_of_a_file(self, topiq, folder, fake_network, tmp_path, monkeypatch):
        def fail(self):
            raise FULL

        monkeypatch.setattr(TextSink, "_finish", fail)
        result = topiq("score", folder, "-o", tmp_path / "out.csv")
        assert result.exit_code == 3
        assert f"{tmp_path / 'out.csv'}.part cannot be written" in result.stderr
        assert "The rows of 3 images are kept. Make room, and resume with --resume." in result.stderr

    def test_the_page(self, topiq, folder, fake_network, tmp_path, monkeypatch):
        def fail(self, path, **_):
            raise FULL

        monkeypatch.setattr(Report, "write", fail)
        result = topiq("score", folder, "-o", tmp_path / "out.csv", "--html", tmp_path / "page.html")
        assert result.exit_code == 3
        assert f"The disk is full: {tmp_path / 'page.html'} cannot be written" in result.stderr
        assert (tmp_path / "out.csv").is_file()

    def test_another_failure_of_the_disk_before_the_first_row(self, topiq, folder, fake_network, tmp_path, monkeypatch):
        def fail(self, record):
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(RowLog, "append", fail)
        result = topiq("score", folder, "-o", tmp_path / "out.csv")
        assert result.exit_code == 2
        assert result.stderr == f"Error: {tmp_path / 'out.csv'}.part: cannot be written (Input/output error)\n"

    @pytest.mark.parametrize("command", ["explain", "compare"])
    def test_pictures(self, command, topiq, folder, tmp_path, monkeypatch):
        def fail(*_, **__):
            raise FULL

        monkeypatch.setattr("topiq_metrics.explaining.QualityMap.save", fail)
        monkeypatch.setattr("topiq_metrics.comparing.outputs.write_whole", fail)
        pictures = [folder / f"{i}.png" for i in range(1 if command == "explain" else 2)]
        result = topiq(command, *pictures, "-o", tmp_path / "out", "--size", "square=64")
        assert result.exit_code == 3
        assert result.stderr == f"Error: The disk is full. {tmp_path / 'out'}: No space left on device\n"

    def test_files_that_are_written_at_once_have_a_name(self, tmp_path, monkeypatch):
        def fail(_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("os.fsync", fail)
        with pytest.raises(OSError, match="No space left") as raised:
            write_whole(tmp_path / "a.png", b"pixels")
        assert raised.value.filename == str(tmp_path / "a.png")
        assert list(tmp_path.iterdir()) == []


def test_a_line_now_and_then_without_a_terminal(topiq, folder, fake_network, monkeypatch):
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.05)
    figures = progress._figures
    monkeypatch.setattr(progress, "_figures", lambda job, total: "0.5 images/s" if total is None else figures(job, 3))
    from topiq_metrics.scoring.job import ScoreJob

    count = ScoreJob.count
    monkeypatch.setattr(ScoreJob, "count", lambda self: time.sleep(0.2) or count(self))
    rows = ScoreJob.rows
    monkeypatch.setattr(ScoreJob, "rows", lambda self: (time.sleep(0.3) or row for row in rows(self)))
    result = topiq("score", folder)
    assert result.exit_code == 0
    lines = result.stderr.splitlines()
    assert lines[0] == "0 images · 0.5 images/s"
    assert any(" of 3 images · " in line and "images/s" in line for line in lines)


def test_nothing_is_said_of_a_short_job(topiq, folder, fake_network):
    assert progress._LINE_SECONDS == 30
    assert topiq("score", folder).stderr == ""
