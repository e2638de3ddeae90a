"""Rows from the best to the worst, or the other way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from topiq_metrics.catalog import get_card
from topiq_metrics.errors import suggest
from topiq_metrics.scoring.limits import is_score
from topiq_metrics.scoring.rows import RowRecord

_ENDS = ("best", "worst")

AnyRow = TypeVar("AnyRow")


@dataclass(frozen=True)
class Order:
    """By the score of a metric; rows without one come last, and of equal ones the earlier first.

    Attributes:
        metric: its name.
        highest_first: whether the highest score comes first.
    """

    metric: str
    highest_first: bool

    @classmethod
    def parse(cls, text: str, metrics: Sequence[str]) -> Order:
        """Read ``best`` or ``worst``, which comes first, by the first metric; or ``best:NAME``, by another one.

        Raises:
            ValueError: if it is something else, the metric has no column, or nobody knows which of its scores is best.
        """
        end, _, name = text.partition(":")
        if end not in _ENDS:
            raise ValueError(f"Argument `sort` must be best, worst, best:NAME or worst:NAME, but got {text!r}.")
        if not metrics:
            raise ValueError("Argument `sort` needs a column of scores, and there is none.")
        if name and name not in metrics:
            raise ValueError(f"Argument `sort` is of {name!r}, which is not scored. {suggest(name, metrics)}")
        metric = name or metrics[0]
        return cls(metric, get_card(metric).higher_is_better == (end == "best"))

    def sorted(self, rows: Iterable[AnyRow], record: Callable[[AnyRow], RowRecord]) -> list[AnyRow]:
        """Rows in order.

        Args:
            rows: in any form.
            record: of a row, its cells.
        """

        def key(row: AnyRow) -> tuple[bool, float]:
            score = record(row).get(self.metric)
            if not is_score(score):
                return True, 0.0
            return False, -score if self.highest_first else score

        return sorted(rows, key=key)
