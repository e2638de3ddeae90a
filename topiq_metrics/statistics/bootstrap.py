"""Confidence intervals by resampling images, or groups of images that share a reference (Efron & Tibshirani 1993)."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from topiq_metrics.statistics.columns import Array, Indices, group_codes, load_scipy
from topiq_metrics.statistics.correlation import Statistic

Method: TypeAlias = Literal["percentile", "bca"]

MINIMUM_UNITS = 5
"""Fewer images or groups have too few different resamples for an interval."""

_UNDEFINED_SHARE = 0.05
_NUMBERS_AT_ONCE = 2**19


@dataclass(frozen=True)
class Interval:
    """A confidence interval from ``low`` to ``high``; NaN if there is none, and then ``reason`` says why."""

    low: float
    high: float
    reason: str = ""


@dataclass(frozen=True)
class Bootstrap:
    """How bootstrap confidence intervals are computed.

    Attributes:
        resamples: number of resamples.
        confidence: level of the interval, between 0 and 1: the share of such intervals that contain the true value.
        method: ``"percentile"``, or ``"bca"`` (bias-corrected and accelerated, Efron 1987), which needs an additional
            leave-one-out pass and is more accurate for skewed distributions.
        seed: seed of the resamples; the same seed gives the same interval.

    Raises:
        ValueError: an attribute is out of range.

    References:
        Efron and Tibshirani. "An Introduction to the Bootstrap". 1993.
    """

    resamples: int = 2000
    confidence: float = 0.95
    method: Method = "percentile"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.resamples < 1:
            raise ValueError(f"Argument `resamples` must be at least 1, but got {self.resamples}.")
        if not 0 < self.confidence < 1:
            raise ValueError(f"Argument `confidence` must be between 0 and 1, but got {self.confidence}.")
        if self.method not in {"percentile", "bca"}:
            raise ValueError(f"Argument `method` must be one of ('percentile', 'bca'), but got {self.method!r}.")

    def intervals(self, statistic: Statistic, size: int, groups: Sequence[Hashable] | None = None) -> list[Interval]:
        """An interval for each value that ``statistic`` gives for a resample.

        Args:
            statistic: from counts ``(B, size)``, how often each row is in each resample, to values ``(B, K)``.
            size: number of rows.
            groups: of each row, for example its reference image. Rows of a group are drawn together, as they vary
                together; without groups, each row is drawn by itself.

        Raises:
            ValueError: there is not one group for each row.
        """
        codes = _codes(size, groups)
        units = int(codes.max(initial=-1)) + 1
        if units < MINIMUM_UNITS:
            of = "images" if groups is None else "groups"
            reason = f"an interval needs at least {MINIMUM_UNITS} {of}, and there are {units}"
            values = statistic(np.ones((1, size), dtype=np.intp))
            return [Interval(math.nan, math.nan, reason)] * values.shape[1]
        drawn = self.distribution(statistic, size, groups)
        if self.method == "percentile":
            return [self.percentile(column) for column in drawn.T]
        value = statistic(np.ones((1, size), dtype=np.intp))[0]
        without = np.concatenate([statistic(counts) for counts in _leave_one_out(codes, units)])
        return [self._bca(*columns) for columns in zip(drawn.T, value, without.T, strict=True)]

    def distribution(self, statistic: Statistic, size: int, groups: Sequence[Hashable] | None = None) -> Array:
        """The values on all resamples, ``(resamples, K)``; arguments as for `intervals`."""
        codes = _codes(size, groups)
        return np.concatenate([statistic(counts) for counts in self._draw(codes, int(codes.max()) + 1)])

    def _draw(self, codes: Indices, units: int) -> Iterator[Indices]:
        random = np.random.default_rng(self.seed)
        at_once = max(1, _NUMBERS_AT_ONCE // len(codes))
        for start in range(0, self.resamples, at_once):
            rows = min(at_once, self.resamples - start)
            drawn = random.integers(units, size=(rows, units))
            drawn += units * np.arange(rows)[:, None]
            counts = np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units)
            yield counts if units == len(codes) else counts[:, codes]

    def percentile(self, drawn: Array) -> Interval:
        """The percentile interval of one value, given its `distribution`."""
        return self._quantiles(drawn, (1 - self.confidence) / 2, (1 + self.confidence) / 2)

    def _bca(self, drawn: Array, value: float, without: Array) -> Interval:
        special = load_scipy("special")
        if np.isnan(without).any():
            return Interval(math.nan, math.nan, "BCa needs a value without each of the images or groups")
        defined = drawn[~np.isnan(drawn)]
        below = (np.mean(defined < value) + np.mean(defined <= value)) / 2 if len(defined) else 0.5
        deviations = without.mean() - without
        squares = float(np.sum(deviations**2))
        acceleration = float(np.sum(deviations**3)) / (6 * squares**1.5) if squares > 0 else 0.0
        bias = special.ndtri(below)
        if not math.isfinite(bias):
            return Interval(math.nan, math.nan, "BCa: the value is beyond that of every resample")
        z = bias + special.ndtri(np.array([1 - self.confidence, 1 + self.confidence]) / 2)
        low, high = special.ndtr(bias + z / (1 - acceleration * z))
        return self._quantiles(drawn, float(low), float(high))

    @staticmethod
    def _quantiles(drawn: Array, low: float, high: float) -> Interval:
        defined = drawn[~np.isnan(drawn)]
        undefined = 1 - len(defined) / len(drawn)
        if undefined > _UNDEFINED_SHARE:
            return Interval(math.nan, math.nan, f"there is no value for {undefined:.0%} of the resamples")
        ends = np.quantile(defined, [low, high])
        return Interval(float(ends[0]), float(ends[1]))


def _codes(size: int, groups: Sequence[Hashable] | None) -> Indices:
    return np.arange(size) if groups is None else group_codes(groups, size)


def _leave_one_out(codes: Indices, units: int) -> Iterator[Indices]:
    at_once = max(1, _NUMBERS_AT_ONCE // len(codes))
    for start in range(0, units, at_once):
        left_out = np.arange(start, min(start + at_once, units))[:, None]
        yield (codes != left_out).astype(np.intp)
