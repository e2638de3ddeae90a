"""``topiq compare`` ranks pictures, and says in a line what is wrong."""

from __future__ import annotations

import pytest


@pytest.fixture
def pictures(tmp_path, save_picture):
    return [save_picture(tmp_path / f"{seed}.png", 160, 128, seed=seed) for seed in range(3)]


def test_a_table_and_a_verdict(topiq, pictures, tmp_path):
    result = topiq("compare", *pictures, "-o", tmp_path / "out")
    assert result.exit_code == 0
    *table, verdict = result.stdout.splitlines()
    assert all(any(path.name in line for line in table) for path in pictures)
    assert verdict.startswith(("The best: ", "Not told apart as the best: "))
    assert str(tmp_path) not in result.stdout
    assert result.stderr == f"2 files -> {tmp_path / 'out'}\n"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"comparison.jpg", "comparison.npz"}


def test_what_the_network_looks_at(topiq, pictures, tmp_path):
    result = topiq("compare", *pictures, "-o", tmp_path / "out", "--network")
    assert result.exit_code == 0
    assert result.stderr == f"34 files -> {tmp_path / 'out'}\n"
    assert (tmp_path / "out" / "comparison.png").is_file()


def test_names_are_shown_as_they_are(topiq, pictures, tmp_path):
    odd = tmp_path / "z[" / "b[red] [bold].png"
    odd.parent.mkdir()
    odd.write_bytes(pictures[0].read_bytes())
    long = tmp_path / f"{'long' * 50}.png"
    long.write_bytes(pictures[1].read_bytes())
    result = topiq("compare", odd, long)
    assert "b[red] [bold].png" in result.stdout
    assert result.stdout.count("long") >= 50
    assert "…" not in result.stdout


def test_the_same_picture_twice_is_tied(topiq, pictures, tmp_path):
    copy = tmp_path / "copy.png"
    copy.write_bytes(pictures[0].read_bytes())
    result = topiq("compare", pictures[0], copy)
    assert result.stdout.splitlines()[-1].startswith("Not told apart as the best: ")


def test_a_folder(topiq, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = topiq("compare", ".", "-m", "topiq_nr-lite", "--size", "square=64")
    assert result.exit_code == 0
    assert all(path.name in result.stdout for path in pictures)


WRONG = {
    "one": (["0.png"], "A comparison needs two images or more, but got 1."),
    "missing": (["0.png", "missing.png"], "missing.png: there is no such file or folder."),
    "missing folder": (["nofolder"], "nofolder: there is no such file or folder."),
    "references": (["0.png", "1.png", "--ref", "."], ".: is a folder, but compare takes one reference picture"),
    "twice": (["0.png", "0.png"], "0.png is named twice."),
    "two metrics": (
        ["0.png", "1.png", "-m", "topiq_nr", "-m", "topiq_nr-lite"],
        "This command takes one metric, but got topiq_nr and topiq_nr-lite.",
    ),
    "unknown metric": (["0.png", "1.png", "-m", "topiq"], "There is no metric named 'topiq'."),
    "no reference": (
        ["0.png", "1.png", "-m", "topiq_fr"],
        "is a full-reference metric: name the reference.",
    ),
    "a reference": (["0.png", "1.png", "-r", "2.png", "-m", "topiq_nr"], "leave out the reference."),
    "no folder": (["0.png", "1.png", "-o", "a/b/c"], "There is no folder a/b: create it first."),
    "forced": (["0.png", "1.png", "--force"], "--force requires -o."),
    "size": (["0.png", "1.png", "--size", "big"], "big"),
    "device": (["0.png", "1.png", "--device", "abacus"], "abacus"),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes(topiq, pictures, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    arguments, message = WRONG[case]
    result = topiq("compare", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.splitlines()) == 1
