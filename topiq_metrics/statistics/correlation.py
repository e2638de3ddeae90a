"""Agreement of predictions with human scores: SRCC, KRCC, PLCC and RMSE.

Each figure is defined for rows that count several times, so that its value, and its values on thousands of bootstrap
resamples, come from one piece of code. Counts have the shape ``(B, N)``: B resamples of N rows.

- SRCC: Spearman's rank correlation, tied rows share their mean rank.
- KRCC: Kendall's tau-b (Kendall 1945), which corrects for ties in either column.
- PLCC: Pearson's linear correlation.
- RMSE: root of the mean squared difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from topiq_metrics.statistics.columns import Array, Indices, Mask, as_columns, finite_rows, load_scipy

Statistic: TypeAlias = Callable[[Indices], Array]
"""From counts ``(B, N)`` to values ``(B,)`` or ``(B, K)``, NaN where there is none."""

MINIMUM_ROWS = 3
"""Two rows always correlate perfectly, whichever they are."""


def srcc(predicted: ArrayLike, mos: ArrayLike) -> float:
    """SRCC: Spearman's rank correlation, from −1 to 1.

    Args:
        predicted: a metric's score of each image, ``(N,)``.
        mos: mean opinion score of each image, ``(N,)``. Rows with NaN or an infinity in either are left out.

    Returns:
        The correlation; NaN for fewer than three rows, or if either column is constant.

    Raises:
        ValueError: the columns are not one-dimensional or differ in length.
    """
    return _value(spearman, predicted, mos)


def krcc(predicted: ArrayLike, mos: ArrayLike) -> float:
    """KRCC: Kendall's rank correlation tau-b, from −1 to 1; arguments, NaN and errors as for `srcc`. Requires scipy."""
    return _value(kendall, predicted, mos)


def plcc(predicted: ArrayLike, mos: ArrayLike) -> float:
    """PLCC: Pearson's linear correlation without fit, from −1 to 1; arguments, NaN and errors as for `srcc`."""
    return _value(pearson, predicted, mos)


def rmse(predicted: ArrayLike, mos: ArrayLike) -> float:
    """RMSE: root of the mean squared difference, in the unit of both columns; arguments and errors as for `srcc`.

    Returns:
        The difference, from 0; lower is better. NaN if there are no rows.
    """
    return _value(root_mean_square, predicted, mos)


def spearman(predicted: Array, mos: Array) -> Statistic:
    """SRCC of resamples; the columns are finite."""
    x, y = _Ranks(predicted), _Ranks(mos)

    def statistic(counts: Indices) -> Array:
        return weighted_pearson(x(counts), y(counts), counts)

    return statistic


def pearson(predicted: Array, mos: Array) -> Statistic:
    """PLCC of resamples; the columns are finite."""

    def statistic(counts: Indices) -> Array:
        return weighted_pearson(predicted, mos, counts)

    return statistic


def kendall(predicted: Array, mos: Array) -> Statistic:
    """KRCC of resamples; the columns are finite."""
    kendalltau = load_scipy("stats").kendalltau

    def statistic(counts: Indices) -> Array:
        values = np.full(len(counts), np.nan)
        for i, row in enumerate(counts):
            x, y = predicted.repeat(row), mos.repeat(row)
            if len(x) >= MINIMUM_ROWS and np.ptp(x) > 0 and np.ptp(y) > 0:
                values[i] = kendalltau(x, y).statistic
        return values

    return statistic


def root_mean_square(predicted: Array, mos: Array) -> Statistic:
    """RMSE of resamples; the columns are finite."""
    with np.errstate(over="ignore"):
        squared = (predicted - mos) ** 2

    def statistic(counts: Indices) -> Array:
        with np.errstate(invalid="ignore"):
            values: Array = np.sqrt(counts @ squared / counts.sum(axis=1))
        return values

    return statistic


def rank(column: Array) -> Array:
    """Ranks from 1; tied values share the mean of their ranks."""
    result: Array = _Ranks(column)(np.ones((1, len(column)), dtype=np.intp))[0]
    return result


def weighted_pearson(x: Array, y: Array, counts: Indices) -> Array:
    """Pearson's correlation of rows that count ``counts`` times.

    Args:
        x: ``(N,)`` or ``(B, N)``.
        y: as ``x``.
        counts: ``(B, N)``.

    Returns:
        ``(B,)``, NaN where a column is constant up to rounding, or fewer than three rows count.
    """
    total = counts.sum(axis=1)
    weights = counts.astype(np.float64)
    with np.errstate(all="ignore"):
        dx, dy = (column - ((weights * column).sum(axis=1) / total)[:, None] for column in (x, y))
        sxx, sxy, syy = ((weights * a * b).sum(axis=1) for a, b in ((dx, dx), (dx, dy), (dy, dy)))
        values: Array = np.clip(sxy / np.sqrt(sxx) / np.sqrt(syy), -1, 1)
        constant = _is_rounding(sxx, x, total) | _is_rounding(syy, y, total)
    values[constant | (total < MINIMUM_ROWS)] = np.nan
    return values


def _is_rounding(squares: Array, column: Array, total: Indices) -> Mask:
    scale = np.abs(column).max(axis=-1, initial=0)
    result: Mask = ~(squares > (1e-13 * scale) ** 2 * total)
    return result


class _Ranks:
    """`rank` within each resample: ``(B, N)``."""

    def __init__(self, column: Array) -> None:
        values, self.code = np.unique(column, return_inverse=True)
        self.order = np.argsort(self.code, kind="stable")
        self.starts = np.searchsorted(self.code[self.order], np.arange(len(values)))

    def __call__(self, counts: Indices) -> Array:
        ties = counts[:, self.order]
        if len(self.starts) < len(self.order):
            ties = np.add.reduceat(ties, self.starts, axis=1)
        ranks = ties.cumsum(axis=1) - (ties - 1) / 2
        result: Array = ranks[:, self.code]
        return result


def _value(statistic: Callable[[Array, Array], Statistic], predicted: ArrayLike, mos: ArrayLike) -> float:
    columns = as_columns({"predicted": predicted, "mos": mos})
    usable = finite_rows(*columns)
    x, y = (column[usable] for column in columns)
    return math.nan if len(x) == 0 else float(statistic(x, y)(np.ones((1, len(x)), dtype=np.intp))[0])
