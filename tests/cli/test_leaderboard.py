from __future__ import annotations

import csv
import json
import re
import shutil
import time

import numpy as np
import pytest

from topiq_metrics.catalog import CARDS
from topiq_metrics.contenders import ToolboxMetric
from topiq_metrics.errors import WeightsNotFoundError


@pytest.fixture
def labels(tmp_path, save_picture):
    path = tmp_path / "labels.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "score"])
        for index in range(6):
            save_picture(tmp_path / f"{index}.png", 64, 48, seed=index)
            writer.writerow([f"{index}.png", index])
    return path


@pytest.fixture
def arguments(labels, tmp_path):
    return "leaderboard", "--data", labels, "--scores", tmp_path / "scores", "--device", "cpu"


def test_one_command(arguments, tmp_path, topiq):
    outputs = [tmp_path / f"board{suffix}" for suffix in (".json", ".csv", ".md", ".html")]
    given = [argument for path in outputs for argument in ("-o", path)]
    result = topiq(*arguments, *given)
    assert result.exit_code == 0, result.output
    assert "topiq_nr-lite: 6 of 6 images of labels" in result.stderr
    document = json.loads(outputs[0].read_text())
    (entry,) = document["entries"]
    assert len(entry["scores"]) == 6
    assert len(entry["provenance"]["weights_sha256"]) == 64
    assert document["derived"]["figures"][0]["place"] == 1
    assert outputs[1].read_text().splitlines()[1].startswith("labels,all,")
    assert "`topiq_nr-lite`" in outputs[2].read_text()

    assert "topiq_nr-lite" in outputs[3].read_text()

    merged = topiq("leaderboard", "merge", outputs[0], outputs[0])
    assert merged.exit_code == 0
    assert merged.stdout.strip() == outputs[2].read_text().strip()


def test_a_page_for_others_has_no_pictures(labels, tmp_path, save_picture, topiq):
    with labels.open("a", newline="") as stream:
        for index in range(6, 14):
            save_picture(tmp_path / f"{index}.png", 64, 48, seed=index)
            csv.writer(stream).writerow([f"{index}.png", index])
    page = tmp_path / "board.html"
    arguments = "leaderboard", "--data", labels, "--scores", tmp_path / "scores", "--device", "cpu", "-o", page
    assert topiq(*arguments).exit_code == 0
    assert "data:image/jpeg" in page.read_text()
    assert topiq(*arguments, "--no-thumbnails", "--force").exit_code == 0
    assert "data:image/jpeg" not in page.read_text()
    assert str(tmp_path) not in page.read_text()


def test_pairs(tmp_path, save_picture, topiq):
    folder = tmp_path / "bapps/2afc/val/cnn"
    for role in ("ref", "p0", "p1", "judge"):
        (folder / role).mkdir(parents=True)
    for number in range(3):
        for seed, role in enumerate(("ref", "p0", "p1")):
            save_picture(folder / role / f"{number}.png", 64, 64, seed=3 * number + seed)
        np.save(folder / "judge" / f"{number}.npy", np.array([0.25], dtype="float32"))
    arguments = ["leaderboard", "--data", tmp_path / "bapps", "--split", "val", "--partial", "-m", "torchmetrics:psnr"]
    arguments += ["--scores", tmp_path / "store", "--device", "cpu"]
    result = topiq(*arguments)
    assert result.exit_code == 0, result.output
    assert "| metric | learned from | BAPPS, val: 2AFC |" in result.stdout
    wrong = topiq("leaderboard", "--data", f"{tmp_path / 'bapps'}:attribute=Details")
    assert wrong.exit_code == 2
    assert "has an option 'attribute'" in wrong.stderr
    # Its splits are official: a seed is for other sets beside it.
    assert topiq(*arguments, "--seed", "1").exit_code == 0


