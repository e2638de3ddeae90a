"""``benchmarks/large_photographs.py`` with times that are made up, ``benchmarks/decode_fast.py`` in earnest."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path, save_picture):
    for index in range(4):
        save_picture(tmp_path / "photos" / f"{index}.jpg", 320, 240 + 8 * index, seed=index, quality=80 - 20 * index)
    return tmp_path / "photos"


@pytest.fixture
def made_up(script, monkeypatch):
    """A function that sets how fast the earlier build and the loop are, compared with this one."""
    module = script("large_photographs")
    monkeypatch.setattr(module, "has_pyiqa", lambda: True)
    monkeypatch.setattr(script("throughput"), "random_reference", lambda name, seed: torch.nn.Linear(1, 1))
    monkeypatch.setattr(module, "about", lambda threads: {"threads": str(threads)})

    def made_up(*, before, loop, memory):
        def run(processes, contender, *arguments, watch=None):
            earlier = "before" in processes.environment["PYTHONPATH"]
            if contender == "decoded":
                return 0.0, str(0.95 * 0.1 * len(list(arguments[2].iterdir())))
            if watch is not None:
                watch.total = memory if earlier else 500
            if "-o" not in arguments and contender == "topiq":
                return 3.0 if earlier else 1.5, ""
            images = sorted(arguments[1].iterdir())
            metric = "topiq_nr" if contender == "pyiqa-loop" else module.METRIC
            with Path(arguments[-1] if contender == "topiq" else arguments[2]).open("w", newline="") as stream:
                csv.writer(stream).writerows([("path", metric), *((path, 0.5) for path in images)])
            seconds = loop if contender == "pyiqa-loop" else 0.1 * (before if earlier else 1)
            return 2 + seconds * len(images) / (2 if "fast" in arguments else 1), ""

        monkeypatch.setattr(module.Processes, "run", run)
        return module

    return made_up


def arguments(folder, tmp_path):
    (tmp_path / "before" / "topiq_metrics").mkdir(parents=True)
    (tmp_path / "before" / "topiq_metrics" / "__init__.py").touch()
    return [folder, "--before", tmp_path / "before", "--small", folder, "--count", 6, "--json", tmp_path / "out.json"]


@pytest.mark.parametrize(
    ("before", "loop", "memory", "met"),
    [
        (2.0, 2.0, 1000, [True] * 7),
        (1.55, 2.0, 1000, [False, True, True, True, True, True, True]),
        (1.4, 2.0, 1000, [False, False, True, True, True, True, True]),
        (2.0, 0.9, 1000, [True, True, True, False, True, True, True]),
        (2.0, 2.0, 800, [True, True, True, True, False, True, True]),
    ],
)
def test_bars(before, loop, memory, met, made_up, folder, tmp_path):
    module = made_up(before=before, loop=loop, memory=memory)
    assert module.main(list(map(str, arguments(folder, tmp_path)))) == (0 if all(met) else 1)
    report = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [bar["met"] for bar in report["bars"]] == met, report["bars"]
    assert report["bars"][0]["value"] == pytest.approx(before)
    assert report["bars"][1]["value"] == pytest.approx(2 * before)
    assert {row["contender"] for row in report["results"]["speed"]} > {"exact", "before: exact", "bfloat16, fast"}


def test_alone(made_up, folder, tmp_path, capsys):
    module = made_up(before=1, loop=1, memory=1)
    assert module.main([str(folder), "--count", "6"]) == 1
    assert "MISSED" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        module.main([str(folder), "--before", str(tmp_path)])


def test_decoding_fast(script, folder, tmp_path, capsys):
    module = script("decode_fast")
    out = tmp_path / "out.json"
    code = module.main([str(folder), "--size", "max_side=64", "--json", str(out)])
    report = json.loads(out.read_text(encoding="utf-8"))
    assert report["photographs"] == 4
    assert 0 < report["median |Δ|"] <= report["largest |Δ|"] < 0.05
    assert code == (0 if report["SRCC"] >= 0.999 else 1)
    assert module.main([str(folder), "--size", "max_side=160"]) == 1
    assert "0 photographs are large enough" in capsys.readouterr().err
