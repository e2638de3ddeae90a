"""Metrics × datasets as data: the one table that HTML, Markdown, CSV and LaTeX render."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from topiq_metrics.leaderboard.board import Entry, TestSet
from topiq_metrics.leaderboard.ranking import MODES, MetricResult, PreferenceResult, Ranking
from topiq_metrics.statistics.protocol import Figure

Measure: TypeAlias = Literal["srcc", "plcc", "fitted_plcc", "agreement"]
MEASURES: dict[Measure, str] = {
    "srcc": "SRCC",
    "plcc": "PLCC",
    "fitted_plcc": "PLCC, fitted",
    "agreement": "2AFC",
}
"""What a column of figures is called."""

NARROW = 0.01
"""An interval narrower than this is shown with four digits, any other with three."""

Mark: TypeAlias = Literal["tied", "untested", "better", "this", "other part", "partial", "inverted"]
MARKS: dict[Mark, tuple[str, str]] = {
    "tied": ("=", "cannot be told from the first by the test of SRCC"),
    "untested": ("?", "could not be tested against the first"),
    "better": ("▲", "better than the first by the test"),
    "this": ("‡", "trained on this set, or may have been"),
    "other part": ("†", "trained on another part of this set"),
    "partial": ("*", "of some of the images only"),
    "inverted": ("↓", "goes the other way than it is said to"),
}
"""Beside a figure: the sign, and what it says."""

_OF_IMAGES: tuple[Measure, ...] = ("srcc", "plcc", "fitted_plcc")
_OF_PAIRS: tuple[Measure, ...] = ("agreement",)


@dataclass(frozen=True)
class Group:
    """Columns that stand together under one head: those of a test set, or of a mean over test sets.

    Attributes:
        title: the head.
        measures: a column each.
        digits: after the point, of each column.
        test_set: None for a mean.
        n: images, or pairs; 0 for a mean.
    """

    title: str
    measures: tuple[Measure, ...]
    digits: tuple[int, ...]
    test_set: TestSet | None
    n: int


@dataclass(frozen=True)
class Cell:
    """A figure of a metric.

    Attributes:
        value: NaN where there is none.
        low: end of its interval, NaN where there is none.
        high: the other end.
        reason: why there is no value.
        place: 1 for the best of the column, 2 for the second, else 0.
        marks: what else is to be said of it.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    reason: str = ""
    place: int = 0
    marks: tuple[Mark, ...] = ()

    @property
    def competes(self) -> bool:
        """Whether it can have a place: it is of all images, and its metric goes the way that it is said to."""
        return not math.isnan(self.value) and not {"partial", "inverted"} & set(self.marks)


@dataclass(frozen=True)
class Row:
    """A metric; ``cells`` are those of each group in turn, and ``learned`` is what it was trained on."""

    metric: str
    toolbox: str
    learned: str
    statuses: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Summary:
    """The table of one mode.

    Attributes:
        mode: ``"NR"`` or ``"FR"``.
        groups: of columns: the test sets, then the mean and the mean weighted by size, if there are several sets.
        rows: the best first: by mean SRCC (of pairs, 2AFC), those that lack a test set or images last.
        fit: the logistic of ``fitted_plcc``, or ``""``.
        parts: ``"scene"``, ``"distortion"`` or ``"split"`` where figures are medians over these.
    """

    mode: str
    groups: tuple[Group, ...]
    rows: tuple[Row, ...]
    fit: str = ""
    parts: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"{MODES[self.mode].capitalize()} metrics"

    @property
    def fit_in_words(self) -> str:
        return re.sub(r"logistic(\d)", r"\1-parameter logistic", self.fit)

    @property
    def marks(self) -> list[Mark]:
        """Those that are in the table."""
        used = {mark for row in self.rows for group in row.cells for cell in group for mark in cell.marks}
        return [mark for mark in MARKS if mark in used]


def names_of(test_sets: Sequence[TestSet]) -> dict[str, str]:
    """What test sets are called, by key: shortly, as long as that tells them apart."""
    called = [s.title for s in test_sets]
    return {s.key: s.title if called.count(s.title) == 1 else f"{s.title} ({s.split_hash})" for s in test_sets}


def names_of_all(rankings: Sequence[Ranking]) -> dict[str, str]:
    """What the test sets of rankings are called, by key."""
    return names_of(list({ranking.test_set.key: ranking.test_set for ranking in rankings}.values()))


