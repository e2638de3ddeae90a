from __future__ import annotations

import csv
import io
import json
import os
import sys
import tarfile

import pytest
from PIL import Image

from topiq_metrics.cli.console import printable

HEADER = ["path", "topiq_nr-lite", "width", "height", "size", "status", "error", "note"]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


class TestRows:
    def test_plain_rows_when_piped(self, topiq, folder, lite_weights):
        result = topiq("score", folder, "--weights", lite_weights)
        assert (result.exit_code, result.stderr) == (0, "")
        rows = rows_of(result.stdout)
        assert list(rows[0]) == HEADER
        assert [row["path"] for row in rows] == [str(folder / f"{i}.png") for i in range(3)]
        assert len({float(row["topiq_nr-lite"]) for row in rows}) == 3
        expected = {"width": "64", "height": "48", "size": "max_side=512", "status": "ok", "error": ""}
        assert all(row.items() >= expected.items() for row in rows)

    def test_csv_file(self, topiq, folder, fake_network, tmp_path):
        output = tmp_path / "out.csv"
        result = topiq("score", folder, "-o", output)
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr == f"3 images: 3 ok, 0 with errors -> {output}\n"
        assert len(rows_of(output.read_text())) == 3

    def test_json_lines_file(self, topiq, folder, fake_network, tmp_path):
        topiq("score", folder, "-o", tmp_path / "out.jsonl")
        rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert [list(row) for row in rows] == [HEADER] * 3
        assert all(isinstance(row["topiq_nr-lite"], float) for row in rows)

    def test_file_and_pipe_have_the_same_rows(self, topiq, folder, fake_network, tmp_path):
        topiq("score", folder, "-o", tmp_path / "out.csv")
        assert topiq("score", folder).stdout == (tmp_path / "out.csv").read_text()

    def test_size_policy_of_the_user(self, topiq, folder, fake_network):
        rows = rows_of(topiq("score", folder, "--size", "square=32").stdout)
        assert {(row["size"], row["width"]) for row in rows} == {("square=32", "64")}

    def test_a_metric_named_twice_is_one_column(self, topiq, folder, fake_network):
        metrics = ["-m", "topiq_nr-lite", "-m", "topiq_nr", "-m", "topiq_nr-lite"]
        rows = rows_of(topiq("score", folder, *metrics).stdout)
        assert list(rows[0]) == ["path", "topiq_nr-lite", "topiq_nr", *HEADER[2:]]
        assert rows[0]["size"] == "topiq_nr-lite:max_side=512;topiq_nr:native"

    def test_full_reference(self, topiq, folder, tmp_path, save_picture, fr_weights):
        for i in range(3):
            save_picture(tmp_path / "references" / f"{i}.png", 64, 48, seed=10 + i)
        references = tmp_path / "references"
        result = topiq("score", folder, "-m", "topiq_fr", "-r", references, "--weights", fr_weights)
        assert result.exit_code == 0
        assert len({float(row["topiq_fr"]) for row in rows_of(result.stdout)}) == 3

    def test_both_kinds_with_a_missing_reference(self, topiq, folder, tmp_path, save_picture, fake_network):
        for i in range(2):
            save_picture(tmp_path / "references" / f"{i}.png", 64, 48, seed=i)
        metrics = ["-m", "topiq_nr-lite", "-m", "topiq_fr"]
        result = topiq("score", folder, *metrics, "-r", tmp_path / "references")
        assert result.exit_code == 1
        rows = rows_of(result.stdout)
        assert [row["status"] for row in rows] == ["ok", "ok", "partial"]
        assert [row["topiq_fr"] for row in rows] == ["0.0", "0.0", ""]
        assert rows[2]["error"].startswith("topiq_fr: no-reference: ")
        assert result.stderr == "3 images: 2 ok, 1 with errors (1 no-reference)\n"

    @pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="file names are Unicode there")
    def test_names_that_are_not_unicode(self, topiq, folder, fake_network, tmp_path):
        name = b'caf\xe9, "1".png'
        os.link(folder / "0.png", os.fsencode(folder) + b"/" + name)
        result = topiq("score", folder)
        assert result.exit_code == 0
        assert b'caf\xe9, ""1"".png' in result.stdout_bytes
        topiq("score", folder, "-o", tmp_path / "out.jsonl")
        paths = [json.loads(line)["path"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert os.fsencode(folder) + b"/" + name in {os.fsencode(path) for path in paths}


class TestExitCodes:
    def test_1_if_an_image_cannot_be_scored(self, topiq, folder, fake_network):
        (folder / "text.jpg").write_text("no image")
        result = topiq("score", folder, folder / "missing.png")
        assert result.exit_code == 1
        assert [row["status"] for row in rows_of(result.stdout)] == ["ok"] * 3 + ["error"] * 2
        assert [row["error"].partition(":")[0] for row in rows_of(result.stdout)][3:] == ["not-an-image", "missing"]
        assert result.stderr == "5 images: 3 ok, 2 with errors (1 not-an-image, 1 missing)\n"

    def test_1_and_the_whole_file_with_output(self, topiq, folder, fake_network, tmp_path):
        (folder / "text.jpg").write_text("no image")
        assert topiq("score", folder, "-o", tmp_path / "out.csv").exit_code == 1
        assert len(rows_of((tmp_path / "out.csv").read_text())) == 4

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["-m", "topiq_nr-light"], "There is no metric named 'topiq_nr-light'. Did you mean 'topiq_nr-lite'"),
            (["-m", "zzz"], "There is no metric named 'zzz'. Known are: lpips+, "),
            (["-m", "topiq_fr"], "topiq_fr is a full-reference metric: give the references with -r, or the column"),
            (["-r", ".", "-m", "topiq_nr-lite"], "None of topiq_nr-lite uses a reference: leave out -r, or add"),
            (["-m", "topiq_fr", "-r", "nowhere"], "There is no reference file or folder nowhere."),
            (["--size", "512"], "Option --size must be 'native', 'max_side=N', 'max_short_side=N', "),
            (["--size", "square=8"], "N >= 32, but got 'square=8'"),
            (["-m", "topiq_nr", "-m", "topiq_nr-lite", "--weights", "x.pth"], "--weights requires a single metric."),
            (["-m", " , "], "Name a metric with -m."),
            (["--max-memory", "2"], "Option --max-memory must be at least 50 MB, but got '2' bytes: 2GB?"),
            (["--weights", "nowhere.pth"], "The weights file nowhere.pth does not exist."),
            (["-o", "out.txt"], "An output must end in one of .csv, .jsonl, .json, .parquet, but got out.txt."),
            (["-o", "nowhere/out.csv"], "There is no folder nowhere: create it first."),
            (["-o", "folder.csv"], "folder.csv is a folder: name a file."),
        ],
    )
    def test_2_if_the_command_cannot_start(self, arguments, message, topiq, folder, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "folder.csv").mkdir()
        result = topiq("score", folder, *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("Error: ")
        assert message in result.stderr

    def test_2_for_weights_of_another_architecture(self, topiq, folder, lite_weights):
        result = topiq("score", folder, "-m", "topiq_nr", "--weights", lite_weights)
        assert result.exit_code == 2
        assert f"Error: {lite_weights} holds the network of 'topiq_nr-lite'" in result.stderr
        assert "Give the file to the metric that it was trained for." in result.stderr

    def test_2_for_an_empty_folder(self, topiq, tmp_path, fake_network):
        result = topiq("score", tmp_path)
        assert (result.exit_code, result.stderr) == (2, f"Error: There is no image in the folder {tmp_path}.\n")

    def test_2_without_arguments(self, topiq):
        result = topiq("score")
        assert result.exit_code == 2
        assert "Missing argument" in result.stderr

    def test_the_output_is_checked_before_the_network_is_loaded(self, topiq, folder, monkeypatch):
        def refuse(*args, **kwargs):
            raise AssertionError("too early")

        monkeypatch.setattr("topiq_metrics.inference.NetworkPredictor", refuse)
        assert topiq("score", folder, "-o", folder / "out.txt").exit_code == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ünïcödé 图 [bold]", "plain ünïcödé 图 [bold]"),
        ("a\nb\x1b[31mred", "a\\nb\\x1b[31mred"),
        ("caf\udce9", "caf\\udce9"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text, expected):
    assert printable(text) == expected


def test_images_that_look_like_markup(topiq, tmp_path, fake_network):
    Image.new("RGB", (40, 40)).save(tmp_path / "[red]a[bold].png")
    (row,) = rows_of(topiq("score", tmp_path).stdout)
    assert row["path"].endswith("[red]a[bold].png")


@pytest.mark.parametrize("given", [["-m", "{0},{1}"], ["-m", "{0}", "-m", "{1}"], ["--metrics", " {0}, {1},{0}"]])
def test_several_metrics(given, topiq, folder, fake_network):
    metrics = "topiq_nr", "topiq_nr-lite"
    (first, *_) = rows_of(topiq("score", folder, *(text.format(*metrics) for text in given)).stdout)
    assert list(first)[1:3] == list(metrics)


def test_images_that_are_left_out_of_shards_are_counted(topiq, folder, fake_network, tmp_path):
    shard = tmp_path / "shard.tar"
    with tarfile.open(shard, "w") as tar:
        for name in ("a.v2.png", "b.jpeg", "c.v2.jpeg", "d.json"):
            tar.add(folder / "0.png", name)
    result = topiq("score", shard, "--image-column", "png")
    assert (result.exit_code, len(rows_of(result.stdout))) == (0, 1)
    assert result.stderr == "1 images: 1 ok, 0 with errors, 2 left out of shards (2 .jpeg)\n"
    result = topiq("score", shard, "--image-column", "png", "--log-json")
    assert json.loads(result.stderr.splitlines()[-1])["left_out"] == {".jpeg": 2}
    assert topiq("score", shard).stderr == ""


def test_a_shard_does_not_replace_another(topiq, folder, fake_network, tmp_path):
    output = tmp_path / "out.csv"
    assert topiq("score", folder, "-o", output, "--shard", "0/2").exit_code == 0
    before = output.read_bytes()
    result = topiq("score", folder, "-o", output, "--shard", "1/2")
    assert result.exit_code == 2
    assert "has the rows of shard 0/2, which those of shard 1/2 would replace" in result.stderr
    assert output.read_bytes() == before
