"""``topiq score`` as a bulk job: what its options do beyond those of `score_images`."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume"], "--resume requires -o: the output of the job to resume."),
        (["--runner", "spark"], "--runner must be local or ray, but got 'spark'."),
        (["--ray-actors", "2"], "--ray-address and --ray-actors require --runner ray."),
        (["--shard", "8/8"], "A shard is i/n with i from 0 to n - 1, but got 8/8."),
        (["--fallback-size", "tiny"], "Option --size must be 'native'"),
        (["--html", "report.txt"], "A report's file must end in .html, but got report.txt."),
        (["--html", "nowhere/report.html"], "There is no folder nowhere: create it first."),
        (
            ["--reference-column", "ref", "-m", "topiq_nr-lite"],
            "None of topiq_nr-lite uses a reference: leave out --reference-column",
        ),
        (["--path-column", "path"], "Option --path-column does not apply to"),
    ],
)
def test_2_if_the_job_cannot_start(arguments, message, topiq, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = topiq("score", folder, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr


def test_resume(topiq, folder, fake_network, tmp_path, save_picture):
    output = tmp_path / "out.csv"
    assert topiq("score", folder, "-o", output, "--resume").exit_code == 0
    save_picture(folder / "new.png")
    (folder / "text.jpg").write_text("no image")
    result = topiq("score", folder, "-o", output, "--resume")
    assert result.exit_code == 1
    assert result.stderr == (f"5 images (3 of them before): 4 ok, 1 with errors (1 not-an-image) -> {output}\n")
    again = topiq("score", folder, "-o", output, "--resume")
    assert (again.exit_code, again.stderr) == (
        1,
        f"5 images (5 of them before): 4 ok, 1 with errors (1 not-an-image) -> {output}\n",
    )


def test_what_is_left_of_a_stopped_job_is_not_overwritten(topiq, folder, fake_network, tmp_path):
    (tmp_path / "out.csv.part").write_text("rows")
    result = topiq("score", folder, "-o", tmp_path / "out.csv")
    assert result.exit_code == 2
    assert "Move it away, or name another output." in result.stderr
    assert (tmp_path / "out.csv.part").read_text() == "rows"


def test_lines_of_json(topiq, folder, fake_network, tmp_path):
    (folder / "text.jpg").write_text("no image")
    result = topiq("score", folder, "-o", tmp_path / "out.csv", "--log-json")
    *_, last = [json.loads(line) for line in result.stderr.splitlines()]
    assert result.exit_code == 1
    assert (last["event"], last["images"], last["ok"], last["error"]) == ("finished", 4, 3, 1)
    assert last["reasons"] == {"not-an-image": 1}
    assert 0 <= last["decode_share"] <= 1
    assert 0 <= last["network_share"] <= 1
    assert last["output"] == str(tmp_path / "out.csv")


@POSIX
def test_standard_streams_that_are_closed(folder, tmp_path):
    code = "from topiq_metrics.cli import main; main()"
    command = f"exec {sys.executable} -c '{code}' score {folder} -o {tmp_path / 'out.csv'} 0<&- 2>&-"
    done = subprocess.run(["/bin/sh", "-c", command], stdout=subprocess.PIPE)
    assert done.returncode == 0
    assert [row["status"] for row in lines(tmp_path / "out.csv")] == ["ok"] * 3


def test_page(topiq, folder, fake_network, tmp_path):
    result = topiq("score", folder, "--html", tmp_path / "report.html")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 4
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_several_kinds_of_sources(topiq, folder, fake_network, tmp_path):
    (tmp_path / "list.txt").write_text("photos/0.png\nphotos/missing.png\n")
    (tmp_path / "table.csv").write_text("name,file\nfirst,photos/1.png\n")
    result = topiq("score", tmp_path / "list.txt", tmp_path / "table.csv", "--path-column", "file", folder)
    names = [Path(row["path"]).name for row in csv.DictReader(result.stdout.splitlines())]
    assert names == ["0.png", "missing.png", "1.png", "2.png"]


class TestTorchrun:
    def environment(self, monkeypatch, rank: int) -> None:
        for name, value in {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": 2}.items():
            monkeypatch.setenv(name, str(value))

    def test_each_process_has_a_file_of_its_own(self, topiq, folder, fake_network, tmp_path, monkeypatch):
        for rank in range(2):
            self.environment(monkeypatch, rank)
            assert topiq("score", folder, "-o", tmp_path / "out.csv").exit_code == 0
        paths = [row["path"] for rank in range(2) for row in lines(tmp_path / f"out.{rank}-of-2.csv")]
        assert sorted(paths) == [str(folder / f"{i}.png") for i in range(3)]

    def test_rows_of_several_processes_are_not_printed(self, topiq, folder, fake_network, monkeypatch):
        self.environment(monkeypatch, 1)
        result = topiq("score", folder)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "Under torchrun" in result.stderr
        assert "name an output with -o" in result.stderr

    def test_an_explicit_shard_comes_first(self, topiq, folder, fake_network, tmp_path, monkeypatch):
        self.environment(monkeypatch, 1)
        assert topiq("score", folder, "-o", tmp_path / "out.csv", "--shard", "0/1").exit_code == 0
        assert len(lines(tmp_path / "out.csv")) == 3

    @POSIX
    def test_for_real(self, folder, tmp_path):
        pq = pytest.importorskip("pyarrow.parquet")
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--no-python"]
        topiq = Path(sys.executable).with_name("topiq")
        done = subprocess.run(
            [*command, str(topiq), "score", str(folder), "-o", str(tmp_path / "out.parquet")],
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
        rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
        assert sorted(row["path"] for row in rows) == [str(folder / f"{i}.png") for i in range(3)]
        assert {row["status"] for row in rows} == {"ok"}


@POSIX
def test_bar_on_a_terminal(start, folder, tmp_path, read_terminal):
    import pty

    for i in range(3, 40):
        os.link(folder / f"{i % 3}.png", folder / f"{i:02}.png")
    ours, theirs = pty.openpty()
    env = {"TERM": "xterm", "COLUMNS": "140", "PAUSE": "0.2"}
    process = start("score", folder, "-o", tmp_path / "out.csv", fake=True, env=env, stderr=theirs)
    os.close(theirs)
    text = read_terminal(ours)
    assert process.wait(timeout=300) == 0
    for part in ("scoring", "/40", "images/s", "network", "waiting for decoding", "left"):
        assert part in text.decode()
