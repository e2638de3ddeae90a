"""One HTML file of a board: its tables need no script; the script sorts, filters and copies, and draws the plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from topiq_metrics._version import __version__
from topiq_metrics.leaderboard.board import SCHEMA, VERSION, Board, Entry, TestSet
from topiq_metrics.leaderboard.latex import as_latex
from topiq_metrics.leaderboard.page_tables import (
    SYMBOLS,
    board_table,
    describe_test,
    heat_map,
    matrix,
    summary_table,
    unscored_groups,
)
from topiq_metrics.leaderboard.papers import Citation
from topiq_metrics.leaderboard.plots import Thumbnails, plot_data
from topiq_metrics.leaderboard.ranking import MODES, Ranking, several_machines
from topiq_metrics.leaderboard.summary import advantages, names_of, summarize
from topiq_metrics.leaderboard.tables import as_csv, summary_as_csv
from topiq_metrics.pages.rendering import render
from topiq_metrics.pages.text import readable

TITLE = "Image quality metrics against human opinion"


def leaderboard_page(
    board: Board,
    rankings: Sequence[Ranking],
    *,
    thumbnails: Thumbnails | None = None,
    title: str = TITLE,
) -> str:
    """A board as a self-contained HTML page.

    Args:
        board: the board.
        rankings: the result of `topiq_metrics.leaderboard.judge` for it.
        thumbnails: called once for each test set with the ids of outliers; returns those images that it has, as paths
            or as bytes of a file. Only small copies of them are put into the page; unreadable images are left out. None
            for a page without images.
        title: title of the page; any text.

    Returns:
        The HTML text.
    """
    names = names_of(board.test_sets)
    numbers = {key: number for number, key in enumerate(names)}
    entries = [entry for ranking in rankings for entry in _entries(ranking)]
    toolboxes = sorted({entry.toolbox for entry in entries})
    scored = [(place, ranking) for place, ranking in enumerate(rankings) if ranking.results]
    summaries = [summary_table(summary, numbers, toolboxes) for summary in summarize(rankings)]
    papers = _papers(board, rankings)
    places = {paper.citation: place for place, paper in enumerate(papers)}
    return render(
        "leaderboard",
        title=title,
        version=__version__,
        span=_span(entries, names),
        sets=[_set(test_set, names[test_set.key], places) for test_set in board.test_sets],
        notices=advantages(rankings, names),
        summaries=summaries,
        note=_note(rankings),
        datasets=[(number, names[key]) for key, number in numbers.items()],
        modes=[(mode, MODES[mode]) for mode in MODES if any(entry.mode == mode for entry in entries)],
        toolboxes=list(enumerate(toolboxes)),
        statuses=[(status, status) for status in sorted({entry.status for entry in entries})],
        table=board_table(rankings, names, toolboxes, places),
        unscored=unscored_groups(rankings, names, toolboxes),
        papers=papers,
        scored=[
            (
                _heading(ranking, names),
                [(f"{place} {index}", each.entry.metric) for index, each in enumerate(ranking.results)],
            )
            for place, ranking in scored
        ],
        boards=[(place, _heading(ranking, names)) for place, ranking in scored],
        heat_maps=[grid for ranking in rankings if (grid := heat_map(ranking, _heading(ranking, names)))],
        matrices=[grid for ranking in rankings if (grid := matrix(ranking, _heading(ranking, names)))],
        symbols=SYMBOLS,
        facts=readable(
            {
                "board": {"schema": f"{SCHEMA}, version {VERSION}", **_rules(rankings)},
                **{names[test_set.key]: _about(test_set) for test_set in board.test_sets},
            }
        ),
        provenance=_provenance(rankings, names),
        data={
            **plot_data(board, rankings, names, thumbnails),
            "texts": {
                "csv": as_csv(rankings),
                "summary": summary_as_csv(rankings),
                "latex": as_latex(rankings),
            },
            "bibtex": [paper.citation.bibtex for paper in papers],
        },
    )


class _Set(NamedTuple):
    """A test set in the head of the page."""

    name: str
    facts: str
    paper: int | None


class _Paper(NamedTuple):
    """A paper, and what it is cited for."""

    citation: Citation
    cited_for: Sequence[str]


def _span(entries: Sequence[Entry], names: Mapping[str, str]) -> str:
    metrics = {entry.metric for entry in entries}
    scored = {entry.metric for entry in entries if entry.scores}
    days = sorted({str(entry.provenance["created"])[:10] for entry in entries if entry.provenance.get("created")})
    when = f", scored {' to '.join(dict.fromkeys((days[0], days[-1])))}" if days else ""
    what = _count(len(metrics), "metric")
    having = "" if len(scored) == len(metrics) else f" ({len(scored):,} with scores)"
    return f"{what}{having} on {_count(len(names), 'dataset')}{when}"


def _set(test_set: TestSet, name: str, places: Mapping[Citation, int]) -> _Set:
    facts = [
        _count(len(test_set.ids), "pair" if test_set.pairs else "image"),
        "a part of the set" if test_set.partial else "",
        f"split {test_set.split_hash}",
        "" if test_set.seed is None else f"seed {test_set.seed}",
        "" if test_set.pairs else "MOS" if test_set.higher_is_better else "DMOS",
    ]
    return _Set(name, " · ".join(filter(None, facts)), places.get(test_set.paper) if test_set.paper else None)


def _papers(board: Board, rankings: Sequence[Ranking]) -> list[_Paper]:
    """What to cite for the test sets and for the metrics that have scores."""
    cited: dict[Citation, list[str]] = {}
    for test_set in board.test_sets:
        if test_set.paper is not None:
            cited.setdefault(test_set.paper, []).append(test_set.name)
    for ranking in rankings:
        for entry in ranking.scored:
            if entry.citation is not None:
                cited.setdefault(entry.citation, []).append(entry.metric)
    return [_Paper(citation, list(dict.fromkeys(names))) for citation, names in cited.items()]


def _provenance(rankings: Sequence[Ranking], names: Mapping[str, str]) -> list[tuple[str, list[tuple[str, object]]]]:
    """For each ranking, what is known of its entries, by metric."""
    parts = []
    for ranking in rankings:
        details = []
        for entry in _entries(ranking):
            facts = {**entry.provenance}
            if entry.cost.pixels is not None:
                facts["timed on"] = f"images of {entry.cost.pixels} pixels"
            if facts:
                details.append((entry.metric, readable(facts)))
        if details:
            parts.append((_heading(ranking, names), details))
    return parts


def _rules(rankings: Sequence[Ranking]) -> dict[str, object]:
    distinct = dict.fromkeys(describe_test(ranking.comparison) for ranking in rankings if ranking.comparison)
    tests: dict[str, object] = {"test": "; ".join(distinct) or None}
    results = [each for ranking in rankings for each in ranking.results]
    if not results:
        return tests
    evaluation = results[0].evaluation
    bootstrap = evaluation.bootstrap
    return {
        "fit before PLCC and RMSE": evaluation.fit.name,
        "intervals": bootstrap
        and f"{bootstrap.confidence:.0%}, {bootstrap.method} bootstrap of {bootstrap.resamples} samples, "
        f"seed {bootstrap.seed}",
        **tests,
    }


def _about(test_set: TestSet) -> dict[str, object]:
    return {
        "dataset": test_set.dataset,
        "split": test_set.split,
        "split hash": test_set.split_hash,
        "seed": test_set.seed,
        "pairs" if test_set.pairs else "images": len(test_set.ids),
        "complete": not test_set.partial,
        "opinion": "higher is better" if test_set.higher_is_better else "lower is better (DMOS)",
        "citation": test_set.citation,
        "license": test_set.license,
        **({"2AFC": f"by {test_set.pairs}"} if test_set.pairs else {}),
    }


def _entries(ranking: Ranking) -> list[Entry]:
    return [*ranking.scored, *ranking.unscored]


def _heading(ranking: Ranking, names: Mapping[str, str]) -> str:
    return f"{names[ranking.test_set.key]}: {MODES[ranking.mode]}"


def _note(rankings: Sequence[Ranking]) -> str:
    bootstrap = next((each.evaluation.bootstrap for ranking in rankings for each in ranking.results), None)
    interval = f"In brackets: {bootstrap.confidence:.0%} bootstrap intervals. " if bootstrap else ""
    parts = dict.fromkeys(f"{each.median_of}s" for ranking in rankings for each in ranking.results if each.median_of)
    medians = f" Where it says median, figures are medians over {' or '.join(parts)}." if parts else ""
    several = sorted({machine for ranking in rankings for machine in several_machines(ranking)})
    machines = f" Times and memory are of several machines: {'; '.join(several)}." if several else ""
    marks = "Beside a place: = cannot be told from the first, ? could not be tested, ▲ better by the test."
    return f"{interval}{marks}{medians}{machines}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
