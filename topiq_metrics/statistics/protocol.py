"""The protocol of the field in one call: agreement of a metric with opinion, each figure with its interval."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from topiq_metrics.statistics.bootstrap import Bootstrap, Interval
from topiq_metrics.statistics.columns import Array, Indices, as_columns, finite_rows, keep_groups
from topiq_metrics.statistics.correlation import (
    MINIMUM_ROWS,
    kendall,
    pearson,
    root_mean_square,
    spearman,
)
from topiq_metrics.statistics.logistic import Fit, LogisticName, fit_logistic, why_constant

FIGURES = ("srcc", "krcc", "plcc", "rmse", "fitted_plcc", "fitted_rmse")

NO_INTERVAL = Interval(math.nan, math.nan, "no interval was asked for")


@dataclass(frozen=True)
class Figure:
    """A value and its interval from ``low`` to ``high``; NaN where there is none, and then ``reason`` says why."""

    value: float
    low: float
    high: float
    reason: str = ""

    @classmethod
    def undefined(cls, reason: str) -> Figure:
        return cls(math.nan, math.nan, math.nan, reason)


@dataclass(frozen=True)
class Evaluation:
    """How well a metric agrees with opinion on a set of images.

    Attributes:
        n: images that the figures are of.
        left_out: images without a finite score of the metric or without a finite opinion score.
        groups: groups of images that were resampled together, or None.
        srcc: Spearman's rank correlation; like all correlations here, positive for a metric in the right direction.
        krcc: Kendall's rank correlation tau-b.
        plcc: Pearson's linear correlation of the scores as they are.
        rmse: root mean squared difference of the scores as they are, in the unit of opinion; it says something only
            for a metric that predicts opinion scores.
        fitted_plcc: Pearson's linear correlation after ``fit``. It has no direction: a fit may fall.
        fitted_rmse: root mean squared difference after ``fit``, over N.
        fit: the logistic.
        bootstrap: how the intervals were made, or None. Those after the fit take it as given.
    """

    n: int
    left_out: int
    groups: int | None
    srcc: Figure
    krcc: Figure
    plcc: Figure
    rmse: Figure
    fitted_plcc: Figure
    fitted_rmse: Figure
    fit: Fit
    bootstrap: Bootstrap | None


def evaluate(
    predicted: ArrayLike,
    mos: ArrayLike,
    *,
    higher_is_better: bool = True,
    mos_higher_is_better: bool = True,
    groups: Sequence[Hashable] | None = None,
    logistic: LogisticName = "logistic4",
    bootstrap: Bootstrap | None = Bootstrap(),  # noqa: B008 - frozen
) -> Evaluation:
    """Measure how well a metric agrees with opinion.

    Args:
        predicted: the metric's score of each image, ``(N,)``.
        mos: mean opinion score of each image, ``(N,)``, or its difference to the reference's (DMOS).
        higher_is_better: direction of the metric.
        mos_higher_is_better: direction of the opinion scores; False for DMOS.
        groups: of each image, for example the name of its reference: images of a group are resampled together.
        logistic: the fit before ``fitted_plcc`` and ``fitted_rmse``: ``"logistic4"`` or ``"logistic5"``.
        bootstrap: how intervals are made; None for values alone.

    Returns:
        All figures. A figure that does not exist is NaN and says why: of fewer than three images there is no
        correlation, of fewer than five (or of fewer than five groups) no interval, of no more images than the logistic
        has parameters no fit.

    Raises:
        ValueError: columns or groups of different lengths, or an argument that is not as above.

    Examples:
        >>> result = evaluate([1, 2, 3, 4, 5, 6], [10, 30, 20, 40, 60, 50])
        >>> round(result.srcc.value, 4), result.n
        (0.8857, 6)
    """
    columns = as_columns({"predicted": predicted, "mos": mos})
    usable = finite_rows(*columns)
    x, y = (column[usable] for column in columns)
    kept = keep_groups(groups, usable)
    same_direction = higher_is_better == mos_higher_is_better
    oriented = x if same_direction else -x

    fit = fit_logistic(x, y, logistic)
    fitted = fit(x)
    statistics = [
        spearman(oriented, y),
        kendall(oriented, y),
        pearson(oriented, y),
        root_mean_square(x, y),
        pearson(fitted, y),
        root_mean_square(fitted, y),
    ]

    def all_figures(counts: Indices) -> Array:
        return np.column_stack([statistic(counts) for statistic in statistics])

    of_correlations = _why_no_correlation(x, y)
    of_difference = "" if same_direction else "the scores have opposite directions: their difference means nothing"
    of_fit = "" if fit.exists else fit.reason
    reasons = [*[of_correlations] * 3, of_difference, of_fit, of_fit]
    if len(x) == 0:
        figures = [Figure.undefined("there is no image with both scores")] * len(FIGURES)
    else:
        values = all_figures(np.ones((1, len(x)), dtype=np.intp))[0]
        intervals = (
            [NO_INTERVAL] * len(FIGURES) if bootstrap is None else bootstrap.intervals(all_figures, len(x), kept)
        )
        figures = [_figure(*parts) for parts in zip(values, intervals, reasons, strict=True)]
    return Evaluation(
        n=len(x),
        left_out=len(usable) - len(x),
        groups=None if kept is None else len(set(kept)),
        fit=fit,
        bootstrap=bootstrap,
        **dict(zip(FIGURES, figures, strict=True)),
    )


def _why_no_correlation(x: Array, y: Array) -> str:
    if len(x) < MINIMUM_ROWS:
        return f"a correlation needs at least {MINIMUM_ROWS} images, and there are {len(x)}"
    return why_constant(x, y)


def _figure(value: float, interval: Interval, reason: str) -> Figure:
    if not reason and math.isnan(value):
        reason = "the scores are equal up to rounding, or beyond what can be squared"
    return Figure.undefined(reason) if reason else Figure(float(value), interval.low, interval.high, interval.reason)