def test_the_customary_protocol(labels, tmp_path, topiq):
    other = tmp_path / "other.csv"
    with labels.open(newline="") as stream:
        head, *rows = csv.reader(stream)
    with other.open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [[*head, "split"], *([*row, ("training", "test")[i % 2]] for i, row in enumerate(rows))]
        )
    broken = tmp_path / "broken.csv"
    broken.write_text("image,score\n0.png,good\n")
    output = tmp_path / "board.html"
    arguments = "--scores", tmp_path / "scores", "--device", "cpu", "-o", output, "--title", "Ours & theirs", "--force"
    result = topiq("leaderboard", "--data", f"{other}:split=test", "--data", labels, *arguments)
    assert result.exit_code == 0, result.output
    assert "topiq_nr-lite: 3 of 3 images of other, test\n" in result.stderr
    assert "topiq_nr-lite: 6 of 6 images of labels\n" in result.stderr
    assert "<title>Ours &amp; theirs" in output.read_text()

    result = topiq("leaderboard", "--data", broken, "--data", other, "--data", labels, "--split", "test", *arguments)
    assert result.exit_code == 1
    assert "topiq_nr-lite: 3 of 3 images of other, test\n" in result.stderr
    assert "labels has no official split: all of it is taken.\n" in result.stderr
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Not on the board: broken: ")
    assert "'good'" in last
    alone = topiq("leaderboard", "--data", broken, *arguments)
    assert (alone.exit_code, "Error: broken: " in alone.stderr) == (2, True)


def test_who_has_learned_from_the_data(labels, tmp_path, topiq):
    """A table of the name of a dataset is taken for it."""
    table = labels.with_name("BIQ2021.csv")
    labels.rename(table)
    arguments = "--scores", tmp_path / "scores", "--device", "cpu", "-o", tmp_path / "board.json"
    result = topiq("leaderboard", "--data", table, *arguments)
    assert result.exit_code == 0, result.output
    told = "BIQ2021: topiq_nr-lite learned from it, an advantage over others.\n"
    assert told in result.stderr
    merged = topiq("leaderboard", "merge", tmp_path / "board.json", "--title", "Merged", "-o", tmp_path / "merged.html")
    assert told in merged.stderr
    assert "<title>Merged" in (tmp_path / "merged.html").read_text()


def test_lines_while_it_runs(arguments, monkeypatch, topiq):
    monkeypatch.setattr("topiq_metrics.cli.progress._LINE_SECONDS", 0.002)
    open_metric = ToolboxMetric.open

    def open_slowly(*args, **options):
        time.sleep(0.1)
        return open_metric(*args, **options)

    monkeypatch.setattr(ToolboxMetric, "open", open_slowly)
    result = topiq(*arguments)
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("1 of 1: topiq_nr-lite on labels")]
    assert re.search(r"· \d of 6 images · [\d.]+ images/s", "\n".join(lines))
    assert any(line.endswith("loading the metric") for line in lines)


def test_patterns_and_medians(arguments, labels, topiq):
    other_labels = labels.with_name("other.csv")
    shutil.copy(labels, other_labels)
    with labels.open(newline="") as stream:
        head, *rows = csv.reader(stream)
    with labels.open("w", newline="") as stream:
        csv.writer(stream).writerows([[*head, "distortion"], *([*row, "ab"[i % 2]] for i, row in enumerate(rows))])
    result = topiq(*arguments, "-m", "topiq_nr-l*", "--mode", "nr", "--median-of", "distortion")
    assert result.exit_code == 0, result.output
    assert "Figures are medians over distortions." in result.stdout
    plain = topiq(*arguments, "-m", "topiq_nr-l*", "--data", other_labels, "--median-of", "distortion")
    assert "other has no types of distortion: its figures are over all images" in plain.stderr


@pytest.mark.parametrize(
    "given", [["-m", "{0},{1}"], ["-m", "{0}", "-m", "{1}"], ["--metrics", "{0}", "--metric", "{1}"]]
)
def test_several_metrics(given, arguments, topiq):
    metrics = "topiq_nr-lite", "torchmetrics:arniqa"
    result = topiq(*arguments, *(text.format(*metrics) for text in given))
    assert "| `topiq_nr-lite` |" in result.stdout
    assert "`torchmetrics:arniqa`" in result.stdout


