"""The table of metrics × datasets: its figures, means, places and marks, and what each format makes of it."""

from __future__ import annotations

import csv
import io
import math
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from topiq_metrics.leaderboard.board import Board, Cost, Entry, TestSet
from topiq_metrics.leaderboard.latex import as_latex, escaped
from topiq_metrics.leaderboard.outputs import check_output, write_outputs
from topiq_metrics.leaderboard.page import leaderboard_page
from topiq_metrics.leaderboard.ranking import Rules, judge
from topiq_metrics.leaderboard.summary import Cell, Summary, summarize
from topiq_metrics.leaderboard.tables import as_csv, as_markdown, summary_as_csv
from topiq_metrics.leaderboard.trained_on import TrainedOn
from topiq_metrics.statistics.bootstrap import Bootstrap

QUICK = Rules(bootstrap=Bootstrap(resamples=30))
EVIL = r"a_b%c&d#e$f{g}h~i^j\k|l<m>--n`o[p]" + "\nq"


def make_set(name: str, count: int, **options: Any) -> TestSet:
    mos = np.random.default_rng(count).uniform(0, 100, count).tolist()
    given: dict[str, Any] = {
        "dataset": name.lower(),
        "name": name,
        "split": "all",
        "split_hash": "12f2",
        "seed": None,
        "partial": False,
        "higher_is_better": True,
        "citation": "",
        "license": "",
        "ids": [f"{i}.png" for i in range(count)],
        "mos": mos,
    }
    return TestSet(**{**given, **options})


def make_entry(of: TestSet, metric: str, noise: float, sign: float = 1, **options: Any) -> Entry:
    random = np.random.default_rng(len(metric) + len(of.ids))
    scores = sign * np.asarray(of.mos) + 100 * noise * random.standard_normal(len(of.ids))
    given = {"toolbox": "fakes", "mode": "NR", "higher_is_better": True, "status": "scored", "scores": scores.tolist()}
    return Entry(test_set=of.key, metric=metric, **{**given, **options})


def without_first(entry: Entry) -> Entry:
    return replace(entry, scores=[None, *entry.scores[1:]], status="partial", reason="one is gone")


@pytest.fixture(scope="module")
def sets() -> list[TestSet]:
    return [make_set("One", 40), make_set("Two", 80), make_set("Three", 20)]


@pytest.fixture(scope="module")
def board(sets: list[TestSet]) -> Board:
    one, two, three = sets
    return Board(
        sets,
        [
            make_entry(one, "good", 0.05, trained_on=TrainedOn("other part", ("One", "Four"), "its card")),
            *(make_entry(each, "good", 0.05, trained_on=TrainedOn("others", ("One", "Four"))) for each in (two, three)),
            *(make_entry(each, "fair", 0.2) for each in sets),
            *(make_entry(each, "wrong way", 0.02, -1, trained_on=TrainedOn("nothing")) for each in sets),
            *(without_first(make_entry(each, "few", 0.01)) for each in sets),
            make_entry(one, EVIL, 0.03),
            Entry(two.key, EVIL, "fakes", "NR", True, "failed", "out of\nmemory"),
        ],
    )


@pytest.fixture(scope="module")
def summary(board: Board) -> Summary:
    (found,) = summarize(judge(board, QUICK))
    return found


def cells_of(summary: Summary, metric: str) -> tuple[tuple[Cell, ...], ...]:
    return next(row.cells for row in summary.rows if row.metric == metric)


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    ranks = [np.argsort(np.argsort(column)) for column in (first, second)]
    return float(np.corrcoef(*ranks)[0, 1])


def test_figures_and_means(board: Board, sets: list[TestSet], summary: Summary) -> None:
    assert [group.title for group in summary.groups] == ["One", "Two", "Three", "Mean", "Mean, weighted by size"]
    entries = [entry for entry in board.entries if entry.metric == "fair"]
    expected = [spearman(entry.scores, each.mos) for entry, each in zip(entries, sets, strict=True)]
    raw = [float(np.corrcoef(entry.scores, each.mos)[0, 1]) for entry, each in zip(entries, sets, strict=True)]
    *parts, mean, weighted = cells_of(summary, "fair")
    assert [cells[0].value for cells in parts] == pytest.approx(expected)
    assert [cells[1].value for cells in parts] == pytest.approx(raw)
    assert mean[0].value == pytest.approx(np.mean(expected))
    assert weighted[1].value == pytest.approx(np.average(raw, weights=[40, 80, 20]))
    assert all(cells[2].value >= cells[1].value - 0.01 for cells in parts)


def test_what_is_missing_says_why_and_comes_last(summary: Summary) -> None:
    assert [row.metric for row in summary.rows] == ["good", "fair", "wrong way", EVIL, "few"]
    first, second, third, mean, _ = cells_of(summary, EVIL)
    assert first[0].value > 0.9
    assert [second[0].reason, third[0].reason] == ["failed: out of memory", "not on this board"]
    assert math.isnan(mean[0].value)
    assert mean[0].reason == "no figure on Two, Three"


