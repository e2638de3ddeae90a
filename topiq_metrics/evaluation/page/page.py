"""One HTML file of a board: tables are written here and need no script; ``page.js`` sorts them and draws the plots."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from xml.etree import ElementTree as ET

import numpy as np

from topiq_metrics._version import __version__
from topiq_metrics.evaluation.board import SCHEMA, VERSION, Board, Entry, Subject
from topiq_metrics.evaluation.judging import MARKS, MODES, Judged, Standing, several_machines
from topiq_metrics.evaluation.protocol import Figure
from topiq_metrics.evaluation.significance import Comparison
from topiq_metrics.scoring.items import Encoded
from topiq_metrics.scoring.report.page import embed, fill, read_part, readable, visible
from topiq_metrics.scoring.report.thumbnails import Picture

Thumbnails = Callable[[Subject, Sequence[str]], Mapping[str, Encoded]]

MAX_POINTS = 3000
"""Of one scatter plot: of more images an even sample is drawn, and every outlier."""

TITLE = "Image quality metrics against human opinion"

OUTLIERS = 8
"""How many images are marked as farthest from a fit, at most; and at most a tenth of all."""

_CURVE_POINTS = 64
_DIGITS = 5
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
    standings: Sequence[Standing],
    *,
    thumbnails: Thumbnails | None = None,
    title: str = TITLE,
) -> str:
    """A board as one HTML file that asks for nothing else.

    Args:
        board: what was scored.
        standings: what `topiq_metrics.evaluation.judging.judge` made of it.
        thumbnails: is asked, once for each subject, for the images of the ids that are marked as outliers; gives
            those it can, as a path or as the bytes of a file. Only small copies of their pixels get into the page;
            what cannot be read is left out. None for a page without pictures.
        title: of the page; any text.
    """
    style = read_part("topiq_metrics.scoring.report", "page.css") + read_part(__package__, "page.css")
    names = _names(board.subjects)
    entries = [entry for standing in standings for entry in _entries(standing)]
    judged = [(str(place), standing) for place, standing in enumerate(standings) if standing.judged]
    parts = {
        "title": html.escape(visible(title)),
        "version": __version__,
        "span": f"{_count(len({entry.metric for entry in entries}), 'metric')} on {_count(len(names), 'dataset')}",
        "note": html.escape(_note(standings)),
        "datasets": _options(names.items()),
        "modes": _options((mode, MODES[mode]) for mode in MODES if any(entry.mode == mode for entry in entries)),
        "toolboxes": _options((name, name) for name in sorted({entry.toolbox for entry in entries})),
        "rows": _markup(_table(standings, names)),
        "entries": _markup(
            *(
                _el(
                    "optgroup",
                    {"label": _heading(standing, names)},
                    *(
                        _el("option", {"value": f"{place} {index}"}, each.entry.metric)
                        for index, each in enumerate(standing.judged)
                    ),
                )
                for place, standing in judged
            )
        ),
        "boards": _options((place, _heading(standing, names)) for place, standing in judged),
        "distortions": _markup(*_heat_maps(standings, names)),
        "significance": _markup(*_matrices(standings, names)),
        "provenance": _markup(*_provenance(board, standings, names)),
        "data": embed(_plots(board, standings, names, thumbnails)),
    }
    return fill(__package__, style, parts)


def _el(tag: str, attributes: Mapping[str, str] | None = None, *children: ET.Element | str) -> ET.Element:
    """An element; texts are escaped when it is written, whatever they hold."""
    node = ET.Element(tag, {name: visible(value) for name, value in (attributes or {}).items()})
    last: ET.Element | None = None
    for child in children:
        if isinstance(child, ET.Element):
            node.append(child)
            last = child
        elif last is None:
            node.text = (node.text or "") + visible(child)
        else:
            last.tail = (last.tail or "") + visible(child)
    return node


def _markup(*nodes: ET.Element) -> str:
    return "\n".join(ET.tostring(node, encoding="unicode", method="html") for node in nodes)


def _options(pairs: Iterable[tuple[str, str]]) -> str:
    return _markup(*(_el("option", {"value": value}, text) for value, text in pairs))


def _table(standings: Sequence[Standing], names: Mapping[str, str]) -> ET.Element:
    has_pairs = any(standing.chosen for standing in standings)
    columns = [column for column in _COLUMNS if has_pairs or column != _AGREEMENT]
    head = [
        _el("th", {"scope": "col", "class": "numeric"} if numeric else {"scope": "col"}, name)
        for name, numeric in columns
    ]
    rows = []
    for number, standing in enumerate(standings):
        rows += [_scored_row(standing, number, place, names, has_pairs) for place in range(len(standing.judged))]
        rows += [_chosen_row(standing, place, names) for place in range(len(standing.chosen))]
        for entry in standing.others:
            # In place of all figures, so that the reason is the first thing to be seen.
            span = str(sum(numeric for _, numeric in columns))
            why = _el("td", {"colspan": span}, _el("span", {"class": "why"}, _status(entry), f" {_reason(entry)}"))
            cells = [why, *_word_cells(entry, names, _el("td", {}, _status(entry)))]
            rows.append(_el("tr", {**_filters(entry), "class": "unscored"}, _name_cell(entry.metric), *cells))
    caption = _el("caption", {}, "One row for each metric on each dataset, best first.")
    return _el("table", {}, caption, _el("thead", {}, _el("tr", {}, *head)), _el("tbody", {}, *rows))


def _scored_row(standing: Standing, number: int, place: int, names: Mapping[str, str], has_pairs: bool) -> ET.Element:
    judged = standing.judged[place]
    cells = [
        _figure_cell(judged.figure("srcc"), _reservation(judged)),
        *([_figure_cell(None, "")] if has_pairs else []),
        _published_cell(judged),
        *(
            _figure_cell(Figure(figure.value, math.nan, math.nan, figure.reason), "")
            for figure in map(judged.figure, ("krcc", "fitted_plcc", "fitted_rmse"))
        ),
    ]
    return _row(standing, place, names, cells, {"data-entry": f"{number} {place}"})


def _chosen_row(standing: Standing, place: int, names: Mapping[str, str]) -> ET.Element:
    preference = standing.chosen[place].preference
    few = f" {preference.n:,} pairs only" if preference.left_out else ""
    cells = [
        _figure_cell(None, ""),
        _figure_cell(preference.agreement, few),
        *(_figure_cell(None, "") for _ in ("published", "KRCC", "PLCC", "RMSE")),
    ]
    return _row(standing, place, names, cells, {"class": "chosen"})


def _row(
    standing: Standing, place: int, names: Mapping[str, str], figures: Sequence[ET.Element], attributes: dict[str, str]
) -> ET.Element:
    entry = standing.ranking[place]
    verdict = standing.against_first(entry.metric)
    note: list[ET.Element | str] = []
    if place and verdict != "worse":
        note = [f" {MARKS[verdict]}", _el("span", {"class": "unseen"}, f" {verdict}, against the first")]
    status = _el("td", {"class": "reason" if entry.reason else ""}, _status(entry), f" {_reason(entry)}")
    cells = [
        _el("td", {"class": "numeric", "data-value": str(place + 1)}, str(place + 1), *note),
        *figures,
        *_cost_cells(entry),
        *_word_cells(entry, names, status),
    ]
    return _el("tr", {**_filters(entry), **attributes}, _name_cell(entry.metric), *cells)


def _reservation(judged: Judged) -> str:
    evaluation = judged.evaluation
    median = " median" if judged.median_of else ""
    return median + (f" {evaluation.n:,} images only" if evaluation.left_out else "")


def _filters(entry: Entry) -> dict[str, str]:
    return {"data-dataset": entry.subject, "data-mode": entry.mode, "data-toolbox": entry.toolbox}


def _name_cell(name: str) -> ET.Element:
    first, *others = re.split(r"(?<=[:_])", name)
    parts = [part for other in others for part in (_el("wbr"), other)]
    return _el("th", {"scope": "row"}, first, *parts)


def _figure_cell(figure: Figure | None, note: str) -> ET.Element:
    if figure is None or math.isnan(figure.value):
        return _el("td", {"class": "numeric", "data-value": "", "title": figure.reason if figure else ""}, _NO_VALUE)
    interval = "" if math.isnan(figure.low) else f" [{figure.low:.3f}, {figure.high:.3f}]"
    beside = [_el("span", {"class": "muted"}, interval + note)] if interval or note else []
    return _el("td", {"class": "numeric", "data-value": repr(float(figure.value))}, _four(figure.value), *beside)


def _published_cell(judged: Judged) -> ET.Element:
    """The published SRCC, and how far the measured one is from it."""
    if judged.published is None:
        return _figure_cell(None, "")
    value = judged.published.srcc
    difference = f" ({judged.evaluation.srcc.value - value:+.3f})"
    beside = [_el("span", {"class": "muted"}, difference)]
    if judged.disagrees:
        beside.append(_el("strong", {}, " disagrees"))
    return _el("td", {"class": "numeric", "data-value": repr(value)}, _four(value), *beside)


def _four(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1e5 else f"{value:.4g}"


def _cost_cells(entry: Entry) -> list[ET.Element]:
    cost = entry.cost
    return [
        _cost_cell(cost.milliseconds, f"{cost.milliseconds or 0:.3g}" if (cost.milliseconds or 0) < 100 else ""),
        _cost_cell(None if cost.memory is None else cost.memory / 1e6, ""),
        _cost_cell(cost.parameters, f"{(cost.parameters or 0) / 1e6:.2f} M" if (cost.parameters or 0) >= 1e4 else ""),
        _cost_cell(cost.gmacs, f"{cost.gmacs or 0:.3g}" if (cost.gmacs or 0) < 100 else ""),
    ]


def _cost_cell(value: float | None, text: str) -> ET.Element:
    if value is None:
        return _figure_cell(None, "")
    return _el("td", {"class": "numeric", "data-value": repr(value)}, text or f"{value:,.0f}")


def _word_cells(entry: Entry, names: Mapping[str, str], status: ET.Element) -> list[ET.Element]:
    return [
        _el("td", {}, entry.mode),
        _el("td", {"class": "words"}, names[entry.subject]),
        _el("td", {"class": "words"}, entry.toolbox),
        status,
    ]


def _status(entry: Entry) -> ET.Element:
    return _el("span", {"class": f"mark is-{entry.status}"}, entry.status)


def _reason(entry: Entry) -> str:
    return " ".join(entry.reason.split())


def _heat_maps(standings: Sequence[Standing], names: Mapping[str, str]) -> list[ET.Element]:
    parts = []
    for standing in standings:
        figures = {
            each.entry.metric: {"all": each.evaluation.srcc}
            | {str(kind): part.srcc for kind, part in each.by_distortion.parts.items()}
            for each in standing.judged
            if each.by_distortion is not None
        } | {
            each.entry.metric: {"all": each.preference.agreement}
            | {kind: part.agreement for kind, part in each.by_distortion.items()}
            for each in standing.chosen
            if each.by_distortion
        }
        if not figures:
            continue
        head = [_el("th", {"scope": "col", "class": "matrix-head"}, kind) for kind in next(iter(figures.values()))]
        rows = [(name, [_heat_cell(figure) for figure in row.values()]) for name, row in figures.items()]
        what = "2AFC" if standing.chosen else "SRCC"
        parts.append(_cells(standing, names, f"{what} within each type of distortion", head, rows, "heat"))
    return parts or [_el("p", {"class": "muted"}, "There are no scores of images with types of distortion.")]


def _heat_cell(figure: Figure) -> ET.Element:
    value = figure.value
    if math.isnan(value):
        return _el("td", {"class": "heat-none", "title": figure.reason}, _NO_VALUE)
    tone = "cold" if value < 0 else str(min(9, int(value * 10)))
    return _el("td", {"class": f"heat-{tone}"}, f"{value:.2f}")


def _matrices(standings: Sequence[Standing], names: Mapping[str, str]) -> list[ET.Element]:
    parts = []
    for standing in standings:
        comparison = standing.comparison
        if comparison is None:
            continue
        metrics = [entry.metric for entry in standing.ranking]
        head = [
            _el(
                "th", {"scope": "col", "class": "matrix-head"}, _el("abbr", {"title": name, "aria-label": name}, str(i))
            )
            for i, name in enumerate(metrics, start=1)
        ]
        rows = [
            (f"{place} {name}", [_verdict_cell(comparison, name, other) for other in metrics])
            for place, name in enumerate(metrics, start=1)
        ]
        part = _cells(standing, names, "Significance of differences", head, rows, "matrix")
        test = f"{_test(comparison)}, {_count(len(comparison.pairs), 'pair')}."
        part.insert(1, _el("p", {"class": "muted"}, test))
        parts.append(part)
    if not parts:
        return [_el("p", {"class": "muted"}, "There are no two metrics with scores to compare.")]
    legend = [
        _el("li", {}, _el("span", {"class": f"key is-{verdict}"}, symbol), verdict)
        for verdict, symbol in _SYMBOLS.items()
    ]
    return [*parts, _el("ul", {"class": "legend"}, *legend)]


def _verdict_cell(comparison: Comparison, name: str, other: str) -> ET.Element:
    if name == other:
        return _el("td", {"aria-label": "itself"})
    verdict = comparison.verdict(name, other)
    pair = comparison.pairs.get((name, other)) or comparison.pairs[other, name]
    note = pair.reason if verdict == "untested" else f"adjusted p = {pair.adjusted:.2g}"
    return _el("td", {"class": f"is-{verdict}", "title": note, "aria-label": verdict}, _SYMBOLS[verdict])


def _cells(
    standing: Standing,
    names: Mapping[str, str],
    what: str,
    head: Sequence[ET.Element],
    rows: Sequence[tuple[str, Sequence[ET.Element]]],
    kind: str,
) -> ET.Element:
    """A heading and a table with a metric's name before each row, in a box that scrolls."""
    heading = _heading(standing, names)
    table = _el(
        "table",
        {"class": f"cells {kind}"},
        _el("caption", {}, f"{what}: {heading}"),
        _el("thead", {}, _el("tr", {}, _el("th", {"scope": "col"}, "metric"), *head)),
        _el("tbody", {}, *(_el("tr", {}, _name_cell(name), *cells) for name, cells in rows)),
    )
    box = {"class": "scroller", "role": "region", "aria-label": f"{what}: {heading}", "tabindex": "0"}
    return _el("div", {"class": "part"}, _el("h3", {}, heading), _el("div", box, table))


