"""One HTML file of a board: its tables need no script; the script sorts them and draws the plots."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from topiq_metrics._version import __version__
from topiq_metrics.leaderboard.board import SCHEMA, VERSION, Board, Entry, TestSet
from topiq_metrics.leaderboard.plots import Thumbnails, plot_data
from topiq_metrics.leaderboard.ranking import MARKS, MODES, MetricResult, Ranking, several_machines
from topiq_metrics.pages.rendering import render
from topiq_metrics.pages.text import readable
from topiq_metrics.statistics.protocol import Figure
from topiq_metrics.statistics.significance import Comparison

TITLE = "Image quality metrics against human opinion"

_SYMBOLS = {"better": "▲", "worse": "▼", "tied": "=", "untested": "·"}
_AGREEMENT = ("2AFC", True)
_COLUMNS = (
    ("metric", False),
    ("place", True),
    ("SRCC", True),
    _AGREEMENT,
    ("published", True),
    ("KRCC", True),
    ("PLCC, fitted", True),
    ("RMSE, fitted", True),
    ("ms/image", True),
    ("memory, MB", True),
    ("parameters", True),
    ("GMACs", True),
    ("mode", False),
    ("dataset", False),
    ("toolbox", False),
    ("status", False),
)
_NO_VALUE = "–"


def leaderboard_page(
    board: Board,
    rankings: Sequence[Ranking],
    *,
    thumbnails: Thumbnails | None = None,
    title: str = TITLE,
) -> str:
    """A board as one HTML file that asks for nothing else.

    Args:
        board: what was scored.
        rankings: what `topiq_metrics.leaderboard.judge` made of it.
        thumbnails: is asked, once for each test set, for the images of the ids that are marked as outliers; gives
            those it can, as a path or as the bytes of a file. Only small copies of their pixels get into the page;
            what cannot be read is left out. None for a page without pictures.
        title: of the page; any text.
    """
    names = _names(board.test_sets)
    entries = [entry for ranking in rankings for entry in _entries(ranking)]
    scored = [(place, ranking) for place, ranking in enumerate(rankings) if ranking.results]
    has_pairs = any(ranking.preferences for ranking in rankings)
    return render(
        "leaderboard",
        title=title,
        version=__version__,
        span=f"{_count(len({entry.metric for entry in entries}), 'metric')} on {_count(len(names), 'dataset')}",
        note=_note(rankings),
        datasets=list(names.items()),
        modes=[(mode, MODES[mode]) for mode in MODES if any(entry.mode == mode for entry in entries)],
        toolboxes=[(name, name) for name in sorted({entry.toolbox for entry in entries})],
        columns=[column for column in _COLUMNS if has_pairs or column != _AGREEMENT],
        rows=[row for number, ranking in enumerate(rankings) for row in _rows(ranking, number, names, has_pairs)],
        scored=[
            (
                _heading(ranking, names),
                [(f"{place} {index}", each.entry.metric) for index, each in enumerate(ranking.results)],
            )
            for place, ranking in scored
        ],
        boards=[(place, _heading(ranking, names)) for place, ranking in scored],
        heat_maps=_heat_maps(rankings, names),
        matrices=_matrices(rankings, names),
        symbols=_SYMBOLS,
        facts=readable(
            {
                "board": {"schema": f"{SCHEMA}, version {VERSION}", **_rules(rankings)},
                **{names[test_set.key]: _about(test_set) for test_set in board.test_sets},
            }
        ),
        provenance=_provenance(rankings, names),
        data=plot_data(board, rankings, names, thumbnails),
    )


class _Cell(NamedTuple):
    """A number in the table: what it is sorted by, and what stands there."""

    value: str = ""
    text: str = _NO_VALUE
    title: str | None = None
    beside: str = ""
    alert: str = ""


_NOTHING = _Cell(title="")


class _Row(NamedTuple):
    """A row of the table; without a place, that of an entry that has no scores."""

    entry: Entry
    name: Sequence[str]
    test_set: str
    reason: str
    kind: str = ""
    key: str = ""
    place: int | None = None
    mark: str | None = None
    verdict: str = ""
    figures: Sequence[_Cell] = ()


class _GridCell(NamedTuple):
    text: str
    kind: str = ""
    title: str | None = None
    label: str = ""


class _Grid(NamedTuple):
    """A table of cells with a metric's name before each row; heads are pairs of a text and what it stands for."""

    heading: str
    what: str
    kind: str
    head: Sequence[tuple[str, str]]
    rows: Sequence[tuple[Sequence[str], Sequence[_GridCell]]]
    note: str = ""


def _rows(ranking: Ranking, number: int, names: Mapping[str, str], has_pairs: bool) -> list[_Row]:
    test_set = names[ranking.test_set.key]
    rows = []
    for place, entry in enumerate(ranking.scored):
        result = ranking.results[place] if ranking.results else None
        verdict = ranking.against_first(entry.metric)
        figures = _figures(result, has_pairs) if result else _agreement(ranking, place)
        rows.append(
            _Row(
                entry,
                _breakable(entry.metric),
                test_set,
                _reason(entry),
                kind="" if result else "chosen",
                key=f"{number} {place}" if result else "",
                place=place + 1,
                mark=MARKS[verdict] if place and verdict != "worse" else None,
                verdict=verdict,
                figures=[*figures, *_costs(entry)],
            )
        )
    unscored = (
        _Row(entry, _breakable(entry.metric), test_set, _reason(entry), "unscored") for entry in ranking.unscored
    )
    return [*rows, *unscored]


def _breakable(name: str) -> list[str]:
    """A metric's name in parts, between which a line may break."""
    return re.split(r"(?<=[:_])", name)


def _reason(entry: Entry) -> str:
    return " ".join(entry.reason.split())