def test_places_and_marks(summary: Summary) -> None:
    column = {row.metric: row.cells[1][0] for row in summary.rows}
    assert {metric: cell.place for metric, cell in column.items()} == {
        "good": 1,
        "fair": 2,
        "wrong way": 0,
        "few": 0,
        EVIL: 0,
    }
    assert column["few"].value > column["good"].value
    assert column["few"].marks[-1] == "partial"
    assert column["wrong way"].marks == ("inverted",)
    # Only its fit makes this one high.
    fitted = {row.metric: row.cells[1][2] for row in summary.rows}
    assert fitted["wrong way"].value > fitted["good"].value
    assert (fitted["wrong way"].place, fitted["good"].place) == (0, 1)
    known = cells_of(summary, "good")
    assert "other part" in known[0][0].marks
    assert known[1][0].marks == ()
    assert {row.metric: row.learned for row in summary.rows} == {
        "good": "One, Four",
        "fair": "unknown",
        "wrong way": "nothing learned",
        "few": "unknown",
        EVIL: "unknown",
    }


def test_a_metric_that_cannot_be_told_from_the_first(sets: list[TestSet]) -> None:
    entries = [make_entry(sets[0], "first", 0.1), make_entry(sets[0], "twin", 0.1), make_entry(sets[0], "bad", 2)]
    (found,) = summarize(judge(Board(sets[:1], entries), QUICK))
    assert [group.title for group in found.groups] == ["One"]
    verdicts = [row.cells[0][0].marks for row in found.rows]
    assert verdicts == [(), ("tied",), ()]
    assert [row.cells[0][1].marks for row in found.rows] == [()] * 3


def test_digits_follow_intervals() -> None:
    of = make_set("Large", 3000)
    (found,) = summarize(judge(Board([of], [make_entry(of, "sure", 0.02), make_entry(of, "same", 0.03)]), QUICK))
    assert found.groups[0].digits == (4, 4, 4)
    small = make_set("Small", 12)
    rankings = judge(Board([of, small], [make_entry(of, "sure", 0.02), make_entry(small, "sure", 0.5)]), QUICK)
    (found,) = summarize(rankings)
    assert [group.digits[0] for group in found.groups] == [4, 3, 4, 4]
    low, high = rankings[0].results[0].evaluation.srcc.low, rankings[0].results[0].evaluation.srcc.high
    assert f"[{low:.4f}, {high:.4f}]" in as_markdown(rankings)
    low, high = rankings[1].results[0].evaluation.srcc.low, rankings[1].results[0].evaluation.srcc.high
    assert f"[{low:.3f}, {high:.3f}]" in as_markdown(rankings)


def test_pairs_are_no_part_of_a_mean_of_correlations(sets: list[TestSet]) -> None:
    pairs = make_set("Pairs", 20, pairs="votes", mos=[0.1, 0.9] * 10)
    first, second = ([0.2, 0.1] * 10), ([0.1, 0.3] * 10)
    entries = [
        *(make_entry(each, "metric", 0.1) for each in sets[:2]),
        replace(make_entry(sets[0], "metric", 0.1), test_set=pairs.key, scores=[*first, *second]),
    ]
    (found,) = summarize(judge(Board([*sets[:2], pairs], entries), QUICK))
    assert [group.measures for group in found.groups] == [
        *[("srcc", "plcc", "fitted_plcc")] * 2,
        ("agreement",),
        *[("srcc", "plcc", "fitted_plcc")] * 2,
    ]
    (row,) = found.rows
    assert row.cells[2][0].value == pytest.approx(0.9)
    assert row.cells[3][0].value == pytest.approx((row.cells[0][0].value + row.cells[1][0].value) / 2)
    assert "& 2AFC &" in as_latex(judge(Board([*sets[:2], pairs], entries), QUICK))


def test_markdown_and_csv(board: Board, summary: Summary) -> None:
    rankings = judge(board, QUICK)
    text = as_markdown(rankings)
    assert text.index("## No-reference metrics") < text.index("## One: no-reference")
    value = cells_of(summary, "good")[1][0].value
    line = next(line for line in text.splitlines() if line.startswith("| `good` |"))
    assert f"| **{value:.{summary.groups[1].digits[0]}f}** |" in line
    assert f"<ins>{cells_of(summary, 'fair')[1][0].value:.{summary.groups[1].digits[0]}f}</ins>" in text
    assert "**One: good learned from its other part.**" in text
    assert "| 3 | `wrong way` | nothing learned |" in text
    assert text.count(" inverted |") == 3

    rows = list(csv.DictReader(io.StringIO(summary_as_csv(rankings))))
    assert [row["metric"] for row in rows] == [row.metric for row in summary.rows]
    assert float(rows[0]["Two: SRCC"]) == value
    assert rows[0]["One: SRCC (remark)"].endswith("trained on another part of this set")
    assert rows[0]["Two: SRCC (remark)"] == "best"
    assert (rows[3]["Two: SRCC"], rows[3]["Two: SRCC (remark)"]) == ("", "failed: out of memory")

    entries = list(csv.DictReader(io.StringIO(as_csv(rankings))))
    good = next(row for row in entries if row["metric"] == "good")
    assert (good["trained_on"], good["learned_from"], good["inverted"]) == ("other part", "One, Four", "False")