def _provenance(board: Board, standings: Sequence[Standing], names: Mapping[str, str]) -> list[ET.Element]:
    protocol = {"schema": f"{SCHEMA}, version {VERSION}", **_protocol(standings)}
    about = {names[subject.key]: _about(subject) for subject in board.subjects}
    parts = []
    for standing in standings:
        details = []
        for entry in _entries(standing):
            facts = {**entry.provenance}
            if entry.cost.pixels is not None:
                facts["timed on"] = f"images of {entry.cost.pixels} pixels"
            if facts:
                details.append(_el("details", {}, _el("summary", {}, _el("span", {}, entry.metric)), _facts(facts)))
        if details:
            heading = _el("h3", {}, _heading(standing, names))
            parts.append(_el("div", {"class": "part"}, heading, _el("div", {"class": "groups"}, *details)))
    return [_facts({"board": protocol, **about}), *parts]


def _protocol(standings: Sequence[Standing]) -> dict[str, object]:
    distinct = dict.fromkeys(_test(standing.comparison) for standing in standings if standing.comparison)
    tests: dict[str, object] = {"test": "; ".join(distinct) or None}
    judged = [each for standing in standings for each in standing.judged]
    if not judged:
        return tests
    evaluation = judged[0].evaluation
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


def _about(subject: Subject) -> dict[str, object]:
    return {
        "dataset": subject.dataset,
        "split": subject.split,
        "split hash": subject.split_hash,
        "seed": subject.seed,
        "pairs" if subject.pairs else "images": len(subject.ids),
        "complete": not subject.partial,
        "opinion": "higher is better" if subject.higher_is_better else "lower is better (DMOS)",
        "citation": subject.citation,
        "license": subject.license,
        **({"2AFC": f"by {subject.pairs}"} if subject.pairs else {}),
    }


