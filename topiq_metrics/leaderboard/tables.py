"""A board as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from topiq_metrics.leaderboard.board import Cost, Entry
from topiq_metrics.leaderboard.ranking import MARKS as RANK_MARKS
from topiq_metrics.leaderboard.ranking import MODES, MetricResult, PreferenceResult, Ranking, several_machines
from topiq_metrics.leaderboard.summary import (
    MARKS,
    MEASURES,
    Cell,
    Summary,
    advantages,
    interval_of,
    learned_from,
    legend,
    names_of_all,
    summarize,
)
from topiq_metrics.statistics.preference import Preference
from topiq_metrics.statistics.protocol import FIGURES, Figure

ShownCost: TypeAlias = Callable[[Cost], str]

_COLUMNS = ("dataset", "split", "split_hash", "mode", "place", "metric", "toolbox", "status", "n", "left_out")
_AGREEMENT = ("agreement", "agreement_low", "agreement_high", "human_agreement", "undecided", "ties")
_COUNTED = {
    "votes": "people's votes that a metric agrees with",
    "majority": "pairs where a metric agrees with most people",
}
_PUBLISHED = ("published_srcc", "published_plcc", "disagrees_with_published", "disagrees_on", "inverted")
_COSTS = ("milliseconds", "cpu_seconds", "load", "cores", "pixels", "memory", "parameters", "gmacs")
_LEARNED = ("trained_on", "learned_from", "citation", "url")


def as_csv(rankings: Sequence[Ranking]) -> str:
    """CSV with one line for each entry: all figures and both ends of their confidence intervals."""
    ends = [f"{name}{end}" for name in FIGURES for end in ("", "_low", "_high")]
    stream = io.StringIO()
    writer = csv.DictWriter(
        stream,
        [*_COLUMNS, "against_first", "median_of", *ends, *_AGREEMENT, *_PUBLISHED, *_COSTS, *_LEARNED, "reason"],
        lineterminator="\n",
    )
    writer.writeheader()
    for ranking in rankings:
        test_set = ranking.test_set
        head = {
            "dataset": test_set.dataset,
            "split": test_set.split,
            "split_hash": test_set.split_hash,
            "mode": ranking.mode,
        }
        for place, result in enumerate(ranking.results, start=1):
            row = {**head, **_ranked(ranking, place, result.entry)}
            row |= {"n": result.evaluation.n, "left_out": result.evaluation.left_out}
            row["median_of"] = result.median_of
            if result.published is not None:
                row |= {"published_srcc": result.published.srcc, "published_plcc": result.published.plcc}
                row |= {"disagrees_with_published": result.disagrees, "disagrees_on": " ".join(result.disagrees_on)}
            row["inverted"] = result.inverted
            for name in FIGURES:
                figure = result.figure(name)
                row |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
            writer.writerow({name: _plain(value) for name, value in row.items()})
        for place, chosen in enumerate(ranking.preferences, start=1):
            row = {**head, **_ranked(ranking, place, chosen.entry), **_agreement(chosen.preference)}
            row["inverted"] = chosen.inverted
            writer.writerow({name: _plain(value) for name, value in row.items()})
        for entry in ranking.unscored:
            writer.writerow({**head, **_named(entry)})
    return stream.getvalue()


def summary_as_csv(rankings: Sequence[Ranking]) -> str:
    """The table of metrics × datasets: one line for each metric, and beside each figure what is to be said of it."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for number, summary in enumerate(summarize(rankings)):
        if number:
            stream.write("\n")
        heads = [
            f"{group.title}: {MEASURES[measure]}{end}"
            for group in summary.groups
            for measure in group.measures
            for end in ("", " (remark)")
        ]
        writer.writerow(["metric", "toolbox", "mode", "learned_from", *heads])
        for row in summary.rows:
            cells = [each for group in row.cells for cell in group for each in (_plain(cell.value), _remark(cell))]
            writer.writerow([row.metric, row.toolbox, summary.mode, row.learned, *cells])
    return stream.getvalue()


def _remark(cell: Cell) -> str:
    place = {1: ["best"], 2: ["second"]}.get(cell.place, [])
    return "; ".join([*place, *(MARKS[mark][1] for mark in cell.marks), *([cell.reason] if cell.reason else [])])


