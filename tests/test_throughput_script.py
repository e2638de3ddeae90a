"""``benchmarks/throughput.py`` as a reader runs it: with times that are made up, and once in earnest."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
STARTUP = {"topiq": 3.0, "pyiqa-command": 7.0, "pyiqa-loop": 6.0}


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    spec = importlib.util.spec_from_file_location("topiq_benchmarks_throughput", ROOT / "benchmarks" / "throughput.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path, save_picture):
    for index in range(3):
        save_picture(tmp_path / "photos" / f"{index} of 3.jpg", 96 + 8 * index, 96, seed=index)
    return tmp_path / "photos"


@pytest.fixture
def made_up(script, monkeypatch):
    """A function that sets seconds per image; it gives back a dict of scores to add to the contenders' own."""
    monkeypatch.setattr(script, "has_pyiqa", lambda: True)
    monkeypatch.setattr(script, "random_reference", lambda name, seed: torch.nn.Linear(1, 1))
    monkeypatch.setattr(script, "about", lambda threads: {"threads": str(threads)})

    def made_up(**seconds):
        shift = {}

        def run(processes, contender, *arguments, codes=(0,), watch=None):
            at = {"topiq": 1, "pyiqa-command": 1, "pyiqa-loop": 1, "decoded": 2}[contender]
            images = sorted(arguments[at].iterdir())
            if "--resume" in arguments:
                return STARTUP[contender] + seconds["resume"], ""
            if contender == "decoded":
                return 0.0, str(len(images) * seconds[contender])
            scores = {path: 0.5 + index + shift.get(contender, 0) for index, path in enumerate(images)}
            if contender == "pyiqa-command":
                text = ",\n ".join(f"'{path}': {score}" for path, score in scores.items())
                return STARTUP[contender] + len(images) * seconds["pyiqa"], f"{{'topiq_nr': {{{text}}}}}"
            metric = "topiq_nr-lite" if "topiq_nr-lite" in arguments else "topiq_nr"
            with Path(arguments[-1]).open("w", newline="") as stream:
                csv.writer(stream).writerows([("path", metric), *scores.items()])
            rate = seconds["pyiqa" if contender == "pyiqa-loop" else "topiq"]
            if "bfloat16" in arguments:
                rate /= 2
            return STARTUP[contender] + len(images) * rate, ""

        monkeypatch.setattr(script.Processes, "run", run)
        return shift

    return made_up


def test_faster_than_the_bars(script, made_up, folder, tmp_path):
    made_up(pyiqa=0.4, topiq=0.2, decoded=0.19)
    out = tmp_path / "out.json"
    assert script.main(["--images", str(folder), "--count", "10", "--repeats", "2", "--json", str(out)]) == 0
    report = json.loads(out.read_text(encoding="utf-8"))
    rows = {row["contender"]: row for row in report["results"]["speed"]}
    assert rows["pyiqa's loop"]["images/s"] == pytest.approx(2.5)
    assert rows["topiq score"] == pytest.approx(
        {
            "contender": "topiq score",
            "metric": "topiq_nr",
            "N": 10,
            "images/s": 5.0,
            "x loop": 2.0,
            "s for N": 5.0,
            "s for 2N": 7.0,
        }
    )
    assert rows["topiq score, lite"]["N"] == 40
    values = [bar["value"] for bar in report["bars"]]
    assert values == pytest.approx([2.0, 2.0, 4.0, 10 / 5, 0.95, 0.95, 0.0])


@pytest.mark.parametrize(
    ("seconds", "shift", "missed"),
    [
        ({"pyiqa": 0.25, "topiq": 0.2, "decoded": 0.19}, 0, "without start-up"),
        ({"pyiqa": 0.4, "topiq": 0.2, "decoded": 0.1}, 0, "decoded beforehand, topiq_nr-lite"),
        ({"pyiqa": 0.4, "topiq": 0.2, "decoded": 0.19}, 0.01, "between the scores"),
    ],
)
def test_a_missed_bar(script, made_up, folder, capsys, seconds, shift, missed):
    made_up(**seconds)["pyiqa-command"] = shift
    assert script.main(["--images", str(folder), "--count", "10", "--repeats", "1"]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.endswith("MISSED")]
    assert any(missed in line for line in lines)


@pytest.mark.parametrize(("resume", "code"), [(0.9, 0), (1.1, 1)])
def test_resuming(script, made_up, folder, tmp_path, resume, code):
    made_up(topiq=0.1, resume=resume)
    out = tmp_path / "out.json"
    assert script.main(["--resume", "--images", str(folder), "--json", str(out)]) == code
    report = json.loads(out.read_text(encoding="utf-8"))
    assert [row["seconds"] for row in report["results"]["resume"]] == pytest.approx([3 + resume, 3.0])
    assert report["results"]["resume"][0]["job"].endswith("3 images")
    assert report["bars"][0]["value"] == pytest.approx(resume)


def test_images_that_are_made(script, tmp_path):
    paths = script.make_images(tmp_path, 7)
    assert script.jpegs(tmp_path) == paths
    assert len(paths) == 7


def test_help(script, capsys):
    with pytest.raises(SystemExit, match="0"):
        script.main(["--help"])
    assert "--memory" in capsys.readouterr().out


def test_without_pyiqa(script, monkeypatch, capsys):
    monkeypatch.setattr(script, "has_pyiqa", lambda: False)
    assert script.main([]) == 2
    assert "pip install 'topiq-metrics[benchmarks]'" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_real_processes(script, folder, tmp_path):
    pytest.importorskip("psutil", reason="needs the extra [benchmarks]")
    out = tmp_path / "out.json"
    arguments = ["--memory", "--images", str(folder), "--repeats", "1", "--threads", "1", "--json", str(out)]
    assert script.main(arguments) in {0, 1}
    few, many = json.loads(out.read_text(encoding="utf-8"))["results"]["memory"]
    assert few["images"] == many["images"] == 3
    assert 50 < few["MiB of the main process"] < 5000
    assert 50 < few["MiB with children"] < 5000