def _facts(facts: Mapping[str, object]) -> ET.Element:
    return _fact_list(readable(facts))


def _fact_list(pairs: object) -> ET.Element:
    nodes = []
    for name, value in pairs if isinstance(pairs, list) else []:
        nested = isinstance(value, list)
        text = _el("dd", {}, _fact_list(value)) if nested else _el("dd", {"class": "plain"}, value)
        nodes += [_el("dt", {}, name), text]
    return _el("dl", {"class": "facts"}, *nodes)


def _plots(
    board: Board, standings: Sequence[Standing], names: Mapping[str, str], thumbnails: Thumbnails | None
) -> dict[str, object]:
    subjects: dict[str, object] = {}
    drawn: list[dict[str, object]] = []
    samples: dict[str, list[int]] = {}
    for subject in board.subjects:
        if subject.pairs:
            continue
        judged = [each for standing in standings if standing.subject.key == subject.key for each in standing.judged]
        marked = sorted({index for each in judged for index in _outliers(subject, each)})
        samples[subject.key] = sample = _sample(len(subject.ids), marked)
        subjects[subject.key] = {
            "name": visible(names[subject.key]),
            "scale": "opinion score (MOS)" if subject.higher_is_better else "opinion score (DMOS)",
            "count": len(subject.ids),
            "ids": [visible(subject.ids[index]) for index in sample],
            "mos": [_rounded(subject.mos[index]) for index in sample],
            "pictures": _pictures(subject, marked, sample, thumbnails),
        }
    for standing in standings:
        sample = samples.get(standing.subject.key, [])
        drawn.append(
            {
                "subject": standing.subject.key,
                "entries": [_drawn(standing.subject, each, sample) for each in standing.judged],
            }
        )
    return {"subjects": subjects, "standings": drawn}


