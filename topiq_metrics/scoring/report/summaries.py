"""What a report keeps of rows that go by: little, however many they are."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from topiq_metrics.pages.thumbnails import Picture

Cells: TypeAlias = "tuple[str | int | float | None, ...]"

MAX_TABLE_ROWS = 50_000
"""The most rows in a page's table."""

MAX_PROBLEM_ROWS = 20_000
"""So many rows that are not "ok" are in the table before the others are looked at."""

_MAX_BINS = 8192
_FINEST_BIN = -20
_MAX_BARS = 40
_MAX_GROUPS = 50
_MAX_EXAMPLES = 20
_OTHER = "other reasons"


class Row(NamedTuple):
    """A row's place in the job and its cells."""

    number: int
    cells: Cells


class Bars(NamedTuple):
    """Counts of values from ``(first + i) * step`` to one ``step`` more."""

    first: int
    step: float
    counts: list[int]


class Histogram:
    """The distribution of a stream of finite numbers: count, mean, lowest and highest exactly, the rest nearly so.

    Values are counted in bins whose width is a power of two and doubles whenever there would be more than 8192 that are
    not empty, so the result does not depend on the values' order. Scores that spread over 1 end in bins of 1/4096 at
    worst.
    """

    def __init__(self) -> None:
        self.count = 0
        self.low = math.inf
        self.high = -math.inf
        self._sum = 0.0
        self._exponent = _FINEST_BIN
        self._bins: Counter[int] = Counter()

    def add(self, value: float) -> None:
        self.count += 1
        self.low = min(self.low, value)
        self.high = max(self.high, value)
        self._sum += value
        self._bins[math.floor(math.ldexp(value, -self._exponent))] += 1
        while len(self._bins) > _MAX_BINS:
            coarser: Counter[int] = Counter()
            for number, count in self._bins.items():
                coarser[number >> 1] += count
            self._bins = coarser
            self._exponent += 1

    @property
    def mean(self) -> float:
        return self._sum / self.count

    @property
    def median(self) -> float:
        ranks = [(self.count - 1) // 2, self.count // 2]
        found: list[float] = []
        seen = 0
        for middle, count in self._middles():
            seen += count
            found += [middle for rank in ranks[len(found) :] if rank < seen]
        return sum(found) / 2

    def bars(self) -> Bars:
        """The distribution over equal steps of a round width: more of them for more values, about 40 at most."""
        wanted = min(_MAX_BARS, max(10, round(2 * self.count ** (1 / 3))))
        size = max(abs(self.low), abs(self.high), 1.0)
        resolution = max(math.ldexp(1, self._exponent), size * 1e-9)
        step = _round_up(max((self.high - self.low) / wanted, resolution) if self.low < self.high else size / 100)
        first = math.floor(self.low / step)
        counts = [0] * (math.floor(self.high / step) - first + 1)
        for middle, count in self._middles():
            counts[math.floor(middle / step) - first] += count
        return Bars(first, step, counts)

    def _middles(self) -> Iterable[tuple[float, int]]:
        for number, count in sorted(self._bins.items()):
            yield min(max(math.ldexp(number + 0.5, self._exponent), self.low), self.high), count


def _round_up(value: float) -> float:
    """The next of 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10, 20) if factor * power >= value)


@dataclass(frozen=True)
class Found:
    """One of the best or the worst."""

    row: Row
    score: float
    picture: Picture


class Extremes:
    """The ``size`` rows with the highest scores, or with the lowest; of equals, the earlier ones."""

    def __init__(self, size: int, *, highest: bool) -> None:
        self._size = size
        self._sign = 1 if highest else -1
        self._heap: list[tuple[float, int, Found]] = []

    def add(self, row: Row, score: float, picture: Picture) -> None:
        key = (self._sign * score, -row.number)
        if len(self._heap) == self._size and key <= self._heap[0][:2]:
            return
        picture.keep()
        put: Callable[..., object] = heapq.heappush if len(self._heap) < self._size else heapq.heapreplace
        put(self._heap, (*key, Found(row, score, picture)))

    def ordered(self) -> list[Found]:
        """The most extreme first."""
        return [found for _, _, found in sorted(self._heap, reverse=True, key=lambda entry: entry[:2])]


@dataclass
class ErrorGroup:
    """Rows that are not "ok" for one reason: how many, and the first of them as pairs of path and error."""

    reason: str
    count: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)


class ErrorGroups:
    """Groups by reason; reasons beyond the first 50 share one group."""

    def __init__(self) -> None:
        self._groups: dict[str, ErrorGroup] = {}

    def add(self, reason: str, path: str, error: str) -> None:
        if reason not in self._groups and len(self._groups) >= _MAX_GROUPS:
            reason = _OTHER
        group = self._groups.setdefault(reason, ErrorGroup(reason))
        group.count += 1
        if len(group.examples) < _MAX_EXAMPLES:
            group.examples.append((path, error))

    def ordered(self) -> list[ErrorGroup]:
        """The largest first."""
        return sorted(self._groups.values(), key=lambda group: -group.count)


class RowSample:
    """At most `MAX_TABLE_ROWS` rows: all, or the first that are not "ok" and an even sample of the rest."""

    def __init__(self) -> None:
        self.problems = 0
        self._first_problems: list[Row] = []
        self._sample: list[Row] = []
        self._stride = 1

    def add(self, row: Row, *, problem: bool) -> None:
        if problem:
            self.problems += 1
            if len(self._first_problems) < MAX_PROBLEM_ROWS:
                self._first_problems.append(row)
        if row.number % self._stride == 0:
            self._sample.append(row)
            if len(self._sample) > MAX_TABLE_ROWS:
                self._stride *= 2
                self._sample = [kept for kept in self._sample if kept.number % self._stride == 0]

    def rows(self, extremes: Iterable[Row]) -> list[Row]:
        """The rows in the job's order, ``extremes`` among them."""
        chosen = {row.number: row for row in (*extremes, *self._first_problems)}
        rest = [row for row in self._sample if row.number not in chosen]
        room = max(0, MAX_TABLE_ROWS - len(chosen))
        if len(rest) > room:
            rest = [rest[i * len(rest) // room] for i in range(room)]
        return sorted([*chosen.values(), *rest])
