"""Which scores are wanted: a lowest or a highest one, of each metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeGuard

from topiq_metrics.errors import suggest
from topiq_metrics.scoring.rows import RowRecord, ScoreRow

TOO_LOW, TOO_HIGH = "below-min-score", "above-max-score"
LIMIT_WORDS = (TOO_LOW, TOO_HIGH)
"""What the note of a row begins with that has a score outside of the limits."""

Limit: TypeAlias = "float | Mapping[str, float] | None"
"""A score, where there is one metric; or one for each of some metrics, by name."""


@dataclass(frozen=True)
class Limits:
    """The lowest and the highest scores that are wanted, by metric; both are wanted themselves."""

    lowest: Mapping[str, float] = field(default_factory=dict)
    highest: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, metrics: Sequence[str], min_score: Limit = None, max_score: Limit = None) -> Limits:
        """Limits on the scores of these metrics.

        Raises:
            ValueError: if a limit is of none of the metrics, of no one in particular though there are several, is no
                finite number, or leaves no score.
        """
        limits = cls(_named("min_score", min_score, metrics), _named("max_score", max_score, metrics))
        for name, lowest in limits.lowest.items():
            if limits.highest.get(name, math.inf) < lowest:
                raise ValueError(
                    f"No score of {name} can be at least {lowest:g} and at most {limits.highest[name]:g}: "
                    "swap the limits."
                )
        return limits

    def __bool__(self) -> bool:
        return bool(self.lowest or self.highest)

    def __str__(self) -> str:
        lowest = [f"{name} >= {limit!r}" for name, limit in self.lowest.items()]
        return ", ".join(lowest + [f"{name} <= {limit!r}" for name, limit in self.highest.items()])

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those that have a limit."""
        return tuple(dict.fromkeys((*self.lowest, *self.highest)))

    def breaches(self, record: RowRecord) -> list[str]:
        """What is wrong with the scores of a row, a note for each; a score that is not there breaks no limit."""
        found = []
        for name in self.metrics:
            score = record.get(name)
            if is_score(score):
                if score < self.lowest.get(name, -math.inf):
                    found.append(f"{TOO_LOW}: {name} is {score:g}, less than {self.lowest[name]:g}")
                if score > self.highest.get(name, math.inf):
                    found.append(f"{TOO_HIGH}: {name} is {score:g}, more than {self.highest[name]:g}")
        return found

    def admit(self, record: RowRecord) -> bool:
        """Whether a row has all the scores that are limited, each within its limits."""
        return all(is_score(record.get(name)) for name in self.metrics) and not self.breaches(record)

    def marked(self, row: ScoreRow) -> ScoreRow:
        """The row; with a note of each score that is outside of the limits."""
        # What is written counts: whoever reads it comes to the same.
        found = self.breaches(row.as_dict()) if self else []
        return replace(row, note="; ".join(filter(None, (row.note, *found)))) if found else row


def is_score(value: object) -> TypeGuard[float]:
    """Whether a cell is a score: a number, which NaN and infinity are not."""
    return isinstance(value, (int, float)) and math.isfinite(value)


def is_outside(record: RowRecord) -> bool:
    """Whether a row is marked as outside of the limits."""
    notes = str(record.get("note") or "").split("; ")
    return any(note.partition(": ")[0] in LIMIT_WORDS for note in notes)


def _named(argument: str, limit: Limit, metrics: Sequence[str]) -> dict[str, float]:
    if limit is None:
        return {}
    if not isinstance(limit, Mapping):
        if len(metrics) != 1:
            raise ValueError(
                f"Argument `{argument}` must say of which metric it is, such as {metrics[0]}={limit:g}: there are "
                f"{', '.join(metrics)}."
            )
        limit = {metrics[0]: limit}
    for name, score in limit.items():
        if name not in metrics:
            raise ValueError(f"Argument `{argument}` is of {name!r}, which is not scored. {suggest(name, metrics)}")
        if not math.isfinite(score):
            raise ValueError(f"Argument `{argument}` must be a finite number, but got {score}.")
    return {name: float(score) for name, score in limit.items()}