@pytest.mark.parametrize("known", [True, False])
def test_processor_time_and_load_are_shown_where_they_are_known(known: bool, sets: list[TestSet]) -> None:
    cost = Cost(40.0, 100, 10, 1.0, 10_000_000, 0.0765, 1.25, 8) if known else Cost(40.0, 100, 10, 1.0, 10_000_000)
    board = Board(sets[:1], [make_entry(sets[0], "metric", 0.1, cost=cost)])
    rankings = judge(board, QUICK)
    assert ("| ms/image | CPU ms | load of cores |" in as_markdown(rankings)) == known
    assert ("| 40 | 76 | 1.2 of 8 |" in as_markdown(rankings)) == known
    page = leaderboard_page(board, rankings)
    assert (">CPU, ms</th>" in page, ">load</th>" in page, ">1.2 of 8</td>" in page) == (known,) * 3
    (row,) = csv.DictReader(io.StringIO(as_csv(rankings)))
    assert (row["cpu_seconds"], row["load"], row["cores"]) == (("0.0765", "1.25", "8") if known else ("", "", ""))


def test_latex_is_a_table(board: Board, summary: Summary) -> None:
    text = as_latex(judge(board, QUICK))
    assert text.startswith("% \\usepackage{booktabs,graphicx}\n\\begin{table*}")
    rows = text[text.index(r"\midrule") + 9 : text.index(r"\bottomrule")].strip().splitlines()
    assert len(rows) == len(summary.rows)
    # Of the ampersands, those of names are escaped.
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {15}
    assert rows[0].startswith("good & ")
    assert r"\textbf{" in rows[0]
    assert r"\underline{" in rows[1]
    assert r"\rlap{$^{\dagger}$}" in rows[0]
    assert r"$-$0." in rows[2]
    assert rows[3].count("-- &") == 11
    assert r"One (40 images), Two (80 images), Three (20 images)" in text
    assert r"$\dagger$ trained on another part of this set." in text
    for line in text.splitlines():
        plain = re.sub(r"\\[{}]", "", line)
        assert plain.count("{") == plain.count("}") or "resizebox" in line or r"\end{tabular}" in line


def test_many_datasets_go_below_each_other() -> None:
    sets = [make_set(f"Set {number}", 10 + number) for number in range(9)]
    text = as_latex(judge(Board(sets, [make_entry(each, "metric", 0.1) for each in sets]), QUICK))
    assert text.count(r"\begin{table*}") == 1
    assert text.count(r"\begin{tabular}") == text.count("\nmetric & ") == 2
    assert re.findall(r"l\*\{(\d+)\}", text) == ["18", "15"]


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("a_b", r"a\_b"),
        ("50 % & more", r"50 \% \& more"),
        ("\\", r"\textbackslash{}"),
        ("a--b---c", "a-{}-b-{}-{}-c"),
        ("[x]\n<y>", r"{[}x{]} \textless{}y\textgreater{}"),
        ("naïve", "naïve"),
        ('the "best"', r"the {\char34}best{\char34}"),
    ],
)
def test_names_are_escaped(text: str, latex: str) -> None:
    assert escaped(text) == latex


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no LaTeX here")
def test_latex_compiles(board: Board, tmp_path: Path) -> None:
    write_outputs(board, [tmp_path / "board.tex"], QUICK)
    (tmp_path / "paper.tex").write_text(
        r"\documentclass[twocolumn]{article}\usepackage{booktabs,graphicx}\begin{document}\input{board}\end{document}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "paper.pdf").stat().st_size > 1000


def test_files_of_the_table_alone(board: Board, tmp_path: Path) -> None:
    rankings = write_outputs(board, [tmp_path / "a.tex", tmp_path / "a.summary.csv", tmp_path / "a.CSV"], QUICK)
    assert (tmp_path / "a.tex").read_text(encoding="utf-8") == as_latex(rankings)
    assert (tmp_path / "a.summary.csv").read_text(encoding="utf-8") == summary_as_csv(rankings)
    assert (tmp_path / "a.CSV").read_text(encoding="utf-8") == as_csv(rankings)
    with pytest.raises(ValueError, match=r"must end in one of .*'\.tex'"):
        check_output(tmp_path / "a.pdf")


def test_a_board_without_scores(sets: list[TestSet]) -> None:
    away = Entry(sets[0].key, "away", "fakes", "NR", True, "unavailable", "elsewhere")
    rankings = judge(Board(sets, [away]), QUICK)
    assert summarize(rankings) == []
    assert as_latex(rankings).count("table") == 0
    assert as_markdown(rankings).startswith("## One: no-reference")
    assert summary_as_csv([]) == ""
