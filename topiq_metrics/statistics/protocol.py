"""The usual evaluation protocol in one call: agreement of a metric with human scores, with confidence intervals."""

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
    """A value and its confidence interval from ``low`` to ``high``; NaN if undefined, and then ``reason`` says why."""

    value: float
    low: float
    high: float
    reason: str = ""

    @classmethod
    def undefined(cls, reason: str) -> Figure:
        return cls(math.nan, math.nan, math.nan, reason)


@dataclass(frozen=True)
class Evaluation:
    """How well a metric agrees with human scores (MOS or DMOS) on a set of images.

    SRCC, KRCC and PLCC are from −1 to 1, positive for a metric with the right direction.

    Attributes:
        n: number of images evaluated.
        left_out: number of images without a finite score of the metric or without a finite MOS.
        groups: number of groups of images that were resampled together, or None.
        srcc: SRCC, Spearman's rank correlation.
        krcc: KRCC, Kendall's rank correlation tau-b.
        plcc: PLCC, Pearson's linear correlation, of the scores without fit.
        rmse: RMSE of the scores without fit, in the unit of the MOS; lower is better. Meaningful only for a metric that
            predicts the MOS; NaN if the two have opposite directions.
        fitted_plcc: PLCC after ``fit``. It does not show the direction, since a fit may be decreasing.
        fitted_rmse: RMSE after ``fit`` (divided by N), in the unit of the MOS; lower is better.
        fit: the logistic fit.
        bootstrap: how the intervals were computed, or None. Resamples do not repeat the fit.
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
    """Measure how well a metric agrees with human scores.

    Args:
        predicted: the metric's score of each image, ``(N,)``.
        mos: mean opinion score of each image, ``(N,)``, or its difference to that of the reference (DMOS).
        higher_is_better: direction of the metric.
        mos_higher_is_better: direction of ``mos``; False for DMOS.
        groups: the group of each image, for example the name of its reference: images of a group are resampled
            together.
        logistic: the fit before ``fitted_plcc`` and ``fitted_rmse``: ``"logistic4"`` or ``"logistic5"``; see
            `fit_logistic`.
        bootstrap: how intervals are computed; None for values only.

    Returns:
        All figures. An undefined figure is NaN and says why: correlations need at least three images, intervals five
        images (or five groups), and a fit more images than the logistic has parameters.

    Raises:
        ValueError: columns or groups differ in length, or an argument is not as above.
        ModuleNotFoundError: scipy is not installed.

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
