"""``benchmarks/parity.py`` as a reader runs it, with results that are made up."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def run_script(parity, monkeypatch, tmp_path):
    def run_script(*results):
        file = tmp_path / "out.json"
        monkeypatch.setattr("sys.argv", ["parity.py", "--json", str(file)])
        monkeypatch.setattr(parity, "has_pyiqa", lambda: True)
        monkeypatch.setattr(parity, "run", lambda *args, **kwargs: list(results))
        return parity.main(), json.loads(file.read_text(encoding="utf-8"))

    return run_script


def test_agreement(run_script, parity, capsys):
    code, report = run_script(parity.Comparison("topiq_nr", 64, 48, 2, 2e-6, [0.1, 0.7]))
    assert code == 0
    assert "All agree within 1e-05" in capsys.readouterr().out
    assert report["failures"] == []
    assert report["results"] == [
        {"name": "topiq_nr", "height": 64, "width": 48, "batch": 2, "error": 2e-6, "scores": [0.1, 0.7]}
    ]


def test_disagreement(run_script, parity, capsys):
    code, report = run_script(parity.Comparison("topiq_nr", 64, 48, 2, 2e-5, [0.1, 0.7]))
    assert code == 1
    assert report["failures"] == ["topiq_nr at 64x48, batch 2: 2.0e-05"]
    assert "2.0e-05" in capsys.readouterr().out


def test_scores_that_do_not_spread(run_script, parity):
    code, report = run_script(parity.Comparison("topiq_nr", 64, 48, 2, 0.0, [0.5, 0.6]))
    assert code == 1
    assert "scores spread by less than 0.5" in report["failures"][0]


def test_without_pyiqa(parity, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["parity.py"])
    monkeypatch.setattr(parity, "has_pyiqa", lambda: False)
    assert parity.main() == 2
    assert "pip install 'topiq-metrics[benchmarks]'" in capsys.readouterr().err