def legend(summary: Summary) -> list[str]:
    """What the table does not say by itself, a sentence each."""
    sentences = []
    if len(summary.rows) > 1:
        sentences.append("Best in bold, second underlined.")
    if any("fitted_plcc" in group.measures for group in summary.groups):
        sentences.append(f"PLCC of the scores as they are, and after a {summary.fit_in_words} fit.")
    if summary.parts:
        sentences.append(f"Figures are medians over {' or '.join(f'{part}s' for part in summary.parts)}.")
    sentences += [f"{sign} {text}." for sign, text in map(MARKS.__getitem__, summary.marks)]
    return sentences


def learned_from(entry: Entry) -> str:
    """The datasets whose opinion scores a metric was trained on, in words."""
    training = entry.trained_on
    if training.relation in ("nothing", "unknown"):
        return "nothing learned" if training.relation == "nothing" else "unknown"
    return ", ".join(training.datasets)


def advantages(rankings: Sequence[Ranking], names: Mapping[str, str]) -> list[str]:
    """A sentence for each ranking in which metrics were trained on the set that they are tested on."""
    sentences = []
    for ranking in rankings:
        knowing = [
            (f"{entry.metric}{', in first place,' * (place == 0)}", entry.trained_on.relation)
            for place, entry in enumerate(ranking.scored)
            if entry.trained_on.knows_the_set
        ]
        said = [
            f"{_listed([name for name, of in knowing if of == relation])} {what}"
            for relation, what in (("this", "learned from this set"), ("other part", "learned from its other part"))
            if any(of == relation for _, of in knowing)
        ]
        if said:
            sentences.append(f"{names[ranking.test_set.key]}: {'; '.join(said)}.")
    return sentences


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def digits_of(figure: Figure | Cell) -> int:
    """How many digits after the point the ends of an interval need."""
    return 4 if figure.high - figure.low < NARROW else 3


def interval_of(figure: Figure) -> str:
    """The interval in brackets, after a blank; nothing where there is none."""
    if math.isnan(figure.low):
        return ""
    digits = digits_of(figure)
    return f" [{figure.low:.{digits}f}, {figure.high:.{digits}f}]"


def summarize(rankings: Sequence[Ranking]) -> list[Summary]:
    """A table for each mode in which something has scores."""
    names = names_of_all(rankings)
    return [
        _summary(mode, ranked, names)
        for mode in MODES
        if (ranked := [each for each in rankings if each.mode == mode and each.scored])
    ]


def _summary(mode: str, rankings: Sequence[Ranking], names: Mapping[str, str]) -> Summary:
    columns = [_columns(ranking) for ranking in rankings]
    metrics = list(dict.fromkeys(entry.metric for ranking in rankings for entry in ranking.scored))
    entries = [{entry.metric: entry for entry in (*ranking.scored, *ranking.unscored)} for ranking in rankings]
    measures = [_OF_PAIRS if ranking.test_set.pairs else _OF_IMAGES for ranking in rankings]
    groups = [
        Group(names[ranking.test_set.key], of, _digits(cells, of), ranking.test_set, len(ranking.test_set.ids))
        for ranking, of, cells in zip(rankings, measures, columns, strict=True)
    ]
    absent = [
        {metric: (Cell(math.nan, reason=_why_absent(of.get(metric))),) * len(group.measures) for metric in metrics}
        for of, group in zip(entries, groups, strict=True)
    ]
    table = [{**without, **cells} for without, cells in zip(absent, columns, strict=True)]
    for title, weighted in (("Mean", False), ("Mean, weighted by size", True)):
        if (mean := _mean(groups[: len(rankings)], table[: len(rankings)], metrics, title, weighted)) is not None:
            groups.append(mean[0])
            table.append(mean[1])
    table = [_placed(cells) for cells in table]

    def order(metric: str) -> tuple[int, float, str]:
        leading = [cells[metric][0] for cells in table[: len(rankings)]]
        known = [cell.value for cell in leading if not math.isnan(cell.value)]
        lacking = sum("partial" in cell.marks or math.isnan(cell.value) for cell in leading)
        return lacking, -sum(known) / len(known) if known else math.inf, metric

    rows = [
        Row(
            metric,
            next(of[metric].toolbox for of in entries if metric in of),
            learned_from(next(of[metric] for of in entries if metric in of)),
            tuple(dict.fromkeys(of[metric].status for of in entries if metric in of)),
            tuple(cells[metric] for cells in table),
        )
        for metric in sorted(metrics, key=order)
    ]
    results = [result for ranking in rankings for result in ranking.results]
    fit = next((result.evaluation.fit.name for result in results), "")
    parts = tuple(dict.fromkeys(result.median_of for result in results if result.median_of))
    return Summary(mode, tuple(groups), tuple(rows), fit, parts)


