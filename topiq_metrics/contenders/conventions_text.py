"""Conventions as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields

from topiq_metrics.contenders.conventions import (
    DATE,
    ERROR,
    MEANINGS,
    REPOSITORIES,
    TESTED,
    VARIES,
    Convention,
    Value,
    toolbox_of,
)

FACTS = ("range", "colour", "downsampling", "border", "edge", "batch", "sample", "equal", "flat", "black", "symmetric")
"""The fields of a convention that tables have a column for, beside its metric and what that is the name of."""
_HEADS = {
    "sample": "noisy picture",
    "downsampling": "shrinks",
    "equal": "equal images",
    "flat": "flat grey",
    "symmetric": "symmetric",
}
_OF_NETWORKS = ("downsampling", "batch", "equal", "symmetric")

_INTRODUCTION = """\
# Same name, other number

Metrics of one name give different numbers in different toolboxes: they take luma or RGB, shrink large images or not,
and fill borders in ways of their own. This is what each makes of an image when it is called as a
[board](leaderboard.md) calls it: with its toolbox's defaults, and told the range of the values where it can be. Who
reports such a number does well to name the toolbox and its release.

Of {date}: {versions}.

What is said of metrics without weights was measured in these releases, but for borders and notes;
`topiq leaderboard conventions --check` measures it in what you have installed. The rest was read in the source.

*This page is what `topiq leaderboard conventions -o conventions.md` writes.*
"""
_SAMPLE = """\
The noisy picture has 192 × 192 pixels of 8 bits: waves, patches with edges, and uniform noise of ±0.05, ±0.1 and ±0.15
on R, G and B (`topiq_metrics.contenders.probes.noisy_picture`).
"""
_LEGEND = """\
- **border**: what windows and filters meet there. **edge**: how much an outermost pixel counts beside one inside.
- **equal images**, **flat grey**, **black**: the score of such an image and itself, or, without a reference, of it
  alone; `uncertain` where one grey scores other than another.
- **symmetric**: image and reference can be swapped.

Boards score one image at a time, whatever a toolbox makes of batches.
"""


def head_of(field: str) -> str:
    """What the column of a field is called."""
    return _HEADS.get(field, field)


def in_words(field: str, value: Value | str | bool | None) -> str:
    """A fact as tables show it; nothing where it is not known."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return {VARIES: "uncertain", ERROR: "fails"}.get(value, value)
    text = f"{value:.2f}" if field == "edge" else f"{value:.0f}" if 1e4 <= value < math.inf else f"{value:.4g}"
    return {"inf": "∞", "nan": "NaN"}.get(text, text)


def as_csv(conventions: Sequence[Convention]) -> str:
    """A line for each metric, with all that is known of it; infinite and not a number are ``inf`` and ``nan``."""
    stream = io.StringIO()
    names = [field.name for field in fields(Convention)]
    writer = csv.DictWriter(stream, ["toolbox", "release", *names], lineterminator="\n")
    writer.writeheader()
    for each in conventions:
        toolbox = toolbox_of(each)
        writer.writerow({"toolbox": toolbox, "release": TESTED[toolbox], **asdict(each)})
    return stream.getvalue()


def as_json(conventions: Sequence[Convention]) -> str:
    """All that is known, with the releases and the date; infinite and not a number are ``"inf"`` and ``"nan"``."""
    rows = [
        {name: str(value) if isinstance(value, float) and not math.isfinite(value) else value for name, value in row}
        for row in (asdict(each).items() for each in conventions)
    ]
    document = {"date": DATE, "releases": _releases(conventions), "meanings": MEANINGS, "conventions": rows}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def as_markdown(conventions: Sequence[Convention]) -> str:
    """A page: what words mean, a table of metrics that need no weights, one of networks, and notes and sources."""
    computed = [each for each in conventions if not each.needs_weights]
    networks = [each for each in conventions if each.needs_weights]
    versions = ", ".join(f"{toolbox} {version}" for toolbox, version in _releases(conventions).items())
    parts = [_INTRODUCTION.format(date=DATE, versions=versions)]
    if computed:
        parts += ["## Metrics without weights\n", _table(computed, FACTS), _legend(computed), _notes(computed)]
    if networks:
        parts += [
            "## Networks\n\nAll take RGB in [0, 1]. `shrinks` is what they see of an image.\n",
            _table(networks, _OF_NETWORKS, with_note=True),
        ]
    parts.append(_sources(conventions))
    return "\n".join(parts)


def _releases(conventions: Sequence[Convention]) -> dict[str, str]:
    used = {toolbox_of(each) for each in conventions}
    return {toolbox: version for toolbox, version in TESTED.items() if toolbox in used}


def _table(conventions: Sequence[Convention], columns: Sequence[str], *, with_note: bool = False) -> str:
    heads = ["name", "metric", *map(head_of, columns), *(["note"] if with_note else [])]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    before = ""
    for each in conventions:
        # Those of one name are below each other.
        name, before = ("" if each.measure == before else each.measure), each.measure
        cells = [name, f"`{each.metric}`", *(in_words(field, getattr(each, field)) for field in columns)]
        lines.append(f"| {' | '.join([*cells, *([each.note] if with_note else [])])} |")
    return "\n".join(lines) + "\n"


def _legend(conventions: Sequence[Convention]) -> str:
    lines = [_SAMPLE]
    for field, meanings in MEANINGS.items():
        used = {getattr(each, field) for each in conventions}
        words = "; ".join(f"`{word}`: {meaning}" for word, meaning in meanings.items() if word in used)
        lines.append(f"- **{head_of(field)}**: {words}.")
    return "\n".join([*lines, _LEGEND])


def _notes(conventions: Sequence[Convention]) -> str:
    lines = [f"- `{each.metric}`: {each.note}." for each in conventions if each.note]
    return "\n".join(["### What else differs", "", *lines, ""]) if lines else ""


def _sources(conventions: Sequence[Convention]) -> str:
    lines = []
    for toolbox, version in _releases(conventions).items():
        files = sorted({each.source for each in conventions if toolbox_of(each) == toolbox})
        repository = REPOSITORIES[toolbox]
        where = f"[{toolbox}]({repository})" if repository else toolbox
        lines.append(f"- {where} {version}: {', '.join(f'`{file}`' for file in files)}.")
    return "\n".join(["## Sources", "", *lines, ""])


WRITERS: dict[str, Callable[[Sequence[Convention]], str]] = {".md": as_markdown, ".csv": as_csv, ".json": as_json}
"""What writes a file of each ending."""
