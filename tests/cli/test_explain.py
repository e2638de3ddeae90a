"""``topiq explain`` writes pages, pictures and arrays, and says in a line what is wrong."""

from __future__ import annotations

import re

import numpy as np
import pytest


@pytest.fixture
def picture(tmp_path, save_picture):
    return save_picture(tmp_path / "photo.jpg", 200, 180, seed=1)


def test_where_it_is_bad(topiq, picture, tmp_path):
    result = topiq("explain", picture, "-o", tmp_path / "out")
    assert result.exit_code == 0
    score, quality, *places = result.stdout.splitlines()
    assert score.startswith("topiq_nr-lite: ")
    assert re.fullmatch(r"Quality of \d+x\d+ places: 0\.\d{3} to 0\.\d{3}, higher is better\.", quality)
    assert re.fullmatch(r"Worst 1: 0\.\d{3} at x \d+-\d+, y \d+-\d+", places[0])
    assert result.stderr == f"2 files -> {tmp_path / 'out'}\n"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"quality.jpg", "quality.npz"}


def test_one_picture(topiq, picture, tmp_path):
    result = topiq("explain", picture, "--network", "-o", tmp_path / "out", "--point", "120,80.5")
    assert result.exit_code == 0
    score, *table, most = result.stdout.splitlines()
    assert score.startswith("topiq_nr-lite: ")
    assert sum("level" in line for line in table) == 5 + 4 + 4
    assert most.startswith("gate-level")
    assert result.stderr == f"15 files -> {tmp_path / 'out'}\n"
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"sheet.png", "maps.npz", "overlay-gate-level1.png", "overlay-focus-level4.png"} <= names
    with np.load(tmp_path / "out" / "maps.npz") as arrays:
        assert f"{arrays['score']:.4f}" == score.split()[1]
        assert arrays["attention-level1"].shape == (6, 7)


def test_a_pair(topiq, picture, tmp_path, save_picture):
    reference = save_picture(tmp_path / "reference.png", 200, 180, seed=2)
    result = topiq("explain", picture, reference, "-m", "ms_ssim", "--network")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].startswith("ms_ssim: ")
    assert "counts most: " in result.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"photo.jpg", "reference.png"}


@pytest.mark.parametrize(("options", "name"), [([], "quality.npz"), (["--network"], "maps.npz")])
def test_an_earlier_explanation_is_kept_unless_forced(topiq, picture, tmp_path, options, name):
    explain = ["explain", picture, "-o", tmp_path / "out", *options]
    assert topiq(*explain).exit_code == 0
    before = (tmp_path / "out" / name).read_bytes()
    result = topiq(*explain, "--size", "square=64")
    assert result.exit_code == 2
    assert f"{name} already exists: name another folder, or overwrite it (--force)." in result.stderr
    assert result.stdout == ""
    assert (tmp_path / "out" / name).read_bytes() == before
    assert topiq(*explain, "--size", "square=64", "--force").exit_code == 0
    assert (tmp_path / "out" / name).read_bytes() != before


WRONG = {
    "no such picture": (["missing.jpg"], "missing.jpg"),
    "no reference": (["photo.jpg", "-m", "topiq_fr"], "'topiq_fr' is a full-reference metric: give the reference"),
    "a reference": (["photo.jpg", "photo.jpg", "-m", "topiq_nr-lite"], "'topiq_nr-lite' scores an image by itself"),
    "two metrics": (
        ["photo.jpg", "-m", "topiq_nr", "-m", "topiq_nr-lite"],
        "This command takes one metric, but got topiq_nr and topiq_nr-lite.",
    ),
    "unknown metric": (["photo.jpg", "-m", "topiq"], "There is no metric named 'topiq'."),
    "no point": (
        ["photo.jpg", "--network", "--point", "here"],
        "--point must be X,Y in pixels, such as 120,80, but got 'here'.",
    ),
    "half a point": (
        ["photo.jpg", "--network", "--point", "3"],
        "--point must be X,Y in pixels, such as 120,80, but got '3'.",
    ),
    "point outside": (["photo.jpg", "--network", "--point", "200,3"], "x from 0 to below 200, y from 0 to below 180"),
    "a point, no network": (["photo.jpg", "--point", "3,3"], "--point requires --network."),
    "ms_ssim, no network": (["photo.jpg", "photo.jpg", "-m", "ms_ssim"], "ms_ssim is explained with --network."),
    "no folder": (["photo.jpg", "-o", "a/b/c"], "There is no folder a/b: create it first."),
    "a file": (["photo.jpg", "-o", "photo.jpg"], "photo.jpg is a file: give a folder."),
    "forced": (["photo.jpg", "--force"], "--force requires -o."),
    "no weights": (["photo.jpg", "--weights", "no.pth"], "no.pth"),
    "device": (["photo.jpg", "--device", "abacus"], "Option --device must be such as 'cpu' or 'cuda:1'"),
    "size": (["photo.jpg", "--size", "64"], "Option --size must be 'native'"),
    "weights that are not here": (["photo.jpg", "photo.jpg", "-m", "lpips+"], "alexnet-owt-7be5be79.pth"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=list(WRONG))
def test_wrong_use(topiq, picture, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = topiq("explain", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert result.stdout == ""
    assert {path.name for path in tmp_path.iterdir()} == {"photo.jpg"}