def as_markdown(rankings: Sequence[Ranking]) -> str:
    """Markdown: a table of metrics × datasets, then one with all figures for each dataset and mode, best first."""
    names = names_of_all(rankings)
    notices = "".join(f"**{_cell(sentence)}**\n\n" for sentence in advantages(rankings, names))
    return "\n".join([*(f"{_summary(each)}\n{notices}" for each in summarize(rankings)), *map(_section, rankings)])


def _summary(summary: Summary) -> str:
    heads = [
        MEASURES[measure] if place else f"{_cell(group.title)}: {MEASURES[measure]}"
        for group in summary.groups
        for place, measure in enumerate(group.measures)
    ]
    lines = [
        f"## {summary.title}",
        "",
        " ".join(legend(summary)),
        "",
        f"| metric | learned from | {' | '.join(heads)} |",
        f"|---|---|{'---|' * len(heads)}",
    ]
    for row in summary.rows:
        cells = [
            _summary_cell(cell, digits)
            for group, of in zip(summary.groups, row.cells, strict=True)
            for cell, digits in zip(of, group.digits, strict=True)
        ]
        lines.append(f"| {_code(row.metric)} | {_cell(row.learned)} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _summary_cell(cell: Cell, digits: int) -> str:
    if math.isnan(cell.value):
        return "–"
    text = f"{cell.value:.{digits}f}"
    text = {1: f"**{text}**", 2: f"<ins>{text}</ins>"}.get(cell.place, text)
    return " ".join([text, *("".join(MARKS[mark][0] for mark in cell.marks),) * bool(cell.marks)])


def _section(ranking: Ranking) -> str:
    test_set = ranking.test_set
    part = ", a part of the set" if test_set.partial else ""
    unit = "pairs" if test_set.pairs else "images"
    lines = [
        f"## {_cell(test_set.title)}: {MODES[ranking.mode]}",
        "",
        f"{len(test_set.ids)} {unit}{part}; split `{test_set.split_hash}`. In brackets: bootstrap intervals.",
        "Beside a place: = cannot be told from the first, ? could not be tested, ▲ better by the test.",
        *(f"Figures are medians over {of}s." for of in {each.median_of for each in ranking.results} if of),
        "",
    ]
    if several := several_machines(ranking):
        lines += [f"Times and memory are of several machines: {'; '.join(map(_cell, several))}.", ""]
    if ranking.results:
        costs = _known_costs(ranking)
        heads = ["", "metric", "learned from", "SRCC", "published", "KRCC", "PLCC", "published", "PLCC, fitted"]
        lines += [_table_line([*heads, "RMSE, fitted", *costs]), f"|{'---|' * (len(heads) + 1 + len(costs))}"]
        lines += [_line(ranking, place, result, costs) for place, result in enumerate(ranking.results, start=1)]
        lines.append("")
    if ranking.preferences:
        costs = _known_costs(ranking)
        kinds = list(ranking.preferences[0].by_distortion)
        human = ranking.preferences[0].preference.human
        lines += [
            f"2AFC is the share of {_COUNTED[test_set.pairs]}; the votes themselves, drawn at random: {human:.4f}.",
            "",
            _table_line(["", "metric", "learned from", "2AFC", *map(_cell, kinds), *costs]),
            f"|{'---|' * (4 + len(kinds) + len(costs))}",
        ]
        lines += [
            _preference_line(ranking, place, each, costs) for place, each in enumerate(ranking.preferences, start=1)
        ]
        lines.append("")
    notes = [entry for entry in ranking.scored if entry.reason]
    if notes or ranking.unscored:
        lines += ["| metric | status | reason |", "|---|---|---|"]
        lines += [
            f"| {_code(entry.metric)} | {entry.status} | {_cell(entry.reason)} |"
            for entry in (*notes, *ranking.unscored)
        ]
        lines.append("")
    return "\n".join(lines)


def _line(ranking: Ranking, place: int, result: MetricResult, costs: Mapping[str, ShownCost]) -> str:
    published = result.published
    cells = [
        *_place(ranking, place, result.entry),
        _figure(result.figure("srcc")) + _few(result.entry, result.evaluation.n) + _inverted(result),
        "" if published is None else _published(published.srcc, result.evaluation.srcc, "srcc" in result.disagrees_on),
        _number(result.figure("krcc").value),
        _figure(result.figure("plcc")),
        "" if published is None else _published(published.plcc, result.evaluation.plcc, "plcc" in result.disagrees_on),
        _figure(result.figure("fitted_plcc")),
        _number(result.figure("fitted_rmse").value),
        *(show(result.entry.cost) for show in costs.values()),
    ]
    return _table_line(cells)


def _preference_line(ranking: Ranking, place: int, result: PreferenceResult, costs: Mapping[str, ShownCost]) -> str:
    parts = [_number(part.agreement.value) for part in result.by_distortion.values()]
    cells = [
        *_place(ranking, place, result.entry),
        _figure(result.preference.agreement) + _few(result.entry, result.preference.n) + _inverted(result),
        *parts,
        *(show(result.entry.cost) for show in costs.values()),
    ]
    return _table_line(cells)


def _table_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _place(ranking: Ranking, place: int, entry: Entry) -> tuple[str, str, str]:
    mark = RANK_MARKS[ranking.against_first(entry.metric)] if place > 1 else ""
    learned = _cell(learned_from(entry))
    if entry.trained_on.knows_the_set:
        learned += " (**this set**)" if entry.trained_on.relation == "this" else " (**its other part**)"
    return f"{place} {mark}".strip(), _code(entry.metric), learned


def _known_costs(ranking: Ranking) -> dict[str, ShownCost]:
    """The columns of costs: those that boards of earlier versions lack only where something is known."""
    costs = [entry.cost for entry in ranking.scored]
    columns: dict[str, ShownCost] = {"ms/image": _milliseconds}
    if any(cost.cpu_seconds is not None for cost in costs):
        columns["CPU ms"] = _cpu
    if any(cost.load is not None for cost in costs):
        columns["load of cores"] = load_of
    return {**columns, "MB": _megabytes, "parameters": _parameters}


def _milliseconds(cost: Cost) -> str:
    return "" if cost.milliseconds is None else f"{cost.milliseconds:.0f}"


def _cpu(cost: Cost) -> str:
    return "" if cost.cpu_seconds is None else f"{1e3 * cost.cpu_seconds:.0f}"


def load_of(cost: Cost) -> str:
    """What else the machine did while the clock ran: processes, of how many cores."""
    if cost.load is None:
        return ""
    return f"{cost.load:.1f}" if cost.cores is None else f"{cost.load:.1f} of {cost.cores}"


def _megabytes(cost: Cost) -> str:
    return "" if cost.memory is None else f"{cost.memory / 1e6:.0f}"


def _parameters(cost: Cost) -> str:
    number = cost.parameters
    if number is None:
        return ""
    return f"{number / 1e6:.1f} M" if number >= 1e5 else str(number)


def _agreement(preference: Preference) -> dict[str, Any]:
    figure = preference.agreement
    values = figure.value, figure.low, figure.high, preference.human, preference.undecided, preference.ties
    return {"n": preference.n, "left_out": preference.left_out, **dict(zip(_AGREEMENT, values, strict=True))}


def _few(entry: Entry, n: int) -> str:
    return f" (of {n} only)" if entry.status == "partial" else ""


def _figure(figure: Figure) -> str:
    if math.isnan(figure.value):
        return f"– ({_cell(figure.reason)})"
    return f"{figure.value:.4f}{interval_of(figure)}"


def _published(published: float, measured: Figure, disagrees: bool) -> str:
    """What was published, and how far the measured one is from it."""
    return f"{published:.4f} ({measured.value - published:+.4f}{', **disagrees**' if disagrees else ''})"


def _inverted(result: MetricResult | PreferenceResult) -> str:
    return " inverted" if result.inverted else ""


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4f}"


def _cell(text: str) -> str:
    """A text as it is, whatever it holds."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def _code(text: str) -> str:
    """A text as code; nothing but its end and the cell's has a meaning there."""
    inside = " ".join(text.replace("|", r"\|").replace("`", "'").split())
    return f"`{inside}`"


def _named(entry: Entry) -> dict[str, str]:
    names = {name: getattr(entry, name) for name in ("metric", "toolbox", "status", "reason")}
    names |= {"trained_on": entry.trained_on.relation, "learned_from": learned_from(entry)}
    if entry.citation is not None:
        names |= {"citation": entry.citation.text, "url": entry.citation.url}
    return names


def _ranked(ranking: Ranking, place: int, entry: Entry) -> dict[str, Any]:
    costs = {name: getattr(entry.cost, name) for name in _COSTS}
    return {**_named(entry), "place": place, "against_first": ranking.against_first(entry.metric), **costs}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
