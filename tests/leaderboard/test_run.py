"""Boards: what is scored, what is kept, what comes of failures, files and merging."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from topiq_metrics.catalog import ModelCard
from topiq_metrics.contenders import MetricUnavailableError, ToolboxMetric
from topiq_metrics.datasets import DATASETS, CSVDataset, Record
from topiq_metrics.datasets.splits import BY_REFERENCE, random_splits
from topiq_metrics.images import SizePolicy
from topiq_metrics.leaderboard.board import Board, BoardError, Cost, Entry, load_board, merge_boards, save_board
from topiq_metrics.leaderboard.page import leaderboard_page
from topiq_metrics.leaderboard.progress import BoardProgress
from topiq_metrics.leaderboard.published import published_result
from topiq_metrics.leaderboard.ranking import Rules, as_records, judge
from topiq_metrics.leaderboard.run import run_leaderboard
from topiq_metrics.leaderboard.scores import ScoreStore
from topiq_metrics.leaderboard.tables import as_csv, as_markdown
from topiq_metrics.statistics.bootstrap import Bootstrap

QUICK = Rules(bootstrap=Bootstrap(resamples=200))
COUNT = 12


@dataclass(frozen=True)
class Fake(ToolboxMetric):
    """Scores by a function of an image and its reference."""

    score: Callable[..., float] = field(default=lambda image, reference: float(image.mean()))
    calls: list[int] = field(default_factory=list)

    def open(self, device: Any = "cpu", weights: Any = "default") -> Any:
        if self.unavailable:
            raise MetricUnavailableError(self.name, self.unavailable)
        return Predictor(self)


class Predictor:
    max_batch = 4

    def __init__(self, metric: Fake) -> None:
        self.metric = metric
        self.size = SizePolicy()
        self.card = ModelCard(metric.name, metric.mode, "", (0, 1), "")

    def __call__(self, images: Tensor, references: Tensor | None = None, *, spare_memory: bool = False) -> Tensor:
        self.metric.calls.append(len(images))
        pairs = zip(images, images if references is None else references, strict=True)
        return torch.tensor([self.metric.score(*pair) for pair in pairs])


def fake(name: str, mode: Any = "NR", higher_is_better: bool = True, **options: Any) -> Fake:
    return Fake(name, "fakes", mode, higher_is_better, "fakes", "1.0", **options)


def dark(image: Tensor, reference: Tensor) -> float:
    return -float(image.mean())


def fails(image: Tensor, reference: Tensor) -> float:
    raise RuntimeError("out of | order\nand more")


def fails_on_bright(image: Tensor, reference: Tensor) -> float:
    return float(image.mean()) if image.mean() < 0.75 else math.nan


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from PIL import Image

    with (tmp_path / "labels.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "score", "reference", "distortion"])
        for index in range(COUNT):
            level = 20 * index
            Image.new("RGB", (40, 36), (level, level, level)).save(tmp_path / f"{index:02}.png")
            writer.writerow([tmp_path / f"{index:02}.png", index**2, "", ("noise", "blur")[index % 2]])
    return tmp_path


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, ...]]:
    """What memory was measured of: fakes cannot be opened by another process."""
    measured: list[tuple[Path, ...]] = []

    def peak_memory(predictor: Any, weights: Any, files: Any) -> int:
        measured.append(tuple(files))
        return 1_000_000

    monkeypatch.setattr("topiq_metrics.leaderboard.run.peak_memory", peak_memory)
    return measured


@pytest.fixture
def run(folder: Path) -> Callable[..., Board]:
    def run(*metrics: ToolboxMetric, store: str = "store") -> Board:
        dataset = CSVDataset(folder / "labels.csv", higher_is_better=True)
        return run_leaderboard([dataset], metrics, store=folder / store)

    return run


@pytest.fixture
def board(run: Callable[..., Board]) -> Board:
    return run(
        fake("bright"),
        fake("dark", higher_is_better=False, score=dark),
        fake("again"),
        fake("fails", score=fails),
        fake("some", score=fails_on_bright),
        fake("missing", unavailable="its weights are elsewhere"),
        fake("pairs", mode="FR"),
    )


def entry_of(board: Board, metric: str) -> Entry:
    return next(entry for entry in board.entries if entry.metric == metric)


def test_nothing_is_missing_silently(board: Board) -> None:
    states = {entry.metric: entry.status for entry in board.entries}
    assert states == {
        "bright": "scored",
        "dark": "scored",
        "again": "scored",
        "fails": "failed",
        "some": "partial",
        "missing": "unavailable",
        "pairs": "unfit",
    }
    assert entry_of(board, "bright").scores == pytest.approx([20 * i / 255 for i in range(COUNT)])
    assert "00.png: network-failed: RuntimeError: out of | order" in entry_of(board, "fails").reason
    assert entry_of(board, "some").scores[-2:] == [None, None]
    assert entry_of(board, "some").reason.startswith("2 of 12 images have no score; the first: 10.png: not-finite")
    assert entry_of(board, "missing").reason == "its weights are elsewhere"
    assert entry_of(board, "pairs").reason == "labels has no references"
    assert all(entry.provenance["version"] == "1.0" for entry in board.entries if entry.scores)
    assert entry_of(board, "bright").cost.milliseconds > 0
    (test_set,) = board.test_sets
    assert list(test_set.ids) == [f"{index:02}.png" for index in range(COUNT)]
    assert test_set.distortions[:2] == ["noise", "blur"]


def test_what_a_score_costs(board: Board) -> None:
    cost = entry_of(board, "bright").cost
    assert cost.cpu_seconds > 0
    assert cost.cores == os.cpu_count()
    assert cost.load >= 0
    assert entry_of(board, "fails").cost == Cost()


def test_how_far_it_is(folder: Path) -> None:
    dataset = CSVDataset(folder / "labels.csv", higher_is_better=True)
    progress, seen = BoardProgress(), []

    def score(image: Tensor, reference: Tensor) -> float:
        seen.append(
            (progress.step, progress.metric, progress.test_set, progress.stage, progress.images, progress.total)
        )
        return float(image.mean())

    metrics = [fake("away", unavailable="elsewhere"), fake("bright", score=score), fake("pairs", mode="FR")]
    run_leaderboard([dataset], metrics, store=folder / "store", progress=progress)
    assert (progress.step, progress.steps) == (3, 3)
    scoring = [each for each in seen if each[3] == "scoring"]
    assert scoring[0] == (2, "bright", "labels", "scoring", 0, COUNT)
    assert scoring[-1][4] > 0
    assert seen[-1][3] == "measuring its cost"
    assert seen[-1][4] == COUNT

    # Of those that were known, none is scored, and none counts for the rate.
    again = BoardProgress()
    run_leaderboard([dataset], metrics[1:2], store=folder / "store", progress=again)
    assert (again.images, again.total, again.images_per_second, again.seconds_left) == (COUNT, COUNT, 0, None)


def test_weights_of_ones_own_have_learned_what_nobody_says(folder: Path) -> None:
    dataset = CSVDataset(folder / "labels.csv", higher_is_better=True)
    metric = replace(fake("topiq_nr", unavailable="elsewhere"), toolbox="topiq-metrics")
    published = run_leaderboard([dataset], [metric], store=folder / "store").entries[0].trained_on
    assert (published.relation, published.datasets) == ("unknown", ("KonIQ-10k",))
    own = run_leaderboard([dataset], [metric], store=folder / "store", weights=folder / "own").entries[0].trained_on
    assert (own.relation, own.datasets, own.note) == ("unknown", (), "Its weights are none that its authors publish.")


def test_what_was_scored_is_not_scored_again(run: Callable[..., Board], folder: Path) -> None:
    first = fake("bright")
    before = run(first)
    once = sum(first.calls)
    second = fake("bright")
    assert entry_of(run(second), "bright") == replace(
        entry_of(before, "bright"), provenance=entry_of(run(second), "bright").provenance
    )
    assert second.calls == []

    from PIL import Image

    Image.new("RGB", (40, 36), (255, 255, 255)).save(folder / "03.png", compress_level=0)
    third = fake("bright")
    assert entry_of(run(third), "bright").scores[3] == 1
    assert sum(third.calls) == 1
    other = replace(fake("bright"), version="1.1")
    run(other)
    assert sum(other.calls) == once


def test_a_line_that_a_kill_has_cut_off(run: Callable[..., Board], folder: Path) -> None:
    board = run(fake("bright"))
    (file,) = (folder / "store").glob("*.jsonl")
    file.write_bytes(file.read_bytes()[:-9])
    again = run(fake("bright"))
    assert entry_of(again, "bright").scores == entry_of(board, "bright").scores
    assert len(ScoreStore(folder / "store")._path("bright", {}).name.split("-")) == 2
    lines = file.read_text().splitlines()
    assert sum(line.endswith("]") for line in lines) == COUNT


def test_costs_that_cannot_be_read_are_measured_again(run: Callable[..., Board], folder: Path) -> None:
    run(fake("bright"))
    (file,) = (folder / "store").glob("*.costs.json")
    file.write_bytes(file.read_bytes()[:-9])
    again = fake("bright")
    assert entry_of(run(again), "bright").cost.milliseconds > 0
    assert len(again.calls) == sum(again.calls) > 0
    assert json.loads(file.read_text())


def test_provenance_is_that_of_the_scores(
    run: Callable[..., Board], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = entry_of(run(fake("bright")), "bright").provenance
    monkeypatch.setattr(torch, "__version__", "9.9")
    assert entry_of(run(fake("bright")), "bright").provenance == first
    (folder / "03.png").touch()
    mixed = entry_of(run(fake("bright")), "bright").provenance
    assert mixed["versions"]["torch"] == "9.9"
    (earlier,) = mixed["some scores are of"]
    assert earlier["versions"] == first["versions"]


def test_another_image_of_the_same_size_and_time_is_another_one(run: Callable[..., Board], folder: Path) -> None:
    from PIL import Image

    path = folder / "03.png"
    Image.new("RGB", (40, 36), (60, 60, 60)).save(path, "BMP")
    times = path.stat().st_mtime_ns
    run(fake("bright"))
    Image.new("RGB", (40, 36), (255, 255, 255)).save(path, "BMP")
    os.utime(path, ns=(times, times))
    assert entry_of(run(fake("bright")), "bright").scores[3] == 1


def test_a_metric_that_lacks_scores_comes_after_those_that_have_all(board: Board, run: Callable[..., Board]) -> None:
    (test_set,) = board.test_sets
    scores = [*test_set.mos[:4], *[None] * (COUNT - 4)]
    few = replace(entry_of(board, "some"), metric="few", scores=scores, status="partial", reason="8 are gone")
    noisy = replace(entry_of(board, "bright"), metric="noisy", scores=[(7 * i) % 11 / 11 for i in range(COUNT)])
    (ranking,) = judge(Board([test_set], [few, noisy]), QUICK)
    assert [entry.metric for entry in ranking.scored] == ["noisy", "few"]
    assert ranking.results[1].value > ranking.results[0].value
    assert ranking.against_first("few") == "untested"
    text = as_markdown([ranking])
    assert "| 2 ? | `few` | unknown | 1.0000 (of 4 only)" in text


def test_published_results_are_not_beside_medians(board: Board) -> None:
    csiq = replace(board.test_sets[0], name="CSIQ", split="all", partial=False, citation="its paper")
    entry = replace(entry_of(board, "bright"), test_set=csiq.key, metric="topiq_fr", mode="FR")
    for median_of, has in (("", True), ("distortion", False)):
        ((judged,),) = (s.results for s in judge(Board([csiq], [entry]), replace(QUICK, median_of=median_of)))
        assert (judged.published is not None) == has


def test_times_of_several_machines_are_told(board: Board) -> None:
    here, there = entry_of(board, "bright"), entry_of(board, "dark")
    there = replace(there, cost=replace(there.cost, machine="cpu on another, 64 threads"))
    # Boards of before have machines only with the scores.
    before = [replace(entry, cost=replace(entry.cost, machine=None)) for entry in (here, there)]
    elsewhere = replace(before[1], provenance={**there.provenance, "machine": "another, 64 threads"})
    for entries, told in (
        ([here, there], True),
        ([here, here], False),
        (before, False),
        ([before[0], elsewhere], True),
    ):
        rankings = judge(Board(board.test_sets, entries), QUICK)
        assert ("Times and memory are of several machines" in as_markdown(rankings)) == told
        assert ("Times and memory are of several machines" in leaderboard_page(board, rankings)) == told


def test_a_cost_measured_later_is_of_the_machine_of_then(run: Callable[..., Board], folder: Path) -> None:
    first = run(fake("bright"))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        then = run(fake("bright"))
    finally:
        torch.set_num_threads(threads)
    scored = [entry for entry in then.entries if entry.cost.milliseconds is not None]
    assert scored
    for entry in scored:
        assert entry.provenance == next(was for was in first.entries if was.metric == entry.metric).provenance
        assert entry.provenance["machine"].endswith(f"{threads} threads")
        assert entry.cost.machine is not None
        assert entry.cost.machine.endswith(f"{threads + 1} threads")


def test_versions_of_one_reference_are_compared_by_reference(board: Board) -> None:
    (test_set,) = board.test_sets
    grouped = replace(test_set, groups=[str(i // 2) for i in range(COUNT)])
    for test_set_, expected in ((test_set, "williams"), (grouped, "jackknife")):
        (ranking,) = judge(Board([test_set_], [entry_of(board, "bright"), entry_of(board, "dark")]), QUICK)
        assert ranking.comparison.test == expected


def test_names_stay_within_their_cells(board: Board) -> None:
    test_set = replace(board.test_sets[0], name="a | b\n<img src=x>")
    entry = replace(entry_of(board, "bright"), test_set=test_set.key, metric="c`|<i>\nd")
    text = as_markdown(judge(Board([test_set], [entry]), QUICK))
    assert r"## a \| b &lt;img src=x>" in text
    assert r"`c'\|<i> d`" in text
    failed = replace(entry, status="failed", reason="<b>no</b>", scores=())
    assert r"| `c'\|<i> d` | failed | &lt;b>no&lt;/b> |" in as_markdown(judge(Board([test_set], [failed]), QUICK))


def test_memory_is_measured_of_an_image_of_median_size(
    run: Callable[..., Board], folder: Path, memory: list[tuple[Path, ...]]
) -> None:
    from PIL import Image

    for index in range(3):
        Image.new("RGB", (400, 360)).save(folder / f"{index:02}.png")
    board = run(fake("bright"))
    assert entry_of(board, "bright").cost.memory == 1_000_000
    ((file,),) = memory
    assert int(file.stem) > 2


def test_medians_of_distortions_count(board: Board) -> None:
    rules = replace(QUICK, median_of="distortion")
    (ranking,) = (ranking for ranking in judge(board, rules) if ranking.mode == "NR")
    for judged in ranking.results:
        parts = judged.by_distortion.parts
        assert judged.figure("plcc").value == statistics.median(part.plcc.value for part in parts.values())
    assert ranking.comparison.stratified
    figures = next(record for record in as_records([ranking]) if record["metric"] == "bright")
    assert figures["median_of"] == "distortion"
    assert figures["figures"]["fitted_plcc"]["value"] != figures["over_all_images"]["fitted_plcc"]["value"]
    assert "Figures are medians over distortions." in as_markdown([ranking])
    assert next(csv.DictReader(io.StringIO(as_csv([ranking]))))["median_of"] == "distortion"
    assert "figures are medians over distortions." in leaderboard_page(board, [ranking])


@pytest.mark.parametrize("by_reference", [True, False])
def test_medians_of_the_customary_splits_count(board: Board, by_reference: bool) -> None:
    rng = np.random.default_rng(0)
    records = [Record(Path(f"{i}.png"), float(rng.random()), "all", group=f"{i // 5}") for i in range(60)]
    if not by_reference:
        records = [replace(record, group=record.id) for record in records]
    mos = [record.score for record in records]
    scores = [score + float(rng.normal()) for score in mos]
    groups = [record.group for record in records] if by_reference else []
    columns = {"ids": [r.id for r in records], "mos": mos, "groups": groups, "distortions": []}
    test_set = replace(board.test_sets[0], **columns)
    entry = replace(entry_of(board, "bright"), test_set=test_set.key, scores=scores)
    ((judged,),) = (each.results for each in judge(Board([test_set], [entry]), replace(QUICK, median_of="split")))

    splits = random_splits(records, BY_REFERENCE)
    assert list(judged.by_split.parts) == [split.hashes["test"] for split in splits]
    parts = [list(split.parts["test"]) for split in splits]
    expected = [np.corrcoef(np.array(scores)[part], np.array(mos)[part])[0, 1] for part in parts]
    assert judged.figure("plcc").value == pytest.approx(statistics.median(expected))
    assert judged.evaluation.plcc.value == pytest.approx(np.corrcoef(scores, mos)[0, 1])

    one = replace(test_set, **{name: column[:1] for name, column in columns.items()})
    ((judged,),) = (
        each.results for each in judge(Board([one], [replace(entry, scores=[0.5])]), replace(QUICK, median_of="split"))
    )
    assert math.isnan(judged.value)


def test_failures_are_tried_again(run: Callable[..., Board]) -> None:
    assert entry_of(run(fake("some", score=fails_on_bright)), "some").status == "partial"
    mended = fake("some")
    assert entry_of(run(mended), "some").status == "scored"
    assert entry_of(run(mended), "some").scores[-1] == pytest.approx(220 / 255)


def test_reasons_do_not_tell_where_images_lie(run: Callable[..., Board], folder: Path) -> None:
    (folder / "05.png").write_text("no image")
    entry = entry_of(run(fake("bright")), "bright")
    assert entry.status == "partial"
    assert "05.png: not-an-image: 05.png" in entry.reason
    assert str(folder) not in entry.reason


def test_directions_and_ties(board: Board) -> None:
    no_reference, full_reference = judge(board, QUICK)
    assert [each.entry.metric for each in no_reference.results] == ["again", "bright", "dark", "some"]
    assert all(each.value == pytest.approx(1) for each in no_reference.results)
    assert no_reference.against_first("dark") == "tied"
    assert [entry.metric for entry in no_reference.unscored] == ["fails", "missing"]
    assert not full_reference.results
    some = no_reference.results[3]
    assert (some.evaluation.n, some.evaluation.left_out) == (10, 2)
    assert set(some.by_distortion.parts) == {"noise", "blur"}


def test_a_better_metric_comes_first(run: Callable[..., Board]) -> None:
    noise = torch.rand(COUNT, generator=torch.Generator().manual_seed(0)).tolist()
    worse = fake("worse", score=lambda image, reference: noise[round(float(image.mean()) * 255 / 20)])
    (ranking,) = judge(run(worse, fake("bright")), QUICK)
    assert [each.entry.metric for each in ranking.results] == ["bright", "worse"]
    assert ranking.against_first("worse") == "worse"


def test_published_results_are_beside_measured_ones(board: Board) -> None:
    names = {"KonIQ-10k": "test", "LIVE Challenge": "all", "CSIQ": "all", "SPAQ": "all"}
    assert set(names) <= {reader.facts.name for reader in DATASETS.values()}
    (test_set,) = board.test_sets
    koniq = replace(test_set, name="KonIQ-10k", split="test", citation="its paper")
    entries = [
        replace(entry_of(board, "bright"), test_set=koniq.key, metric=name)
        for name in ("topiq_nr", "pyiqa:niqe", "piq:brisque")
    ]
    board = Board([koniq], entries)
    (ranking,) = judge(board, QUICK)
    published = {each.entry.metric: each.published for each in ranking.results}
    assert (published["topiq_nr"].srcc, published["pyiqa:niqe"].plcc) == (0.9299, 0.3155)
    assert published["piq:brisque"] is None
    assert [each.disagrees for each in ranking.results] == [False, True, True]
    assert "| 0.3769 (+0.6231, **disagrees**) |" in as_markdown([ranking])
    page = leaderboard_page(board, [ranking])
    assert '>0.3769<span class="muted"> (+0.6231)</span><strong class="alert"> disagrees</strong>' in page
    assert published_result("topiq_nr", replace(koniq, partial=True)) is None
    assert published_result("topiq_nr", replace(koniq, split="training")) is None
    # A table that is called like it.
    assert published_result("topiq_nr", replace(koniq, citation="")) is None
    assert published_result("topiq_nr", replace(koniq, name="FLIVE")) is None
    assert published_result("topiq_nr", replace(koniq, name="FLIVE with patches")).srcc == 0.5819
    assert published_result("topiq_fr", replace(koniq, name="LIVE realigned", split="all")).srcc == 0.9759
    assert published_result("pyiqa:clipiqa+", replace(koniq, name="SPAQ", split="all")) is None
    assert published_result("topiq_fr", replace(koniq, name="CSIQ", split="all")).srcc == 0.9674


def test_files(board: Board, tmp_path: Path) -> None:
    path = tmp_path / "board.json"
    rankings = judge(board, QUICK)
    save_board(board, path, {"figures": as_records(rankings)})
    again = load_board(path)
    assert again == replace(board, test_sets=again.test_sets, entries=again.entries)
    assert as_csv(judge(again, QUICK)) == as_csv(rankings)
    document = json.loads(path.read_text())
    assert (document["schema"], document["version"]) == ("topiq-metrics-leaderboard", 1)
    assert str(tmp_path) not in path.read_text()
    rows = list(csv.DictReader(io.StringIO(as_csv(rankings))))
    assert [row["metric"] for row in rows] == ["again", "bright", "dark", "some", "fails", "missing", "pairs"]
    assert float(rows[2]["srcc"]) == 1
    assert rows[2]["rmse"] == ""
    text = as_markdown(rankings)
    assert "| 2 = | `bright` | unknown | 1.0000" in text
    assert r"out of \| order" in text
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no JSON", "it is not JSON"),
        ("[]", "expected JSON with the schema"),
        ('{"schema": "topiq-metrics-leaderboard", "version": 2}', "of version 2; this one reads 1"),
        ('{"schema": "topiq-metrics-leaderboard", "version": 1, "subjects": []}', "'entries'"),
    ],
)
def test_what_is_no_board(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BoardError, match=message):
        load_board(tmp_path / "a.json")


def test_a_board_whose_columns_differ(board: Board, tmp_path: Path) -> None:
    entry = replace(entry_of(board, "bright"), scores=[0.5])
    save_board(Board(board.test_sets, [entry]), tmp_path / "a.json")
    with pytest.raises(BoardError, match="bright has 1 scores for 12 images"):
        load_board(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"scores": ["high"] * COUNT}, "bright has a score that is no number, 'high'"),
        ({"scores": [True] * COUNT}, "bright has a score that is no number, True"),
        ({"scores": [1e999] * COUNT}, "bright has the status 'scored', and lacks some scores"),
        ({"mode": "XX"}, "bright has the status 'scored' and the mode 'XX'"),
        ({"status": "unavailable"}, "bright has the status 'unavailable' and 12 scores"),
        ({"status": "done"}, "bright has the status 'done'"),
        ({"scores": []}, "bright has the status 'scored' and 0 scores"),
    ],
)
def test_entries_that_cannot_be(board: Board, changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    entry = replace(entry_of(board, "bright"), **changed)
    save_board(Board(board.test_sets, [entry]), tmp_path / "a.json")
    with pytest.raises(BoardError, match=message):
        load_board(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mos": "a text"}, "has 6 mos for 12 images"),
        ({"mos": ["low"] * COUNT}, "an opinion score that is no number, 'low'"),
        ({"pairs": "all"}, "scores for 24 images|counts agreement by 'all'"),
    ],
)
def test_sets_that_cannot_be(board: Board, changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    test_set = replace(board.test_sets[0], **changed)
    save_board(Board([test_set], [entry_of(board, "bright")]), tmp_path / "a.json")
    document = json.loads((tmp_path / "a.json").read_text())
    document["subjects"][0] |= changed
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(BoardError, match=message):
        load_board(tmp_path / "a.json")


def test_boards_of_other_directions_do_not_merge(board: Board) -> None:
    turned = replace(entry_of(board, "bright"), higher_is_better=False)
    with pytest.raises(BoardError, match="disagree on the direction of bright"):
        merge_boards([board, Board(board.test_sets, [turned])])
    test_set = replace(board.test_sets[0], higher_is_better=False)
    with pytest.raises(BoardError, match="disagree on the direction of the human scores"):
        merge_boards([board, Board([test_set], [])])


def test_merging(board: Board, run: Callable[..., Board]) -> None:
    other = run(fake("some"), fake("missing"), fake("bright", unavailable="not here"), fake("new"), store="elsewhere")
    for boards in ([board, other], [other, board]):
        merged = merge_boards(boards)
        assert len(merged.test_sets) == 1
        states = {entry.metric: entry.status for entry in merged.entries}
        assert len(states) == len(merged.entries) == 8
        assert (states["some"], states["missing"], states["bright"], states["new"]) == ("scored",) * 4
    test_set = replace(board.test_sets[0], mos=[0.0] * COUNT)
    with pytest.raises(BoardError, match="differ in the human scores"):
        merge_boards([board, Board([test_set], [])])
    with pytest.raises(BoardError, match="no leaderboard to merge"):
        merge_boards([])


def test_the_same_twice(run: Callable[..., Board]) -> None:
    with pytest.raises(ValueError, match="The metric 'bright' is given twice"):
        run(fake("bright"), fake("bright"))
