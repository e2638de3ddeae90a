"""The tables of a board's page, cell by cell, as its template shows them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from topiq_metrics.leaderboard.board import Cost, Entry, TestSet
from topiq_metrics.leaderboard.papers import Citation
from topiq_metrics.leaderboard.ranking import MARKS as RANK_MARKS
from topiq_metrics.leaderboard.ranking import MetricResult, PreferenceResult, Ranking
from topiq_metrics.leaderboard.summary import (
    MARKS,
    MEASURES,
    Cell,
    Summary,
    interval_of,
    learned_from,
    legend,
)
from topiq_metrics.leaderboard.tables import load_of
from topiq_metrics.statistics.protocol import Figure
from topiq_metrics.statistics.significance import Comparison

SYMBOLS = {"better": "▲", "worse": "▼", "tied": "=", "untested": "·"}
_NO_VALUE = "–"
_RELATIONS = {
    "this": "this set",
    "other part": "its other part",
    "others": "others",
    "nothing": "nothing learned",
    "unknown": "unknown",
}


class FigureCell(NamedTuple):
    """A number in a table: what it is sorted by, and what stands there; ``place`` 1 is the best, 2 the second."""

    value: str = ""
    text: str = _NO_VALUE
    title: str | None = None
    beside: str = ""
    alert: str = ""
    place: int = 0
    marks: Sequence[tuple[str, str]] = ()


_NOTHING = FigureCell(title="")


class WordCell(NamedTuple):
    text: str
    beside: str = ""
    title: str = ""
    alert: bool = False


class BoardRow(NamedTuple):
    """A row of the table of all figures: an entry that has scores."""

    entry: Entry
    name: Sequence[str]
    test_set: int
    toolbox: int
    key: str
    reason: str
    cells: Sequence[FigureCell | WordCell]
    paper: int | None


class BoardTable(NamedTuple):
    """All figures; columns are pairs of a head and whether numbers stand below it."""

    columns: Sequence[tuple[str, bool]]
    rows: Sequence[BoardRow]


class SummaryRow(NamedTuple):
    name: Sequence[str]
    metric: str
    learned: str
    toolbox: int
    statuses: str
    cells: Sequence[FigureCell]


class SummaryTable(NamedTuple):
    """Metrics × datasets.

    Groups are a head, its width, and the number of its test set, or nothing for a mean; columns are a head, that number
    again, and whether a group begins there.
    """

    title: str
    mode: str
    notes: Sequence[str]
    groups: Sequence[tuple[str, int, str]]
    columns: Sequence[tuple[str, str, bool]]
    rows: Sequence[SummaryRow]


class Unscored(NamedTuple):
    """A metric without scores, on the test sets of these numbers."""

    entry: Entry
    name: Sequence[str]
    toolbox: int
    reason: str
    numbers: str
    on: str


class UnscoredGroup(NamedTuple):
    """Metrics that have no scores for one kind of reason, of which names are left out."""

    status: str
    reason: str
    members: Sequence[Unscored]


class GridCell(NamedTuple):
    text: str
    kind: str = ""
    title: str | None = None
    label: str = ""


class Grid(NamedTuple):
    """A table of cells with a metric's name before each row; heads are pairs of a text and what it stands for."""

    heading: str
    what: str
    kind: str
    head: Sequence[tuple[str, str]]
    rows: Sequence[tuple[Sequence[str], Sequence[GridCell]]]
    note: str = ""


def breakable(name: str) -> list[str]:
    """A metric's name in parts, between which a line may break."""
    return re.split(r"(?<=[:_])", name)


def summary_table(summary: Summary, numbers: Mapping[str, int], toolboxes: Sequence[str]) -> SummaryTable:
    """The table of one mode; ``numbers`` are those of the test sets by key."""
    of = [str(numbers[group.test_set.key]) if group.test_set else "" for group in summary.groups]
    return SummaryTable(
        summary.title,
        summary.mode,
        legend(summary),
        [(group.title, len(group.measures), number) for group, number in zip(summary.groups, of, strict=True)],
        [
            (MEASURES[measure], number, not place)
            for group, number in zip(summary.groups, of, strict=True)
            for place, measure in enumerate(group.measures)
        ],
        [
            SummaryRow(
                breakable(row.metric),
                row.metric,
                row.learned,
                toolboxes.index(row.toolbox),
                " ".join(row.statuses),
                [
                    _summary_cell(cell, digits)
                    for group, cells in zip(summary.groups, row.cells, strict=True)
                    for cell, digits in zip(cells, group.digits, strict=True)
                ],
            )
            for row in summary.rows
        ],
    )