@pytest.mark.slow
def test_a_table_of_another_system(arguments, labels, tmp_path, topiq):
    rows = "".join(f"{index};pictures\\{index}.png;{index},5\r\n" for index in range(6))
    (tmp_path / "pictures").mkdir()
    for index in range(5):
        labels.with_name(f"{index}.png").rename(tmp_path / "pictures" / f"{index}.png")
    table = tmp_path / "table.tsv"
    table.write_bytes(("nr;photo;quality\r\n" + rows).encode("utf-16"))
    command = ("leaderboard", "--data", table, *arguments[3:], "--image-column", "Photo")
    result = topiq(*command)
    assert result.exit_code == 1
    assert "topiq_nr-lite: 5 of 6 images of table" in result.stderr
    assert re.search(r"1 of 6 images have no score; the first: pictures/5.png: missing: ", result.stdout)
    result = topiq(*command, "--partial")
    assert result.exit_code == 0, result.output
    assert f"{table}: 1 left out, since they are not there; the first is on line 7: pictures\\5.png" in result.stderr
    assert "topiq_nr-lite: 5 of 5 images of table" in result.stderr
    result = topiq(*command, "--score-column", "nope")
    assert (result.exit_code, "has no column 'nope'; its columns are nr, photo, quality" in result.stderr) == (2, True)
    result = topiq("leaderboard", "--data", tmp_path, "--score-column", "mos")
    assert "--score-column requires a table: name a .csv or .tsv file with --data." in result.stderr


def test_a_reason_and_an_exit_code(arguments, topiq, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = topiq(*arguments, "-m", "topiq_nr-lite,topiq_fr")
    assert result.exit_code == 1
    assert "| `topiq_fr` | unavailable |" in result.stdout
    # What to type is for who reads the messages, and not for who reads the board.
    assert ". To download: add --download, or `topiq weights fetch topiq_fr`." in result.stderr
    assert "--download" not in result.stdout


def test_weights_are_downloaded_when_asked_for(arguments, topiq, monkeypatch):
    asked = []

    def fetch(file, *, notify):
        asked.append(file)
        notify(f"Licence of the weights: {file.license}.")
        raise WeightsNotFoundError("there is no network here")

    monkeypatch.setattr("topiq_metrics.leaderboard.run.fetch", fetch)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    result = topiq(*arguments, "-m", "topiq_nr-lite,topiq_fr", "--download")
    assert result.exit_code == 1
    assert asked == [CARDS["topiq_fr"].weights]
    assert "Licence of the weights: noncommercial use only" in result.stderr
    assert "add --download" not in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-m", "topiq_nr-light"], "topiq_nr-lite"),
        (["-m", "topiq_nr-lite,topiq_nr-lite"], "is given twice"),
        (["-o", "board.xlsx"], "An output must end in one of"),
        (["-o", "no/such/board.json"], "There is no folder no/such"),
        (["--split", "test"], "give both `split` and `seed`"),
        (["-m", "nothing*"], "No metric fits 'nothing*'"),
        (["-m", " , "], "Name a metric with -m"),
        (["--mode", "both"], "must be nr or fr, but got 'both'"),
        (["--median-of", "mode"], "must be one of scene, distortion, split, none, but got 'mode'"),
        (["-o", "folder.json"], "folder.json is a folder: name a file"),
        (["--scores", "file"], "file is a file: the scores so far need a folder"),
    ],
)
def test_what_cannot_be_done(options, message, arguments, topiq, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "file").touch()
    result = topiq(*arguments, *options)
    assert result.exit_code == 2
    assert message in result.output


def test_no_data(topiq, tmp_path):
    assert topiq("leaderboard", "-m", "topiq_nr-lite").exit_code == 2
    result = topiq("leaderboard", "--data", tmp_path)
    assert result.exit_code == 2
    assert "contains no known dataset" in result.output
    (tmp_path / "a.json").write_text("[]")
    result = topiq("leaderboard", "merge", tmp_path / "a.json")
    assert result.exit_code == 2
    assert "is not a leaderboard" in result.output
