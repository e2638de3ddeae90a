"""``topiq score`` with limits, orders and forms of rows, and ``topiq select``."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
NAME = "topiq_nr-lite"
GREYS = {"dark": 51, "light": 204, "middle": 128}  # scores 0.2, 0.8 and 0.501961


@pytest.fixture
def greys(tmp_path, monkeypatch, fake_network) -> Path:
    """Pictures whose scores are known, in a folder beside which commands run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name, value in GREYS.items():
        Image.new("RGB", (40, 40), (value,) * 3).save(tmp_path / "photos" / f"{name}.png")
    return tmp_path


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def stems(text: str) -> list[str]:
    return [Path(row["path"]).stem for row in rows_of(text)]


class TestGate:
    def test_rows_are_marked_and_the_exit_code_tells(self, topiq, greys):
        result = topiq("score", "photos", "--min-score", "0.4", "--max-score", "0.7")
        assert result.exit_code == 4
        assert {Path(row["path"]).stem: row["note"] for row in rows_of(result.stdout)} == {
            "dark": "below-min-score: topiq_nr-lite is 0.2, less than 0.4",
            "light": "above-max-score: topiq_nr-lite is 0.8, more than 0.7",
            "middle": "",
        }
        assert result.stderr == (
            "2 of 3 images are outside of the limits (topiq_nr-lite >= 0.4, topiq_nr-lite <= 0.7).\n"
        )

    def test_0_where_all_are_within(self, topiq, greys):
        result = topiq("score", "photos", "--min-score", f"{NAME}=0.2")
        assert (result.exit_code, result.stderr) == (0, "")

    def test_1_where_one_has_no_score(self, topiq, greys):
        Path("photos/none.png").write_text("no picture")
        assert topiq("score", "photos", "--min-score", "0.4").exit_code == 1

    def test_of_several_metrics_each_has_its_own(self, topiq, greys):
        several = ["-m", f"{NAME},topiq_nr", "--min-score", f"{NAME}=0.1,topiq_nr=0.3"]
        result = topiq("score", "photos", *several)
        assert result.exit_code == 4
        assert [row["note"].partition(" is ")[0] for row in rows_of(result.stdout)] == [
            *("below-min-score: topiq_nr", "", "")
        ]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["-m", f"{NAME},topiq_nr", "--min-score", "0.4"], "Option --min-score must say of which metric it is"),
            (["--min-score", "good"], "--min-score takes a score such as 0.6, or NAME=0.6, but got 'good'."),
            (["--min-score", "0.1,0.2"], "--min-score has two scores: give one."),
            (["--max-score", f"0.3,{NAME}=0.2"], "--max-score has a score without the name of its metric"),
            (["--min-score", "topiq_fr=1"], "Option --min-score is of 'topiq_fr', which is not scored."),
            (["--sort", "up"], "Option --sort must be best, worst, best:NAME or worst:NAME, but got 'up'."),
            (["--sort", "best", "-o", "a.csv"], "`topiq select a.csv --sort best -o FILE` sorts it."),
            (["--format", "xml"], "--format must be csv, jsonl, json or parquet, but got 'xml'."),
            (["--format", "parquet"], "--format parquet requires -o: the folder of its files"),
            (["--format", "json", "-o", "a.csv"], "--format json requires an output that ends in .json, but got"),
        ],
    )
    def test_2_for_what_cannot_be_meant(self, options, message, topiq, greys):
        result = topiq("score", "photos", *options)
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr

    def test_a_job_that_goes_on_keeps_its_limits(self, topiq, greys):
        limited = ["score", "photos", "-o", "out.csv", "--min-score", "0.4"]
        assert topiq(*limited).exit_code == 4
        Image.new("RGB", (40, 40), "white").save("photos/white.png")
        again = topiq(*limited, "--resume")
        assert again.exit_code == 4
        assert "1 of 4 images are outside" in again.stderr
        other = topiq("score", "photos", "-o", "out.csv", "--resume")
        assert other.exit_code == 2
        assert "Limits of scores: topiq_nr-lite >= 0.4 there, none here." in other.stderr

    def test_the_hook_of_pre_commit(self, topiq, greys):
        yaml = pytest.importorskip("yaml")
        (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
        assert hook.keys() >= {"id", "name", "entry", "language", "types"}
        command, *arguments = [*hook["entry"].split(), *hook["args"]]
        assert command == "topiq"
        files = [f"photos/{name}.png" for name in GREYS]
        assert topiq(*arguments, *files).exit_code == 4
        assert topiq(*arguments, *files[1:]).exit_code == 0


class TestForms:
    def test_json_and_lines_of_it(self, topiq, greys):
        whole = json.loads(topiq("score", "photos", "--format", "json").stdout)
        lines = topiq("score", "photos", "--format", "jsonl", "-o", "-").stdout.splitlines()
        assert whole == [json.loads(line) for line in lines]
        assert [row[NAME] for row in whole] == [0.2, 0.8, 0.501961]

    def test_json_of_no_rows_is_an_array(self, topiq, greys):
        result = topiq("score", "photos", "--shard", "999/1000", "--format", "json")
        assert json.loads(result.stdout) == []

    def test_a_file(self, topiq, greys):
        assert topiq("score", "photos", "-o", "out.json", "--format", "json").exit_code == 0
        assert [row["status"] for row in json.loads(Path("out.json").read_text())] == ["ok"] * 3

    def test_stdout_by_name(self, topiq, greys):
        assert topiq("score", "photos", "-o", "-").stdout == topiq("score", "photos").stdout

    @pytest.mark.parametrize(("order", "expected"), [("best", "light middle dark"), ("worst", "dark middle light")])
    def test_sorted(self, order, expected, topiq, greys):
        Path("photos/a-none.png").write_text("no picture")
        assert stems(topiq("score", "photos", "--sort", order).stdout) == [*expected.split(), "a-none"]

    @pytest.mark.skipif(sys.platform == "win32", reason="no terminals there")
    def test_on_a_terminal_a_form_that_is_asked_for_is_no_table(self, start, greys, read_terminal):
        leader, follower = os.openpty()
        process = start("score", "photos", "-o", "-", fake=True, stdout=follower)
        os.close(follower)
        text = read_terminal(leader).decode()
        assert process.wait(60) == 0
        assert text.splitlines()[0].startswith("path,topiq_nr-lite,")


FORMS = ["scores.csv", "scores.jsonl", "scores.json", "scores.parquet"]


class TestSelect:
    @pytest.mark.parametrize("output", FORMS)
    def test_rows_of_every_form(self, output, topiq, greys):
        if output.endswith("parquet"):
            pytest.importorskip("pyarrow")
        Path("photos/none.png").write_text("no picture")
        topiq("score", "photos", "-o", output)
        result = topiq("select", output, "--min-score", "0.4", "--sort", "worst")
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == (
            "path,topiq_nr-lite,width,height,size,status,error,note\n"
            "photos/middle.png,0.501961,40,40,max_side=512,ok,,\n"
            "photos/light.png,0.8,40,40,max_side=512,ok,,\n"
        )
        assert topiq("select", output, "--max-score", "0.4", "--format", "txt").stdout == "photos/dark.png\n"
        first = json.loads(topiq("select", output, "--sort", "best", "--first", "1", "--format", "json").stdout)
        assert [row["path"] for row in first] == ["photos/light.png"]

    def test_what_is_selected_can_be_scored_again(self, topiq, greys):
        topiq("score", "photos", "-o", "scores.csv")
        assert topiq("select", "scores.csv", "--min-score", "0.4", "-o", "good.txt").exit_code == 0
        assert stems(topiq("score", "good.txt").stdout) == ["light", "middle"]
        assert topiq("select", "scores.csv", "-o", "good.txt").exit_code == 2
        assert topiq("select", "scores.csv", "-o", "good.txt", "--force").exit_code == 0

    def test_a_table_as_a_spreadsheet_leaves_it(self, topiq, greys):
        Path("mine.csv").write_text("sep=;\npath;topiq_nr-lite;label\na.png;0.7;x\nb.png;;y\nc.png;0.1;z\n")
        assert stems(topiq("select", "mine.csv", "--min-score", f"{NAME}=0.5").stdout) == ["a"]

    def test_a_blank_before_a_name_belongs_to_it(self, topiq, greys):
        for name in ("photo", " photo"):
            Image.new("L", (40, 40), 128).save(f"{name}.png")
        Path("list.txt").write_text("photos/dark.png\n")
        topiq("score", ".", "-o", "scores.csv")
        assert " photo.png" in topiq("select", "scores.csv", "--format", "txt").stdout.splitlines()
        # A table of another origin may be set out with blanks.
        Path("mine.csv").write_text("path, topiq_nr-lite\n a.png, 0.7\n")
        assert topiq("select", "mine.csv", "--format", "txt").stdout == "a.png\n"

    def test_a_shard_that_is_missing(self, topiq, greys):
        pytest.importorskip("pyarrow")
        for shard in ("0/3", "2/3"):
            assert topiq("score", "photos", "-o", "scores.parquet", "--shard", shard).exit_code == 0
        result = topiq("select", "scores.parquet")
        assert result.exit_code == 2
        assert "Rows of scores.parquet are missing: those of --shard 1/3 are not there yet." in result.stderr
        assert topiq("score", "photos", "-o", "scores.parquet", "--shard", "1/3").exit_code == 0
        assert stems(topiq("select", "scores.parquet").stdout) == ["dark", "light", "middle"]

    def test_files(self, topiq, greys):
        topiq("score", "photos", "-o", "scores.csv")
        chosen = ["select", "scores.csv", "--min-score", "0.4"]
        dry = topiq(*chosen, "--copy", "good", "--dry-run")
        assert (dry.exit_code, dry.stderr) == (0, "2 files: 2 would be copied -> good\n")
        assert dry.stdout == ("copy photos/light.png -> good/light.png\ncopy photos/middle.png -> good/middle.png\n")
        assert not Path("good").exists()
        result = topiq(*chosen, "--copy", "good", "-o", "good.csv")
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr == "2 files: 2 copied -> good\n"
        assert stems(Path("good.csv").read_text()) == ["light", "middle"]
        assert {path.name for path in Path("good").iterdir()} == {"light.png", "middle.png", "topiq-select.jsonl"}
        assert topiq(*chosen, "--copy", "good").stderr == "2 files: nothing to do, 2 there already -> good\n"

    def test_files_that_are_not_there(self, topiq, greys):
        topiq("score", "photos", "-o", "scores.csv")
        Path("elsewhere").mkdir()
        os.chdir("elsewhere")
        result = topiq("select", "../scores.csv", "--link", "good")
        assert result.exit_code == 1
        assert "photos/dark.png: missing: there is no file " in result.stderr
        assert result.stderr.count("Relative paths start at the current folder: --root says otherwise.") == 1
        assert result.stderr.endswith("3 files: nothing to do, 3 failed -> good\n")
        assert topiq("select", "../scores.csv", "--link", "good", "--root", "..").exit_code == 0

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["nowhere.csv"], "There are no rows nowhere.csv."),
            (["scores.txt"], "Rows are in a file that ends in one of .csv, .tsv, .jsonl, .json, .parquet, but got"),
            (["stopped.csv"], "There are no rows stopped.csv. Its job was stopped: --resume it, which makes"),
            (["other.csv"], "other.csv has no column 'path'; its columns are a, b."),
            (["torn.jsonl"], "torn.jsonl cannot be read: JSONDecodeError: "),
            (["rows.csv", "--min-score", "topiq_nr=0.5"], "Option --min-score is of 'topiq_nr', which is not scored."),
            (["rows.csv", "--link", "a", "--move", "b"], "Give one of --link and --move."),
            (["rows.csv", "--dry-run"], "--dry-run requires --link, --copy or --move."),
            (["rows.csv", "--copy", "good", "--dry-run", "-o", "a.csv"], "--dry-run changes nothing, and -o writes"),
            (["rows.csv", "-o", "a.parquet"], "An output must end in one of .csv, .jsonl, .json, .txt, but got"),
            (["rows.csv", "--force"], "--force requires -o."),
            (["rows.csv", "--copy", "rows.csv"], "rows.csv is a file: give a folder."),
        ],
    )
    def test_2_for_what_cannot_be_meant(self, arguments, message, topiq, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("stopped.csv.part").write_text("path\n")
        Path("other.csv").write_text("a,b\n1,2\n")
        Path("torn.jsonl").write_text('{"path"\n')
        Path("rows.csv").write_text("path,topiq_nr-lite\na.png,0.5\n")
        result = topiq("select", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr
