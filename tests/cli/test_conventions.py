from __future__ import annotations

import csv
import json

import pytest

from topiq_metrics.contenders.conventions import TESTED


def test_a_table(topiq):
    result = topiq("leaderboard", "conventions", "-m", "torchmetrics:vif,*:ssim")
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if ":" in line]
    assert [line.split("│")[2].strip() for line in lines] == [
        "pyiqa:ssim",
        "piq:ssim",
        "torchmetrics:ssim",
        "torchmetrics:vif",
    ]
    assert "byte" in lines[-1]


def test_files(topiq, tmp_path):
    paths = [tmp_path / f"conventions{suffix}" for suffix in (".md", ".csv", ".json")]
    command = ["leaderboard", "conventions", "-m", "piq:*", *(part for path in paths for part in ("-o", path))]
    result = topiq(*command)
    assert (result.exit_code, result.stdout.split()) == (0, list(map(str, paths)))
    assert "| SSIM | `piq:ssim` | told | channels | large |" in paths[0].read_text()
    with paths[1].open(newline="") as stream:
        named = {row["metric"] for row in csv.DictReader(stream)}
    assert named == {row["metric"] for row in json.loads(paths[2].read_text())["conventions"]}
    again = topiq(*command)
    assert again.exit_code == 2
    assert "conventions.md" in again.stderr
    assert topiq(*command, "--force").exit_code == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["-m", "piq:sim"], "No conventions are known for 'piq:sim'. Did you mean"),
        (["-m", ","], "Name a metric with -m."),
        (["--force"], "--force requires -o."),
        (["-o", "conventions.pdf"], "must end in one of"),
    ],
)
def test_what_is_wrong_is_said(given, message, topiq):
    result = topiq("leaderboard", "conventions", *given)
    assert result.exit_code == 2
    assert message in result.stderr


def test_another_release_can_be_checked(topiq, monkeypatch):
    command = "leaderboard", "conventions", "-m", "torchmetrics:psnr,torchmetrics:lpips"
    assert topiq(*command).stderr == ""
    monkeypatch.setitem(TESTED, "torchmetrics", "0.1")
    assert "what is said here is of 0.1: --check measures it." in topiq(*command).stderr
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = topiq(*command, "--check")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == "torchmetrics:psnr: as said"
    assert result.stdout.splitlines()[1].startswith("torchmetrics:lpips: ")

    monkeypatch.setattr("topiq_metrics.contenders.probes.differences", lambda _: ["equal is 80.0, not inf"])
    result = topiq(*command, "--check")
    assert result.exit_code == 1
    assert "torchmetrics:psnr: equal is 80.0, not inf" in result.stdout


def test_a_board_says_that_two_of_one_name_differ(topiq, tmp_path, save_picture):
    pytest.importorskip("piq")
    rows = ["image,score,reference"]
    save_picture(tmp_path / "reference.png", 64, 48, seed=9)
    for index in range(4):
        save_picture(tmp_path / f"{index}.png", 64, 48, seed=index)
        rows.append(f"{index}.png,{index},reference.png")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    board = tmp_path / "board.json"
    command = ["leaderboard", "--data", tmp_path / "labels.csv", "--scores", tmp_path / "scores", "--device", "cpu"]
    result = topiq(*command, "-m", "piq:ssim,torchmetrics:ssim,piq:psnr,torchmetrics:psnr", "-o", board)
    assert result.exit_code == 0, result.output
    (line,) = [line for line in result.stderr.splitlines() if "is not one figure" in line]
    assert line.startswith("SSIM is not one figure on labels: piq:ssim ")
    assert line.endswith("topiq leaderboard conventions -m piq:ssim,torchmetrics:ssim")
    assert line in topiq("leaderboard", "merge", board, board).stderr