def _figures(result: MetricResult, has_pairs: bool) -> list[_Cell]:
    evaluation = result.evaluation
    median = " median" if result.median_of else ""
    few = f" {evaluation.n:,} images only" if evaluation.left_out else ""
    return [
        _figure(result.figure("srcc"), median + few),
        *([_NOTHING] if has_pairs else []),
        _published(result),
        *(
            _figure(Figure(figure.value, math.nan, math.nan, figure.reason))
            for figure in map(result.figure, ("krcc", "fitted_plcc", "fitted_rmse"))
        ),
    ]


def _agreement(ranking: Ranking, place: int) -> list[_Cell]:
    preference = ranking.preferences[place].preference
    few = f" {preference.n:,} pairs only" if preference.left_out else ""
    return [_NOTHING, _figure(preference.agreement, few), *[_NOTHING] * 4]


def _figure(figure: Figure, note: str = "") -> _Cell:
    if math.isnan(figure.value):
        return _Cell(title=figure.reason)
    interval = "" if math.isnan(figure.low) else f" [{figure.low:.3f}, {figure.high:.3f}]"
    return _Cell(repr(float(figure.value)), _four(figure.value), beside=interval + note)


def _published(result: MetricResult) -> _Cell:
    """The published SRCC, and how far the measured one is from it."""
    if result.published is None:
        return _NOTHING
    value = result.published.srcc
    difference = f" ({result.evaluation.srcc.value - value:+.3f})"
    return _Cell(repr(value), _four(value), beside=difference, alert=" disagrees" if result.disagrees else "")


def _four(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1e5 else f"{value:.4g}"


def _costs(entry: Entry) -> list[_Cell]:
    cost = entry.cost
    return [
        _cost(cost.milliseconds, f"{cost.milliseconds or 0:.3g}" if (cost.milliseconds or 0) < 100 else ""),
        _cost(None if cost.memory is None else cost.memory / 1e6, ""),
        _cost(cost.parameters, f"{(cost.parameters or 0) / 1e6:.2f} M" if (cost.parameters or 0) >= 1e4 else ""),
        _cost(cost.gmacs, f"{cost.gmacs or 0:.3g}" if (cost.gmacs or 0) < 100 else ""),
    ]


def _cost(value: float | None, text: str) -> _Cell:
    return _NOTHING if value is None else _Cell(repr(value), text or f"{value:,.0f}")


def _heat_maps(rankings: Sequence[Ranking], names: Mapping[str, str]) -> list[_Grid]:
    grids = []
    for ranking in rankings:
        figures = {
            each.entry.metric: {"all": each.evaluation.srcc}
            | {str(kind): part.srcc for kind, part in each.by_distortion.parts.items()}
            for each in ranking.results
            if each.by_distortion is not None
        } | {
            each.entry.metric: {"all": each.preference.agreement}
            | {kind: part.agreement for kind, part in each.by_distortion.items()}
            for each in ranking.preferences
            if each.by_distortion
        }
        if not figures:
            continue
        head = [(kind, "") for kind in next(iter(figures.values()))]
        rows = [(_breakable(name), [_heat_cell(figure) for figure in row.values()]) for name, row in figures.items()]
        what = "2AFC" if ranking.preferences else "SRCC"
        grids.append(_Grid(_heading(ranking, names), f"{what} within each type of distortion", "heat", head, rows))
    return grids


def _heat_cell(figure: Figure) -> _GridCell:
    value = figure.value
    if math.isnan(value):
        return _GridCell(_NO_VALUE, "heat-none", figure.reason)
    tone = "cold" if value < 0 else str(min(9, int(value * 10)))
    return _GridCell(f"{value:.2f}", f"heat-{tone}")


def _matrices(rankings: Sequence[Ranking], names: Mapping[str, str]) -> list[_Grid]:
    grids = []
    for ranking in rankings:
        comparison = ranking.comparison
        if comparison is None:
            continue
        metrics = [entry.metric for entry in ranking.scored]
        head = [(str(place), name) for place, name in enumerate(metrics, start=1)]
        rows = [
            (_breakable(f"{place} {name}"), [_verdict_cell(comparison, name, other) for other in metrics])
            for place, name in enumerate(metrics, start=1)
        ]
        test = f"{_test(comparison)}, {_count(len(comparison.pairs), 'pair')}."
        grids.append(_Grid(_heading(ranking, names), "Significance of differences", "matrix", head, rows, test))
    return grids


def _verdict_cell(comparison: Comparison, name: str, other: str) -> _GridCell:
    if name == other:
        return _GridCell("", label="itself")
    verdict = comparison.verdict(name, other)
    pair = comparison.pairs.get((name, other)) or comparison.pairs[other, name]
    note = pair.reason if verdict == "untested" else f"adjusted p = {pair.adjusted:.2g}"
    return _GridCell(_SYMBOLS[verdict], f"is-{verdict}", note, verdict)


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
    distinct = dict.fromkeys(_test(ranking.comparison) for ranking in rankings if ranking.comparison)
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


def _test(comparison: Comparison) -> str:
    approximate = ", an approximation for this coefficient" if comparison.approximate else ""
    within = " within parts" if comparison.stratified else ""
    test = f"{comparison.test.capitalize()} test of {comparison.coefficient.upper()}{within}{approximate}"
    return f"{test}; Holm's correction, alpha = {comparison.alpha:g}"


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


def _names(test_sets: Sequence[TestSet]) -> dict[str, str]:
    """What test sets are called, by key: shortly, as long as that tells them apart."""
    called = [s.title for s in test_sets]
    return {s.key: s.title if called.count(s.title) == 1 else f"{s.title} ({s.split_hash})" for s in test_sets}


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