def _drawn(subject: Subject, judged: Judged, sample: Sequence[int]) -> dict[str, object]:
    entry, fit, srcc = judged.entry, judged.evaluation.fit, judged.figure("srcc")
    places = {index: place for place, index in enumerate(sample)}
    scores = [score for score in entry.scores if score is not None]
    curve = None
    if fit.exists:
        x = np.linspace(min(scores), max(scores), _CURVE_POINTS)
        curve = [[_rounded(a), _rounded(b)] for a, b in zip(x, fit(x), strict=True)]
    cost = entry.cost
    return {
        "name": visible(entry.metric),
        "toolbox": visible(entry.toolbox),
        "srcc": _rounded(srcc.value, 4),
        "low": _rounded(srcc.low, 4),
        "high": _rounded(srcc.high, 4),
        "cost": [_rounded(cost.milliseconds), cost.parameters, _rounded(cost.gmacs), cost.memory],
        "scores": [_rounded(entry.scores[index]) for index in sample],
        "outliers": [places[index] for index in _outliers(subject, judged)],
        "curve": curve,
    }


def _outliers(subject: Subject, judged: Judged) -> list[int]:
    """The images farthest from the fit, the farthest first."""
    fit = judged.evaluation.fit
    if not fit.exists:
        return []
    x, y = (np.asarray(column, dtype=np.float64) for column in (judged.entry.scores, subject.mos))
    distances = np.nan_to_num(np.abs(fit(x) - y), nan=-1.0)
    count = min(OUTLIERS, max(1, judged.evaluation.n // 10))
    return [int(index) for index in np.argsort(-distances, kind="stable")[:count]]


def _sample(count: int, marked: Sequence[int]) -> list[int]:
    """Which images are drawn: all, or those that are marked and an even sample of the others."""
    if count <= MAX_POINTS:
        return list(range(count))
    even = np.linspace(0, count - 1, max(0, MAX_POINTS - len(marked))).round().astype(int)
    return sorted({*marked, *even.tolist()})


def _pictures(
    subject: Subject, marked: Sequence[int], sample: Sequence[int], thumbnails: Thumbnails | None
) -> dict[int, str]:
    if thumbnails is None or not marked:
        return {}
    files = thumbnails(subject, [subject.ids[index] for index in marked])
    places = {index: place for place, index in enumerate(sample)}
    pictures = {places[i]: Picture(files[subject.ids[i]]).uri for i in marked if subject.ids[i] in files}
    return {place: uri for place, uri in pictures.items() if uri is not None}


def _entries(standing: Standing) -> list[Entry]:
    return [*standing.ranking, *standing.others]


def _names(subjects: Sequence[Subject]) -> dict[str, str]:
    """What subjects are called, by key: shortly, as long as that tells them apart."""
    called = [s.title for s in subjects]
    return {s.key: s.title if called.count(s.title) == 1 else f"{s.title} ({s.split_hash})" for s in subjects}


def _heading(standing: Standing, names: Mapping[str, str]) -> str:
    return f"{names[standing.subject.key]}: {MODES[standing.mode]}"


def _note(standings: Sequence[Standing]) -> str:
    bootstrap = next((each.evaluation.bootstrap for standing in standings for each in standing.judged), None)
    interval = f"In brackets: {bootstrap.confidence:.0%} bootstrap intervals. " if bootstrap else ""
    parts = dict.fromkeys(f"{each.median_of}s" for standing in standings for each in standing.judged if each.median_of)
    medians = f" Where it says median, figures are medians over {' or '.join(parts)}." if parts else ""
    several = sorted({machine for standing in standings for machine in several_machines(standing)})
    machines = f" Times and memory are of several machines: {'; '.join(several)}." if several else ""
    marks = "Beside a place: = cannot be told from the first, ? could not be tested, ▲ better by the test."
    return f"{interval}{marks}{medians}{machines}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _rounded(value: float | None, digits: int = _DIGITS) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.{digits}g}")