def _summary_cell(cell: Cell, digits: int) -> FigureCell:
    if math.isnan(cell.value):
        return FigureCell(title=cell.reason)
    interval = interval_of(Figure(cell.value, cell.low, cell.high)).strip()
    return FigureCell(
        repr(float(cell.value)),
        f"{cell.value:.{digits}f}",
        interval or None,
        place=cell.place,
        marks=[MARKS[mark] for mark in cell.marks],
    )


def board_table(
    rankings: Sequence[Ranking],
    names: Mapping[str, str],
    toolboxes: Sequence[str],
    papers: Mapping[Citation, int],
) -> BoardTable:
    """All figures of all entries that have scores, in the order of the rankings."""
    numbers = {key: number for number, key in enumerate(names)}
    ranked: list[tuple[Ranking, int, int, Result]] = []
    for number, ranking in enumerate(rankings):
        results: list[Result] = [*ranking.results, *ranking.preferences]
        ranked += [(ranking, number, place, result) for place, result in enumerate(results)]
    columns = _columns(rankings, names)
    rows = [
        BoardRow(
            result.entry,
            breakable(result.entry.metric),
            numbers[ranking.test_set.key],
            toolboxes.index(result.entry.toolbox),
            f"{number} {place}" if isinstance(result, MetricResult) else "",
            _reason(result.entry),
            [make(ranking, place, result) for _, _, make in columns],
            papers.get(result.entry.citation) if result.entry.citation else None,
        )
        for ranking, number, place, result in ranked
    ]
    return BoardTable([(head, is_number) for head, is_number, _ in columns], rows)


Result: TypeAlias = "MetricResult | PreferenceResult"
_Column: TypeAlias = "tuple[str, bool, Callable[[Ranking, int, Result], FigureCell | WordCell]]"


def _columns(rankings: Sequence[Ranking], names: Mapping[str, str]) -> list[_Column]:
    """Those in which something stands: what is the same in all rows is in the head of the page."""
    entries = [entry for ranking in rankings for entry in ranking.scored]
    results = [result for ranking in rankings for result in ranking.results]
    pairs = any(ranking.preferences for ranking in rankings)
    images = bool(results) or not pairs
    published = any(result.published for result in results)
    columns: list[tuple[bool, _Column]] = [
        (len(names) > 1, ("dataset", False, lambda ranking, _, __: WordCell(names[ranking.test_set.key]))),
        (len({entry.mode for entry in entries}) > 1, ("mode", False, lambda ranking, _, __: WordCell(ranking.mode))),
        (True, ("place", True, _place)),
        (True, ("trained on", False, lambda _, __, result: _learned(result.entry))),
        (images, ("SRCC", True, _srcc)),
        (published, ("published SRCC", True, lambda _, __, result: _published(result, "srcc"))),
        (images, ("PLCC", True, lambda _, __, result: _of(result, "plcc"))),
        (published, ("published PLCC", True, lambda _, __, result: _published(result, "plcc"))),
        (images, ("PLCC, fitted", True, lambda _, __, result: _of(result, "fitted_plcc"))),
        (images, ("KRCC", True, lambda _, __, result: _of(result, "krcc", with_interval=False))),
        (images, ("RMSE, fitted", True, lambda _, __, result: _of(result, "fitted_rmse", with_interval=False))),
        (pairs, ("2AFC", True, _agreement)),
        (True, ("ms/image", True, lambda _, __, result: _milliseconds(result.entry.cost))),
        (_any(entries, "cpu_seconds"), ("CPU, ms", True, lambda _, __, result: _cpu(result.entry.cost))),
        (_any(entries, "load"), ("load", True, lambda _, __, result: _load(result.entry.cost))),
        (True, ("memory, MB", True, lambda _, __, result: _memory(result.entry.cost))),
        (True, ("parameters", True, lambda _, __, result: _parameters(result.entry.cost))),
        (True, ("GMACs", True, lambda _, __, result: _gmacs(result.entry.cost))),
        (True, ("toolbox", False, lambda _, __, result: WordCell(result.entry.toolbox))),
    ]
    return [column for shown, column in columns if shown]


