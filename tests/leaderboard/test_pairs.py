"""Boards of pairs: images are scored once, and what counts is agreement with people's choices."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from torchmetrics.functional.image import peak_signal_noise_ratio

from topiq_metrics import load_image
from topiq_metrics.contenders import get_toolbox_metric
from topiq_metrics.datasets import BAPPS, PieAPP
from topiq_metrics.leaderboard.board import load_board, save_board
from topiq_metrics.leaderboard.page import leaderboard_page
from topiq_metrics.leaderboard.ranking import Rules, as_records, judge
from topiq_metrics.leaderboard.run import run_leaderboard
from topiq_metrics.leaderboard.tables import as_csv, as_markdown
from topiq_metrics.statistics.bootstrap import Bootstrap

QUICK = Rules(bootstrap=Bootstrap(resamples=200))
KINDS = ("traditional", "cnn")
COUNT = 10


def save(path, seed, deviation):
    path.parent.mkdir(parents=True, exist_ok=True)
    base = np.random.default_rng(seed).integers(60, 200, (6, 6, 3)).astype(np.uint8)
    pixels = np.asarray(Image.fromarray(base).resize((48, 48), Image.Resampling.BICUBIC), dtype=np.float64)
    pixels += np.random.default_rng(seed + round(1000 * deviation)).normal(0, deviation, pixels.shape)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture(autouse=True)
def _memory(monkeypatch):
    monkeypatch.setattr("topiq_metrics.leaderboard.run.peak_memory", lambda *_: None)


@pytest.fixture
def bapps(tmp_path):
    for kind in KINDS:
        for number in range(COUNT):
            folder = tmp_path / "bapps/2afc/val" / kind
            name, seed = f"{number:06}.png", number
            save(folder / "ref" / name, seed, 0)
            # Of every fifth pair, people prefer the noisier one.
            clean_first = number % 2 == 0
            save(folder / "p0" / name, seed, 5 if clean_first else 20)
            save(folder / "p1" / name, seed, 20 if clean_first else 5)
            share = (0.1 if clean_first else 0.9) if number % 5 else 0.4 if not clean_first else 0.6
            (folder / "judge").mkdir(exist_ok=True)
            np.save(folder / "judge" / f"{number:06}.npy", np.array([share], dtype=np.float32))
    return BAPPS(tmp_path / "bapps", "val", partial=True)


@pytest.fixture
def board(bapps, tmp_path):
    metrics = [get_toolbox_metric(f"torchmetrics:{name}") for name in ("psnr", "sam", "lpips")]
    return run_leaderboard([bapps], metrics, store=tmp_path / "store")


def test_agreement_is_that_of_the_scores(board, bapps):
    (ranking,) = judge(board, QUICK)
    psnr = next(chosen for chosen in ranking.preferences if chosen.entry.metric == "torchmetrics:psnr")
    agreed = []
    for record in bapps.records:
        first, second = (
            float(peak_signal_noise_ratio(load_image(path), load_image(record.reference), data_range=1.0))
            for path in (record.first, record.second)
        )
        agreed.append(record.preference if second > first else 1 - record.preference)
    assert psnr.preference.agreement.value == pytest.approx(np.mean(agreed))
    assert psnr.preference.agreement.value == pytest.approx(0.9 * 0.8 + 0.4 * 0.2)
    assert psnr.preference.agreement.low < 0.8 < psnr.preference.agreement.high
    assert psnr.by_distortion["cnn"].agreement.value == pytest.approx(np.mean(agreed[COUNT:]))
    assert [entry.status for entry in ranking.unscored] == ["unavailable"]
    assert ranking.comparison.coefficient == "2afc"
    assert ranking.against_first("torchmetrics:psnr") == "tied"


def test_files(board, tmp_path):
    rankings = judge(board, QUICK)
    path = tmp_path / "board.json"
    save_board(board, path, {"figures": as_records(rankings)})
    assert as_markdown(judge(load_board(path), QUICK)) == as_markdown(rankings)
    first = json.loads(path.read_text())["derived"]["figures"][0]
    assert first["preference"]["rule"] == "votes"
    assert set(first["2afc_by_distortion"]) == set(KINDS)
    rows = list(csv.DictReader(io.StringIO(as_csv(rankings))))
    assert float(rows[0]["agreement"]) == pytest.approx(0.8)
    assert rows[0]["srcc"] == ""
    text = as_markdown(rankings)
    assert f"{2 * COUNT} pairs, a part of the set" in text
    assert "the votes themselves, drawn at random: 0.76" in text
    page = leaderboard_page(board, rankings)
    assert "2AFC within each type of distortion" in page
    assert ">2AFC</th>" in page
    assert ">SRCC</th>" not in page
    entry = replace(board.entries[0], scores=board.entries[0].scores[:-1])
    save_board(replace(board, entries=[entry]), path)
    with pytest.raises(ValueError, match="scores for 40 images"):
        load_board(path)


def test_an_image_of_many_pairs_is_scored_once(tmp_path):
    root = tmp_path / "pieapp"
    names = "abcd"
    save(root / "reference_images/val/ref_1.png", 1, 0)
    for number, name in enumerate(names, start=1):
        save(root / f"distorted_images/val/ref_1/{name}.png", 1, 6 * number)
    (root / "labels/val").mkdir(parents=True)
    lines = [f"ref_1.png,{a}.png,{b}.png,{0.9 if a < b else 0.1}" for i, a in enumerate(names) for b in names[i + 1 :]]
    lines.append("ref_1.png,a.png,b.png,0.5")
    head = "ref. image,distorted image A,distorted image B,processed preference for A"
    (root / "labels/val/ref_1_pairwise_labels.csv").write_text("\n".join([head, *lines]))
    dataset = PieAPP(root, "val", partial=True)
    board = run_leaderboard([dataset], [get_toolbox_metric("torchmetrics:psnr")], store=tmp_path / "store")
    ((chosen,),) = (ranking.preferences for ranking in judge(board, QUICK))
    assert chosen.preference.agreement.value == 1
    assert (chosen.preference.n, chosen.preference.undecided) == (6, 1)
    (kept,) = (tmp_path / "store").glob("*.jsonl")
    assert len(kept.read_text().splitlines()) == len(names)