def _columns(ranking: Ranking) -> dict[str, tuple[Cell, ...]]:
    """The cells of a test set, by metric."""
    cells: dict[str, tuple[Cell, ...]] = {}
    for place, each in enumerate(ranking.results):
        rest = [_cell(each.figure(measure), _reservations(each)) for measure in _OF_IMAGES[1:]]
        cells[each.entry.metric] = _cell(each.figure("srcc"), _marks(ranking, place, each)), *rest
    for place, chosen in enumerate(ranking.preferences):
        cells[chosen.entry.metric] = (_cell(chosen.preference.agreement, _marks(ranking, place, chosen)),)
    return cells


def _marks(ranking: Ranking, place: int, result: MetricResult | PreferenceResult) -> tuple[Mark, ...]:
    entry = result.entry
    marks: list[Mark] = []
    verdict = ranking.against_first(entry.metric)
    if place and verdict != "worse":
        marks.append(verdict)
    if entry.trained_on.relation in ("this", "other part"):
        marks.append(entry.trained_on.relation)
    return *marks, *_reservations(result)


def _reservations(result: MetricResult | PreferenceResult) -> tuple[Mark, ...]:
    """What holds for all figures of a metric."""
    found: dict[Mark, bool] = {"partial": result.entry.status == "partial", "inverted": result.inverted}
    return tuple(mark for mark, holds in found.items() if holds)


def _cell(figure: Figure, marks: tuple[Mark, ...]) -> Cell:
    missing = math.isnan(figure.value)
    return Cell(figure.value, figure.low, figure.high, figure.reason if missing else "", marks=() if missing else marks)


def _why_absent(entry: Entry | None) -> str:
    return "not on this board" if entry is None else f"{entry.status}: {' '.join(entry.reason.split())}"


def _digits(cells: dict[str, tuple[Cell, ...]], measures: Sequence[Measure]) -> tuple[int, ...]:
    """Of each column: figures that stand together have as many digits as the narrowest of their intervals needs."""
    return (max((digits_of(cell) for row in cells.values() for cell in row), default=3),) * len(measures)


def _mean(
    groups: Sequence[Group],
    table: Sequence[dict[str, tuple[Cell, ...]]],
    metrics: Sequence[str],
    title: str,
    weighted: bool,
) -> tuple[Group, dict[str, tuple[Cell, ...]]] | None:
    """The columns of a mean over test sets; None where no figure is of several of them."""
    measures = [measure for measure in MEASURES if sum(measure in group.measures for group in groups) > 1]
    if not measures:
        return None
    digits = []
    cells: dict[str, list[Cell]] = {metric: [] for metric in metrics}
    for measure in measures:
        places = [(i, group.measures.index(measure)) for i, group in enumerate(groups) if measure in group.measures]
        digits.append(max(groups[i].digits[j] for i, j in places))
        weights = [groups[i].n if weighted else 1 for i, _ in places]
        for metric in metrics:
            of = [table[i][metric][j] for i, j in places]
            lacking = [groups[i].title for (i, _), cell in zip(places, of, strict=True) if math.isnan(cell.value)]
            if lacking:
                cells[metric].append(Cell(math.nan, reason=f"no figure on {', '.join(lacking)}"))
                continue
            total = sum(weight * cell.value for weight, cell in zip(weights, of, strict=True))
            marks = tuple(dict.fromkeys(mark for cell in of for mark in cell.marks if mark in ("partial", "inverted")))
            cells[metric].append(Cell(total / sum(weights), marks=marks))
    return Group(title, tuple(measures), tuple(digits), None, 0), {name: tuple(row) for name, row in cells.items()}


def _placed(cells: Mapping[str, tuple[Cell, ...]]) -> dict[str, tuple[Cell, ...]]:
    """The same cells, of which the best and the second of each column say so."""
    width = len(next(iter(cells.values()), ()))
    columns = []
    for place in range(width):
        best = sorted({row[place].value for row in cells.values() if row[place].competes}, reverse=True)[:2]
        columns.append({value: rank for rank, value in enumerate(best, start=1)} if len(best) > 1 else {})
    return {
        metric: tuple(
            replace(cell, place=ranks.get(cell.value, 0)) if cell.competes else cell
            for cell, ranks in zip(row, columns, strict=True)
        )
        for metric, row in cells.items()
    }
