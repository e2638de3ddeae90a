"""Several names in one, as shells and WebDataset write them: ``shard-{00000..00010}.tar``."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator

from topiq_metrics.scoring.sources.errors import SourceError
from topiq_metrics.scoring.sources.locations import is_url

_MOST_NAMES = 100_000
_RANGE = re.compile(r"(-?[0-9]+)\.\.(-?[0-9]+)(?:\.\.(-?[0-9]+))?")


def expand_braces(name: str) -> list[str]:
    """The names that one with braces stands for, in order; the name itself where it has none, or a file is called so.

    ``{08..12}`` counts, with as many digits as its ends are written with, ``{0..10..5}`` in steps, ``{a,b}`` lists;
    several braces of a name are combined, the last one fastest, and braces may be in each other. Other braces are part
    of the name.

    Raises:
        SourceError: they stand for more than 100 000 names.
    """
    if "{" not in name or (not is_url(name) and os.path.lexists(name)):
        return [name]
    names = list(dict.fromkeys(itertools.islice(_expanded(name), _MOST_NAMES + 1)))
    if len(names) > _MOST_NAMES:
        raise SourceError(f"{name} stands for more than {_MOST_NAMES} names: write them into a list.")
    return names


def _expanded(name: str) -> Iterator[str]:
    """Expand the first braces that stand for something, then what comes behind them."""
    start = -1
    while (start := name.find("{", start + 1)) >= 0:
        end = _end(name, start)
        choices = _choices(name[start + 1 : end]) if end > 0 else None
        if choices is not None:
            before, rest = name[:start], name[end + 1 :]
            return itertools.chain.from_iterable(
                (before + choice + after for after in _expanded(rest)) for choice in choices
            )
    return iter([name])


def _end(name: str, start: int) -> int:
    """Where the brace that opens at ``start`` closes; -1 if it does not."""
    depth = 0
    for place in range(start, len(name)):
        depth += {"{": 1, "}": -1}.get(name[place], 0)
        if not depth:
            return place
    return -1


def _choices(inside: str) -> Iterator[str] | None:
    match = _RANGE.fullmatch(inside)
    if match is not None:
        first, last, step = match[1], match[2], abs(int(match[3] or 1)) or 1
        is_padded = any(re.match(r"-?0[0-9]", end) for end in (first, last))
        width = max(len(first), len(last)) if is_padded else 0
        low, high = int(first), int(last)
        numbers = range(low, high + 1, step) if low <= high else range(low, high - 1, -step)
        return (f"{number:0{width}}" for number in numbers)
    parts = _parts(inside)
    return itertools.chain.from_iterable(map(_expanded, parts)) if len(parts) > 1 else None


def _parts(inside: str) -> list[str]:
    """What stands between commas that are in no further braces."""
    parts, depth = [""], 0
    for sign in inside:
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if sign == "," and not depth:
            parts.append("")
        else:
            parts[-1] += sign
    return parts