def _any(entries: Sequence[Entry], name: str) -> bool:
    return any(getattr(entry.cost, name) is not None for entry in entries)


def _place(ranking: Ranking, place: int, result: Result) -> FigureCell:
    verdict = ranking.against_first(result.entry.metric)
    marks = [(RANK_MARKS[verdict], f"{verdict}, against the first")] if place and verdict != "worse" else []
    return FigureCell(str(place + 1), str(place + 1), marks=marks)


def _learned(entry: Entry) -> WordCell:
    training = entry.trained_on
    told = " ".join(filter(None, (training.note, training.source and f"Source: {training.source}.")))
    sets = learned_from(entry) if training.datasets else ""
    return WordCell(_RELATIONS[training.relation], sets, told, training.knows_the_set)


def _srcc(_: Ranking, __: int, result: Result) -> FigureCell:
    if isinstance(result, PreferenceResult):
        return _NOTHING
    median = " median" if result.median_of else ""
    few = f" {result.evaluation.n:,} images only" if result.evaluation.left_out else ""
    return _figure(result.figure("srcc"), median + few, result.inverted)


def _of(result: Result, name: str, *, with_interval: bool = True) -> FigureCell:
    if isinstance(result, PreferenceResult):
        return _NOTHING
    figure = result.figure(name)
    return _figure(figure if with_interval else Figure(figure.value, math.nan, math.nan, figure.reason))


def _agreement(_: Ranking, __: int, result: Result) -> FigureCell:
    if isinstance(result, MetricResult):
        return _NOTHING
    few = f" {result.preference.n:,} pairs only" if result.preference.left_out else ""
    return _figure(result.preference.agreement, few, result.inverted)


def _figure(figure: Figure, note: str = "", inverted: bool = False) -> FigureCell:
    if math.isnan(figure.value):
        return FigureCell(title=figure.reason)
    alert = " inverted" if inverted else ""
    return FigureCell(repr(float(figure.value)), _four(figure.value), beside=interval_of(figure) + note, alert=alert)


def _published(result: Result, name: str) -> FigureCell:
    """What was published, and how far the measured figure is from it."""
    if isinstance(result, PreferenceResult) or result.published is None:
        return _NOTHING
    value: float = getattr(result.published, name)
    measured: Figure = getattr(result.evaluation, name)
    alert = " disagrees" if name in result.disagrees_on else ""
    return FigureCell(repr(value), _four(value), beside=f" ({measured.value - value:+.4f})", alert=alert)


