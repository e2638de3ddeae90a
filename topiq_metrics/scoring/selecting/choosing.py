"""Which rows are chosen, by their scores."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from topiq_metrics.scoring.limits import Limits
from topiq_metrics.scoring.ordering import Order
from topiq_metrics.scoring.rows import RowRecord


def choose_rows(
    rows: Iterable[RowRecord], limits: Limits, *, order: Order | None = None, first: int | None = None
) -> Iterator[RowRecord]:
    """The rows that have every score that is limited, within its limits; those without any score never.

    Args:
        rows: of one output.
        limits: of its metrics.
        order: to bring them into, for which all that are chosen must be in memory; None leaves them as they are.
        first: how many of them at most, in that order.
    """
    chosen: Iterable[RowRecord] = (row for row in rows if row.get("status") != "error" and limits.admit(row))
    if order is not None:
        chosen = order.sorted(chosen, lambda row: row)
    return itertools.islice(chosen, first)
