"""A board as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from topiq_metrics.leaderboard.board import Cost, Entry
from topiq_metrics.leaderboard.ranking import MARKS, MODES, MetricResult, PreferenceResult, Ranking, several_machines
from topiq_metrics.statistics.preference import Preference
from topiq_metrics.statistics.protocol import FIGURES, Figure

_COLUMNS = ("dataset", "split", "split_hash", "mode", "place", "metric", "toolbox", "status", "n", "left_out")
_AGREEMENT = ("agreement", "agreement_low", "agreement_high", "human_agreement", "undecided", "ties")
_COUNTED = {
    "votes": "people's votes that a metric agrees with",
    "majority": "pairs where a metric agrees with most people",
}
_PUBLISHED = ("published_srcc", "published_plcc", "disagrees_with_published")
_COSTS = ("milliseconds", "pixels", "memory", "parameters", "gmacs")


def as_csv(rankings: Sequence[Ranking]) -> str:
    """One line for each entry, with all figures and both ends of their intervals."""
    ends = [f"{name}{end}" for name in FIGURES for end in ("", "_low", "_high")]
    stream = io.StringIO()
    writer = csv.DictWriter(
        stream,
        [*_COLUMNS, "against_first", "median_of", *ends, *_AGREEMENT, *_PUBLISHED, *_COSTS, "reason"],
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
                row["disagrees_with_published"] = result.disagrees
            for name in FIGURES:
                figure = result.figure(name)
                row |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
            writer.writerow({name: _plain(value) for name, value in row.items()})
        for place, chosen in enumerate(ranking.preferences, start=1):
            row = {**head, **_ranked(ranking, place, chosen.entry), **_agreement(chosen.preference)}
            writer.writerow({name: _plain(value) for name, value in row.items()})
        for entry in ranking.unscored:
            writer.writerow({**head, **_named(entry)})
    return stream.getvalue()


def as_markdown(rankings: Sequence[Ranking]) -> str:
    """A table for each dataset and mode, best first."""
    return "\n".join(_section(ranking) for ranking in rankings)


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
        lines += [
            "| | metric | SRCC | published | KRCC | PLCC, fitted | RMSE, fitted | ms/image | MB | parameters |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        lines += [_line(ranking, place, result) for place, result in enumerate(ranking.results, start=1)]
        lines.append("")
    if ranking.preferences:
        kinds = list(ranking.preferences[0].by_distortion)
        human = ranking.preferences[0].preference.human
        lines += [
            f"2AFC is the share of {_COUNTED[test_set.pairs]}; the votes themselves, drawn at random: {human:.4f}.",
            "",
            f"| | metric | 2AFC | {''.join(f'{_cell(kind)} | ' for kind in kinds)}ms/image | MB | parameters |",
            f"|---|---|---|{'---|' * len(kinds)}---|---|---|",
        ]
        lines += [_preference_line(ranking, place, each) for place, each in enumerate(ranking.preferences, start=1)]
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


def _line(ranking: Ranking, place: int, result: MetricResult) -> str:
    cells = [
        *_place(ranking, place, result.entry),
        _figure(result.figure("srcc")) + _few(result.entry, result.evaluation.n),
        _published(result),
        _number(result.figure("krcc").value),
        _figure(result.figure("fitted_plcc")),
        _number(result.figure("fitted_rmse").value),
        *_cost(result.entry.cost),
    ]
    return f"| {' | '.join(cells)} |"


def _preference_line(ranking: Ranking, place: int, result: PreferenceResult) -> str:
    parts = [_number(part.agreement.value) for part in result.by_distortion.values()]
    cells = [
        *_place(ranking, place, result.entry),
        _figure(result.preference.agreement) + _few(result.entry, result.preference.n),
        *parts,
        *_cost(result.entry.cost),
    ]
    return f"| {' | '.join(cells)} |"


def _place(ranking: Ranking, place: int, entry: Entry) -> tuple[str, str]:
    mark = MARKS[ranking.against_first(entry.metric)] if place > 1 else ""
    return f"{place} {mark}".strip(), _code(entry.metric)


def _cost(cost: Cost) -> tuple[str, str, str]:
    return (
        "" if cost.milliseconds is None else f"{cost.milliseconds:.0f}",
        "" if cost.memory is None else f"{cost.memory / 1e6:.0f}",
        _parameters(cost.parameters),
    )


def _parameters(number: int | None) -> str:
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
    interval = "" if math.isnan(figure.low) else f" [{figure.low:.3f}, {figure.high:.3f}]"
    return f"{figure.value:.4f}{interval}"


def _published(result: MetricResult) -> str:
    """The published SRCC and how far the measured one is from it."""
    if result.published is None:
        return ""
    difference = result.evaluation.srcc.value - result.published.srcc
    return f"{result.published.srcc:.4f} ({difference:+.4f}{', **disagrees**' if result.disagrees else ''})"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4f}"


def _cell(text: str) -> str:
    """A text as it is, whatever it holds."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def _code(text: str) -> str:
    """A text as code; nothing but its end and the cell's has a meaning there."""
    inside = " ".join(text.replace("|", r"\|").replace("`", "'").split())
    return f"`{inside}`"


def _named(entry: Any) -> dict[str, str]:
    return {name: getattr(entry, name) for name in ("metric", "toolbox", "status", "reason")}


def _ranked(ranking: Ranking, place: int, entry: Entry) -> dict[str, Any]:
    costs = {name: getattr(entry.cost, name) for name in _COSTS}
    return {**_named(entry), "place": place, "against_first": ranking.against_first(entry.metric), **costs}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
