"""The model that ships: its file and card, the order of damage, its result on photographs it never saw."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors import safe_open
from torchmetrics.functional.regression import pearson_corrcoef, spearman_corrcoef

from topiq_metrics import create_metric, get_card, load_image
from topiq_metrics.datasets import BIQ2021
from topiq_metrics.evaluation.board import Board, load_board
from topiq_metrics.training.parts import split_records
from topiq_metrics.training.recipe import load_recipe
from topiq_metrics.weights import read_metadata, resolve, verify
from topiq_metrics.weights.hashes import sha256_of

ROOT = Path(__file__).parents[1]
NAME = "topiq_nr-lite"


@pytest.fixture(scope="module")
def damage_order() -> ModuleType:
    spec = importlib.util.spec_from_file_location("damage_order", ROOT / "benchmarks" / "damage_order.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_file_is_small_and_half_precision() -> None:
    path = resolve(NAME, download=False)
    assert path.stat().st_size <= 12e6
    with safe_open(path, "pt") as file:
        dtypes = {file.get_tensor(key).dtype for key in file.keys()}  # noqa: SIM118
    assert dtypes <= {torch.float16, torch.int64}


def test_hash_is_in_the_catalogue() -> None:
    assert [report.status for report in verify(NAME)] == ["verified"]


def test_card_says_where_it_comes_from() -> None:
    metadata = read_metadata(resolve(NAME, download=False))
    assert metadata["name"] == NAME
    assert metadata["trained_on"]["dataset"] == "BIQ2021"
    assert "license" in metadata["trained_on"]
    assert metadata["license"].startswith("Apache-2.0")
    assert isinstance(metadata["recipe"]["seed"], int)
    assert metadata["size"] == get_card(NAME).size
    assert metadata["results"]["test_images"] >= 600


@pytest.mark.parametrize("measure", ["srcc", "plcc"])
def test_result_meets_the_bar(measure: str) -> None:
    assert read_metadata(resolve(NAME, download=False))["results"][f"test_{measure}"] >= 0.83


def test_demo_photographs_fall_with_each_degree_of_damage() -> None:
    metric = create_metric(NAME, reduction="none")
    for folder in sorted(p for p in (ROOT / "docs" / "photographs").iterdir() if p.is_dir()):
        scores = {path.stem: metric(load_image(path)[None]).item() for path in sorted(folder.glob("*.jpg"))}
        for kind in ("blur", "jpeg", "noise", "underexposure"):
            chain = [scores["0-original"], scores[f"{kind}-1"], scores[f"{kind}-2"]]
            assert chain == sorted(chain, reverse=True), f"{folder.name}, {kind}: {chain}"


def test_score_falls_as_damage_grows(damage_order: ModuleType) -> None:
    means = {kind: sum(v) / len(v) for kind, v in damage_order.order_by_kind(NAME).items()}
    assert sum(means.values()) / len(means) >= damage_order.BAR_MEAN
    assert min(means.values()) >= damage_order.BAR_EACH


@pytest.fixture(scope="module")
def board() -> Board:
    return load_board(ROOT / "docs" / "boards" / "no-reference.json")


def test_the_published_board_has_the_result_of_the_card(board: Board) -> None:
    (entry,) = (entry for entry in board.entries if entry.metric == NAME)
    assert entry.provenance["weights_sha256"] == sha256_of(resolve(NAME, download=False))
    scores, mos = torch.tensor(entry.scores), torch.tensor(board.subjects[0].mos)
    results = read_metadata(resolve(NAME, download=False))["results"]
    assert len(scores) == results["test_images"]
    assert spearman_corrcoef(scores, mos).item() == pytest.approx(results["test_srcc"], abs=2e-3)
    assert pearson_corrcoef(scores, mos).item() == pytest.approx(results["test_plcc"], abs=2e-3)


def test_result_on_photographs_never_trained_on(board: Board) -> None:
    """The board's images are those of the test part, and a fifth of them has the board's scores."""
    folder = Path(os.environ.get("TOPIQ_METRICS_DATA", "")) / "biq2021"
    if "TOPIQ_METRICS_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("TOPIQ_METRICS_DATA names no folder with biq2021/")
    images = BIQ2021(folder, "train", partial=True)
    indices = split_records(images, load_recipe(NAME).data).test
    (subject,) = board.subjects
    assert [images.records[i].id for i in indices] == list(subject.ids)
    assert [images.records[i].score for i in indices] == list(subject.mos)
    (entry,) = (entry for entry in board.entries if entry.metric == NAME)
    metric = create_metric(NAME, reduction="none")
    for index, expected in list(zip(indices, entry.scores, strict=True))[::5]:
        assert metric(images[index][0][None]).item() == pytest.approx(expected, abs=1e-4)
