"""The table of metrics × datasets for a paper: LaTeX with booktabs, its names escaped."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from topiq_metrics.leaderboard.ranking import MODES, Ranking
from topiq_metrics.leaderboard.summary import MARKS, Cell, Group, Mark, Measure, Row, Summary, summarize
from topiq_metrics.pages.text import visible

GROUPS_ACROSS = 6
"""Of columns; what is more is put below, as a table of its own under the same caption."""

_HEADS: dict[Measure, str] = {
    "srcc": "SRCC",
    "plcc": "PLCC",
    "fitted_plcc": r"PLCC$_\mathrm{fit}$",
    "agreement": "2AFC",
}
_SIGNS: dict[Mark, str] = {
    "tied": "=",
    "untested": "?",
    "better": ">",
    "this": r"\ddagger",
    "other part": r"\dagger",
    "partial": "*",
    "inverted": r"\downarrow",
}
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # Not \textquotedbl, which the default font encoding lacks.
    '"': r"{\char34}",
    "`": r"\textasciigrave{}",
    "[": "{[}",
    "]": "{]}",
    "–": "--",
    "×": r"$\times$",
    "−": r"$-$",
}


def as_latex(rankings: Sequence[Ranking]) -> str:
    """A ``table*`` for each mode, to be pasted into a paper that loads booktabs and graphicx."""
    head = "% \\usepackage{booktabs,graphicx}\n"
    return head + "\n".join(_table(summary) for summary in summarize(rankings))


def escaped(text: str) -> str:
    """Any text as LaTeX shows it, in one line."""
    plain = visible(" ".join(text.split()))
    signs = "".join(_ESCAPES.get(sign, sign) for sign in plain)
    # Two hyphens would become a dash.
    return re.sub("-(?=-)", "-{}", signs) if "--" in plain else signs


def _table(summary: Summary) -> str:
    count = len(summary.groups)
    blocks = [range(start, min(start + GROUPS_ACROSS, count)) for start in range(0, count, GROUPS_ACROSS)]
    return "\n".join(
        [
            r"\begin{table*}[t]",
            r"\centering",
            rf"\caption{{{_caption(summary)}}}",
            rf"\label{{tab:metrics-{summary.mode.lower()}}}",
            "\n\\\\[1ex]\n".join(_block(summary, block) for block in blocks),
            r"\end{table*}",
            "",
        ]
    )


def _block(summary: Summary, places: range) -> str:
    groups = [summary.groups[place] for place in places]
    first = 2
    over, rules = [], []
    for group in groups:
        width = len(group.measures)
        over.append(rf"\multicolumn{{{width}}}{{c}}{{{escaped(group.title)}}}")
        rules.append(rf"\cmidrule(lr){{{first}-{first + width - 1}}}")
        first += width
    heads = [_HEADS[measure] for group in groups for measure in group.measures]
    lines = [
        # As wide as it is, at most as wide as the page.
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        r"\setlength{\tabcolsep}{5pt}%",
        rf"\begin{{tabular}}{{l*{{{len(heads)}}}{{c}}}}",
        r"\toprule",
        f"& {' & '.join(over)} \\\\",
        " ".join(rules),
        f"Metric & {' & '.join(heads)} \\\\",
        r"\midrule",
        *(_row(row, groups, places) for row in summary.rows),
        r"\bottomrule",
        r"\end{tabular}}",
    ]
    return "\n".join(lines)


def _row(row: Row, groups: Sequence[Group], places: range) -> str:
    cells = [
        _figure(cell, digits)
        for place, group in zip(places, groups, strict=True)
        for cell, digits in zip(row.cells[place], group.digits, strict=True)
    ]
    return f"{escaped(row.metric)} & {' & '.join(cells)} \\\\"


def _figure(cell: Cell, digits: int) -> str:
    if math.isnan(cell.value):
        return "--"
    text = f"{cell.value:.{digits}f}".replace("-", "$-$")
    if cell.place:
        text = rf"\{'textbf' if cell.place == 1 else 'underline'}{{{text}}}"
    marks = "".join(_SIGNS[mark] for mark in cell.marks)
    # The sign takes no room, so that figures stand below each other.
    return rf"{text}\rlap{{$^{{{marks}}}$}}" if marks else text


def _caption(summary: Summary) -> str:
    sets = [
        f"{group.title} ({group.n:,} {'pairs' if group.test_set.pairs else 'images'}"
        f"{', a part of the set' if group.test_set.partial else ''})"
        for group in summary.groups
        if group.test_set is not None
    ]
    measures = {measure for group in summary.groups for measure in group.measures}
    fit = rf" {_HEADS['fitted_plcc']}: PLCC after a {escaped(summary.fit_in_words)} fit." * ("fitted_plcc" in measures)
    medians = f" Figures are medians over {' or '.join(f'{part}s' for part in summary.parts)}." if summary.parts else ""
    best = r" Best in bold, second underlined." if len(summary.rows) > 1 else ""
    marks = " ".join(f"${_SIGNS[mark]}$ {escaped(MARKS[mark][1])}." for mark in summary.marks)
    return (
        f"{MODES[summary.mode].capitalize()} metrics against human opinion on {escaped(', '.join(sets))}."
        f"{fit}{medians}{best}{' ' * bool(marks)}{marks}"
    )
