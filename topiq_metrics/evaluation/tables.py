"""A board as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from topiq_metrics.evaluation.board import Cost, Entry
from topiq_metrics.evaluation.judging import MARKS, MODES, Chosen, Judged, Standing, several_machines
from topiq_metrics.evaluation.preference import Preference
from topiq_metrics.evaluation.protocol import FIGURES, Figure

_COLUMNS = ("dataset", "split", "split_hash", "mode", "place", "metric", "toolbox", "status", "n", "left_out")
_AGREEMENT = ("agreement", "agreement_low", "agreement_high", "human_agreement", "undecided", "ties")
_COUNTED = {
    "votes": "people's votes that a metric agrees with",
    "majority": "pairs where a metric agrees with most people",
}
_PUBLISHED = ("published_srcc", "published_plcc", "disagrees_with_published")
_COSTS = ("milliseconds", "pixels", "memory", "parameters", "gmacs")


def as_csv(standings: Sequence[Standing]) -> str:
    """One line for each entry, with all figures and both ends of their intervals."""
    ends = [f"{name}{end}" for name in FIGURES for end in ("", "_low", "_high")]
    stream = io.StringIO()
    writer = csv.DictWriter(
        stream,
        [*_COLUMNS, "against_first", "median_of", *ends, *_AGREEMENT, *_PUBLISHED, *_COSTS, "reason"],
        lineterminator="\n",
    )
    writer.writeheader()
    for standing in standings:
        subject = standing.subject
        head = {
            "dataset": subject.dataset,
            "split": subject.split,
            "split_hash": subject.split_hash,
            "mode": standing.mode,
        }
        for place, judged in enumerate(standing.judged, start=1):
            row = {**head, **_ranked(standing, place, judged.entry)}
            row |= {"n": judged.evaluation.n, "left_out": judged.evaluation.left_out}
            row["median_of"] = judged.median_of
            if judged.published is not None:
                row |= {"published_srcc": judged.published.srcc, "published_plcc": judged.published.plcc}
                row["disagrees_with_published"] = judged.disagrees
            for name in FIGURES:
                figure = judged.figure(name)
                row |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
            writer.writerow({name: _plain(value) for name, value in row.items()})
        for place, chosen in enumerate(standing.chosen, start=1):
            row = {**head, **_ranked(standing, place, chosen.entry), **_agreement(chosen.preference)}
            writer.writerow({name: _plain(value) for name, value in row.items()})
        for entry in standing.others:
            writer.writerow({**head, **_named(entry)})
    return stream.getvalue()


def as_markdown(standings: Sequence[Standing]) -> str:
    """A table for each dataset and mode, best first."""
    return "\n".join(_section(standing) for standing in standings)


def _section(standing: Standing) -> str:
    subject = standing.subject
    part = ", a part of the set" if subject.partial else ""
    unit = "pairs" if subject.pairs else "images"
    lines = [
        f"## {_cell(subject.title)}: {MODES[standing.mode]}",
        "",
        f"{len(subject.ids)} {unit}{part}; split `{subject.split_hash}`. In brackets: bootstrap intervals.",
        "Beside a place: = cannot be told from the first, ? could not be tested, ▲ better by the test.",
        *(f"Figures are medians over {of}s." for of in {each.median_of for each in standing.judged} if of),
        "",
    ]
    if several := several_machines(standing):
        lines += [f"Times and memory are of several machines: {'; '.join(map(_cell, several))}.", ""]
    if standing.judged:
        lines += [
            "| | metric | SRCC | published | KRCC | PLCC, fitted | RMSE, fitted | ms/image | MB | parameters |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        lines += [_line(standing, place, judged) for place, judged in enumerate(standing.judged, start=1)]
        lines.append("")
    if standing.chosen:
        kinds = list(standing.chosen[0].by_distortion)
        human = standing.chosen[0].preference.human
        lines += [
            f"2AFC is the share of {_COUNTED[subject.pairs]}; the votes themselves, drawn at random: {human:.4f}.",
            "",
            f"| | metric | 2AFC | {''.join(f'{_cell(kind)} | ' for kind in kinds)}ms/image | MB | parameters |",
            f"|---|---|---|{'---|' * len(kinds)}---|---|---|",
        ]
        lines += [_chosen_line(standing, place, each) for place, each in enumerate(standing.chosen, start=1)]
        lines.append("")
    notes = [entry for entry in standing.ranking if entry.reason]
    if notes or standing.others:
        lines += ["| metric | status | reason |", "|---|---|---|"]
        lines += [
            f"| {_code(entry.metric)} | {entry.status} | {_cell(entry.reason)} |"
            for entry in (*notes, *standing.others)
        ]
        lines.append("")
    return "\n".join(lines)


def _line(standing: Standing, place: int, judged: Judged) -> str:
    cells = [
        *_place(standing, place, judged.entry),
        _figure(judged.figure("srcc")) + _few(judged.entry, judged.evaluation.n),
        _published(judged),
        _number(judged.figure("krcc").value),
        _figure(judged.figure("fitted_plcc")),
        _number(judged.figure("fitted_rmse").value),
        *_cost(judged.entry.cost),
    ]
    return f"| {' | '.join(cells)} |"


def _chosen_line(standing: Standing, place: int, chosen: Chosen) -> str:
    parts = [_number(part.agreement.value) for part in chosen.by_distortion.values()]
    cells = [
        *_place(standing, place, chosen.entry),
        _figure(chosen.preference.agreement) + _few(chosen.entry, chosen.preference.n),
        *parts,
        *_cost(chosen.entry.cost),
    ]
    return f"| {' | '.join(cells)} |"


def _place(standing: Standing, place: int, entry: Entry) -> tuple[str, str]:
    mark = MARKS[standing.against_first(entry.metric)] if place > 1 else ""
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


def _published(judged: Judged) -> str:
    """The published SRCC and how far the measured one is from it."""
    if judged.published is None:
        return ""
    difference = judged.evaluation.srcc.value - judged.published.srcc
    return f"{judged.published.srcc:.4f} ({difference:+.4f}{', **disagrees**' if judged.disagrees else ''})"


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


def _ranked(standing: Standing, place: int, entry: Entry) -> dict[str, Any]:
    costs = {name: getattr(entry.cost, name) for name in _COSTS}
    return {**_named(entry), "place": place, "against_first": standing.against_first(entry.metric), **costs}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