def _four(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1e5 else f"{value:.4g}"


def _milliseconds(cost: Cost) -> FigureCell:
    return _cost(cost.milliseconds)


def _cpu(cost: Cost) -> FigureCell:
    return _cost(None if cost.cpu_seconds is None else 1e3 * cost.cpu_seconds)


def _load(cost: Cost) -> FigureCell:
    return _NOTHING if cost.load is None else FigureCell(repr(cost.load), load_of(cost))


def _memory(cost: Cost) -> FigureCell:
    return _cost(None if cost.memory is None else cost.memory / 1e6, precise=False)


def _parameters(cost: Cost) -> FigureCell:
    number = cost.parameters
    text = f"{number / 1e6:.2f} M" if number and number >= 1e4 else ""
    return _cost(number, text, precise=False)


def _gmacs(cost: Cost) -> FigureCell:
    return _cost(cost.gmacs)


def _cost(value: float | None, text: str = "", *, precise: bool = True) -> FigureCell:
    if value is None:
        return _NOTHING
    return FigureCell(repr(value), text or (f"{value:.3g}" if precise and value < 100 else f"{value:,.0f}"))


def unscored_groups(
    rankings: Sequence[Ranking], names: Mapping[str, str], toolboxes: Sequence[str]
) -> list[UnscoredGroup]:
    """The entries without scores by status and kind of reason, the largest group first."""
    numbers = {key: number for number, key in enumerate(names)}
    kinds: dict[tuple[str, str], dict[tuple[str, str], list[Entry]]] = {}
    for ranking in rankings:
        for entry in ranking.unscored:
            members = kinds.setdefault((entry.status, _kind_of(entry, ranking.test_set)), {})
            members.setdefault((entry.metric, _reason(entry)), []).append(entry)
    groups = []
    for (status, kind), members in kinds.items():
        reasons = {reason for _, reason in members}
        shared = next(iter(reasons)) if len(reasons) == 1 else kind
        rows = [
            Unscored(
                entries[0],
                breakable(metric),
                toolboxes.index(entries[0].toolbox),
                "" if reason == shared else reason,
                " ".join(str(numbers[entry.test_set]) for entry in entries),
                _on([entry.test_set for entry in entries], names),
            )
            for (metric, reason), entries in sorted(members.items())
        ]
        groups.append(UnscoredGroup(status, shared, rows))
    return sorted(groups, key=lambda group: (-len(group.members), group.status, group.reason))


def _kind_of(entry: Entry, test_set: TestSet) -> str:
    """A reason without the names in it: of the metric, the test set, files, addresses and packages."""
    own = sorted({entry.metric, entry.metric.rpartition(":")[2], test_set.name}, key=len, reverse=True)
    named = re.sub(rf"(?<!\w)(?:{'|'.join(map(re.escape, own))})(?!\w)", "…", _reason(entry))
    return re.sub(r"(?:\S*\w[./_\\:@\d]\w\S*|\b\d\S*)(?<![.,;:)])", "…", named)


def _on(keys: Sequence[str], names: Mapping[str, str]) -> str:
    return "" if len(keys) == len(names) else ", ".join(names[key] for key in keys)


def _reason(entry: Entry) -> str:
    return " ".join(entry.reason.split())


def heat_map(ranking: Ranking, heading: str) -> Grid | None:
    """Agreement within each type of distortion; None where there are no types."""
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
        return None
    head = [(kind, "") for kind in next(iter(figures.values()))]
    rows = [(breakable(name), [_heat_cell(figure) for figure in row.values()]) for name, row in figures.items()]
    what = "2AFC" if ranking.preferences else "SRCC"
    return Grid(heading, f"{what} within each type of distortion", "heat", head, rows)


def _heat_cell(figure: Figure) -> GridCell:
    value = figure.value
    if math.isnan(value):
        return GridCell(_NO_VALUE, "heat-none", figure.reason)
    tone = "cold" if value < 0 else str(min(9, int(value * 10)))
    return GridCell(f"{value:.2f}", f"heat-{tone}")


def matrix(ranking: Ranking, heading: str) -> Grid | None:
    """What is told from what; None where there is nothing to compare."""
    comparison = ranking.comparison
    if comparison is None:
        return None
    metrics = [entry.metric for entry in ranking.scored]
    head = [(str(place), name) for place, name in enumerate(metrics, start=1)]
    rows = [
        (breakable(f"{place} {name}"), [_verdict_cell(comparison, name, other) for other in metrics])
        for place, name in enumerate(metrics, start=1)
    ]
    pairs = len(comparison.pairs)
    test = f"{describe_test(comparison)}, {pairs:,} pair{'' if pairs == 1 else 's'}."
    return Grid(heading, "Significance of differences", "matrix", head, rows, test)


def describe_test(comparison: Comparison) -> str:
    """The test, in words."""
    approximate = ", an approximation for this coefficient" if comparison.approximate else ""
    within = " within parts" if comparison.stratified else ""
    test = f"{comparison.test.capitalize()} test of {comparison.coefficient.upper()}{within}{approximate}"
    return f"{test}; Holm's correction, alpha = {comparison.alpha:g}"


def _verdict_cell(comparison: Comparison, name: str, other: str) -> GridCell:
    if name == other:
        return GridCell("", label="itself")
    verdict = comparison.verdict(name, other)
    pair = comparison.pairs.get((name, other)) or comparison.pairs[other, name]
    note = pair.reason if verdict == "untested" else f"adjusted p = {pair.adjusted:.2g}"
    return GridCell(SYMBOLS[verdict], f"is-{verdict}", note, verdict)
