"""Whether one metric agrees significantly better with human scores than another on the same images.

The correlations of two metrics with the same human scores depend on each other, which a comparison of their intervals
ignores. Four tests take this into account:

- ``"williams"``: Williams' t (1959), the one that Steiger, "Tests for comparing elements of a correlation matrix",
  Psychological Bulletin 87(2), 1980, recommends for two correlations that share a variable (his T2);
- ``"steiger"``: Steiger's Z (1980), on Fisher-transformed correlations with a pooled covariance (his Z1*);
- ``"jackknife"``: a t test of the difference with the standard error from leaving out one group of images at a time,
  with one degree of freedom less than groups (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993);
- ``"bootstrap"``: the paired bootstrap, which resamples images, or groups of images, for both metrics at once.

The first two are for Pearson's correlation of bivariate normal scores of independent images. On ranks, for SRCC, they
are approximations, with the larger variance of ranks (Bonett and Wright, Psychometrika 65, 2000); they do not apply to
KRCC. The last two support groups: images of one reference are not independent.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from topiq_metrics.statistics.bootstrap import MINIMUM_UNITS, Bootstrap
from topiq_metrics.statistics.columns import (
    Array,
    Indices,
    Mask,
    as_columns,
    finite_rows,
    group_codes,
    keep_groups,
    load_scipy,
)
from topiq_metrics.statistics.correlation import kendall, pearson, rank, spearman
from topiq_metrics.statistics.logistic import why_constant

Coefficient: TypeAlias = Literal["srcc", "plcc", "krcc"]
Test: TypeAlias = Literal["williams", "steiger", "jackknife", "bootstrap"]
Verdict: TypeAlias = Literal["better", "worse", "tied", "untested"]

COEFFICIENTS = {"srcc": spearman, "plcc": pearson, "krcc": kendall}
TESTS = ("williams", "steiger", "jackknife", "bootstrap")
ON_GROUPS = ("jackknife", "bootstrap")

MINIMUM_IMAGES = 5

_SIDES = ((0, 2), (1, 2), (0, 1))

# Two metrics whose scores correlate to within rounding are one metric.
_SAME = 1e-12


@dataclass(frozen=True)
class TestResult:
    """A two-sided test of equal correlations.

    Attributes:
        statistic: t of ``"williams"`` and ``"jackknife"``, z of ``"steiger"``, NaN for ``"bootstrap"``.
        p_value: probability of a difference at least as large if the true correlations are equal.
    """

    __test__ = False

    statistic: float
    p_value: float


@dataclass(frozen=True)
class Pair:
    """Two metrics on the images that both have scored.

    Attributes:
        difference: correlation (or 2AFC agreement) of the first minus that of the second.
        low: lower end of the confidence interval of the difference, for ``"bootstrap"`` only, else NaN.
        high: upper end of the interval, as ``low``.
        statistic: test statistic: t for ``"williams"`` and ``"jackknife"``, z for ``"steiger"``, NaN for
            ``"bootstrap"``.
        p_value: p value of this pair alone.
        adjusted: p value after Holm's correction for all pairs compared.
        n: number of images that both metrics have scored.
        verdict: about the first metric: ``"better"``, ``"worse"``, ``"tied"`` if the difference is not significant,
            ``"untested"`` if there is no test.
        reason: why there is no test; else an empty string.
    """

    difference: float
    low: float
    high: float
    statistic: float
    p_value: float
    adjusted: float
    n: int
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True)
class Comparison:
    """Comparisons of all pairs of metrics; ``pairs`` has each pair once, in the order of ``names``.

    Attributes:
        names: names of the metrics.
        coefficient: what was compared: ``"srcc"``, ``"plcc"`` or ``"krcc"``; for `compare_agreements`, ``"2afc"``.
        test: ``"williams"``, ``"steiger"``, ``"jackknife"`` or ``"bootstrap"``; for `compare_agreements`, ``"t"``.
        approximate: whether the test is an approximation for this coefficient.
        alpha: significance level: the probability of at least one false "better" or "worse" among all pairs.
        pairs: the pairs, by the names of the two metrics.
        stratified: whether the coefficient is a mean over strata.
    """

    names: tuple[str, ...]
    coefficient: Coefficient | Literal["2afc"]
    test: Test | Literal["t"]
    approximate: bool
    alpha: float
    pairs: Mapping[tuple[str, str], Pair]
    stratified: bool = False

    def verdict(self, name: str, other: str) -> Verdict:
        """Whether metric ``name`` is ``"better"``, ``"worse"``, ``"tied"`` or ``"untested"`` compared with ``other``.

        Raises:
            KeyError: a metric is not in the comparison.
        """
        if name == other and name in self.names:
            return "tied"
        if (name, other) in self.pairs:
            return self.pairs[name, other].verdict
        mirrored: dict[Verdict, Verdict] = {"better": "worse", "worse": "better"}
        found = self.pairs[other, name].verdict
        return mirrored.get(found, found)


def williams_test(r_first: float, r_second: float, r_between: float, n: int) -> TestResult:
    """Williams' t for two correlations that share a variable, with n − 3 degrees of freedom.

    Args:
        r_first: correlation of the first metric with the human scores.
        r_second: correlation of the second metric with the human scores.
        r_between: correlation between the two metrics.
        n: number of images.

    Returns:
        The statistic t and the two-sided p value; NaN for fewer than five images or a correlation that is NaN.

    Raises:
        ModuleNotFoundError: scipy is not installed.

    References:
        Williams. "The Comparison of Regression Variables". Journal of the Royal Statistical Society B 21, 1959.
        Steiger. "Tests for comparing elements of a correlation matrix". Psychological Bulletin 87(2), 1980 (T2).
    """
    if n < MINIMUM_IMAGES or math.isnan(r_first + r_second + r_between):
        return TestResult(math.nan, math.nan)
    if 1 - r_between < _SAME:
        return TestResult(0.0, 1.0)
    determinant = 1 - r_first**2 - r_second**2 - r_between**2 + 2 * r_first * r_second * r_between
    mean = (r_first + r_second) / 2
    scale = 2 * (n - 1) / (n - 3) * max(determinant, 0.0) + mean**2 * (1 - r_between) ** 3
    if scale == 0:
        # Both correlations are without error, and they differ.
        t = math.copysign(math.inf, r_first - r_second) if r_first != r_second else 0.0
    else:
        t = (r_first - r_second) * math.sqrt((n - 1) * (1 + r_between) / scale)
    return TestResult(t, float(2 * load_scipy("stats").t.sf(abs(t), n - 3)))


def steiger_test(r_first: float, r_second: float, r_between: float, n: int) -> TestResult:
    """Steiger's Z for two correlations that share a variable; arguments, result and errors as for `williams_test`.

    References:
        Steiger. "Tests for comparing elements of a correlation matrix". Psychological Bulletin 87(2), 1980 (Z1*).
    """
    if n < MINIMUM_IMAGES or math.isnan(r_first + r_second + r_between):
        return TestResult(math.nan, math.nan)
    if 1 - r_between < _SAME:
        return TestResult(0.0, 1.0)
    # A perfect correlation has no Fisher transform.
    limit = 1 - 1e-15
    z_first, z_second = (math.atanh(min(max(r, -limit), limit)) for r in (r_first, r_second))
    squared = ((r_first + r_second) / 2) ** 2
    covariance = r_between * (1 - 2 * squared) - squared * (1 - 2 * squared - r_between**2) / 2
    correlation = covariance / max((1 - squared) ** 2, 1e-300)
    z = (z_first - z_second) * math.sqrt((n - 3) / max(2 - 2 * correlation, _SAME))
    return TestResult(z, float(2 * load_scipy("stats").norm.sf(abs(z))))


def holm(p_values: Sequence[float]) -> list[float]:
    """P values after Holm's step-down correction (Scandinavian Journal of Statistics 6, 1979); NaN are not counted."""
    tested = sorted((p, index) for index, p in enumerate(p_values) if not math.isnan(p))
    adjusted = [math.nan] * len(p_values)
    largest = 0.0
    for place, (p, index) in enumerate(tested):
        largest = max(largest, min(1.0, p * (len(tested) - place)))
        adjusted[index] = largest
    return adjusted


def compare(
    predictions: Mapping[str, ArrayLike],
    mos: ArrayLike,
    *,
    higher_is_better: bool | Mapping[str, bool] = True,
    mos_higher_is_better: bool = True,
    coefficient: Coefficient = "srcc",
    test: Test = "williams",
    alpha: float = 0.05,
    groups: Sequence[Hashable] | None = None,
    strata: Sequence[Hashable] | None = None,
    bootstrap: Bootstrap = Bootstrap(),  # noqa: B008 - frozen
) -> Comparison:
    """Compare every two metrics on the images that both have scored, with Holm's correction over all pairs.

    For PLCC after a logistic fit, pass the fitted predictions.

    Args:
        predictions: each metric's scores of the same images, ``(N,)``; NaN where it has none.
        mos: mean opinion score of each image, ``(N,)``.
        higher_is_better: direction of all metrics, or of each by name.
        mos_higher_is_better: direction of ``mos``; False for DMOS.
        coefficient: ``"srcc"``, ``"plcc"`` or, only with ``"jackknife"`` and ``"bootstrap"``, ``"krcc"``.
        test: ``"williams"``, ``"steiger"``, ``"jackknife"`` or ``"bootstrap"``; see the module
            ``topiq_metrics.statistics.significance``.
        alpha: significance level: the probability of at least one false "better" or "worse" among all pairs.
        groups: the group of each image, for example its reference; only for ``"jackknife"`` and ``"bootstrap"``, since
            the other tests assume independent images.
        strata: the stratum of each image, for example its scene; for SRCC and all tests except ``"bootstrap"``. The
            mean SRCC within strata, weighted by their numbers of images, is compared then.
        bootstrap: how the resamples are drawn, for ``test="bootstrap"``. The intervals of the differences are always
            percentiles, consistent with the p values.

    Raises:
        ValueError: columns or groups differ in length, or an argument is not as above.
        ModuleNotFoundError: scipy is not installed.
    """
    if coefficient not in COEFFICIENTS:
        raise ValueError(f"Argument `coefficient` must be one of {tuple(COEFFICIENTS)}, but got {coefficient!r}.")
    if test not in TESTS:
        raise ValueError(f"Argument `test` must be one of {TESTS}, but got {test!r}.")
    if test not in ON_GROUPS and coefficient == "krcc":
        raise ValueError(f"KRCC is compared with a test of {ON_GROUPS}: the others are for Pearson's correlation.")
    if test not in ON_GROUPS and groups is not None:
        raise ValueError(f"Groups need a test of {ON_GROUPS}: {test!r} assumes independent images.")
    if strata is not None and (test == "bootstrap" or coefficient != "srcc"):
        raise ValueError("Strata need SRCC and another test than 'bootstrap'.")
    if isinstance(higher_is_better, Mapping) and set(predictions) - set(higher_is_better):
        missing = sorted(set(predictions) - set(higher_is_better))
        raise ValueError(f"Argument `higher_is_better` has no direction for {missing[0]!r}.")
    opinion, *columns = as_columns({"opinion scores": mos, **predictions})
    oriented = {}
    for name, column in zip(predictions, columns, strict=True):
        better = higher_is_better if isinstance(higher_is_better, bool) else higher_is_better[name]
        oriented[name] = column if better == mos_higher_is_better else -column

    codes = np.zeros(len(opinion), dtype=np.intp) if strata is None else group_codes(strata, len(opinion))
    tester: _GroupTest | None = None
    if test == "bootstrap":
        tester = _Resampler(opinion, coefficient, groups, bootstrap)
    if test == "jackknife":
        tester = _Jackknife(opinion, coefficient, groups, codes)
    pairs: dict[tuple[str, str], Pair] = {}
    for key in combinations(oriented, 2):
        first, second = (oriented[name] for name in key)
        usable = finite_rows(first, second, opinion)
        reason = _why_untestable(first[usable], second[usable], opinion[usable])
        if reason:
            pairs[key] = _untested(int(usable.sum()), reason)
        elif tester is not None:
            pairs[key] = tester.pair(key, (first, second), usable)
        else:
            columns = [column[usable] for column in (first, second, opinion)]
            is_williams = test == "williams"
            pairs[key] = _calculate(columns, codes[usable], coefficient, williams_test if is_williams else steiger_test)
    approximate = test not in ON_GROUPS and coefficient == "srcc"
    return Comparison(
        tuple(oriented), coefficient, test, approximate, alpha, _corrected(pairs, alpha), strata is not None
    )


def compare_agreements(
    agreements: Mapping[str, ArrayLike], *, groups: Sequence[Hashable] | None = None, alpha: float = 0.05
) -> Comparison:
    """Compare the 2AFC agreement of every two metrics by paired t tests, with Holm's correction over all of them.

    Args:
        agreements: for each metric, the agreement of each pair of images, ``(N,)``, from `agreement_of_pairs`; NaN for
            pairs that are left out.
        groups: the group of each pair, for example its reference; the test is then the jackknife over groups.
        alpha: significance level: the probability of at least one false "better" or "worse" among all pairs.

    Raises:
        ValueError: columns or groups differ in length.
        ModuleNotFoundError: scipy is not installed.
    """
    columns = dict(zip(agreements, as_columns(agreements), strict=True))
    pairs: dict[tuple[str, str], Pair] = {}
    for key in combinations(columns, 2):
        first, second = (columns[name] for name in key)
        usable = finite_rows(first, second)
        differences, n = (first - second)[usable], int(usable.sum())
        codes = group_codes(keep_groups(groups, usable) or range(n), n)
        if codes.size == 0 or codes.max() + 1 < MINIMUM_UNITS:
            pairs[key] = _untested(n, f"a test needs at least {MINIMUM_UNITS} pairs, or groups, that both have scored")
            continue
        sums, counts = np.bincount(codes, differences), np.bincount(codes)
        mean = float(differences.mean())
        result = _jackknife_test(mean, (differences.sum() - sums) / (n - counts))
        pairs[key] = Pair(mean, math.nan, math.nan, result.statistic, result.p_value, math.nan, n, "untested")
    return Comparison(tuple(columns), "2afc", "t", False, alpha, _corrected(pairs, alpha))


def _corrected(pairs: Mapping[tuple[str, str], Pair], alpha: float) -> dict[tuple[str, str], Pair]:
    """The pairs with Holm's correction and the verdicts that follow."""
    adjusted = dict(zip(pairs, holm([pair.p_value for pair in pairs.values()]), strict=True))
    return {
        key: replace(pair, adjusted=adjusted[key], verdict=_judge(pair, adjusted[key], alpha))
        for key, pair in pairs.items()
    }


def _why_untestable(first: Array, second: Array, mos: Array) -> str:
    if len(mos) < MINIMUM_IMAGES:
        return f"a test needs at least {MINIMUM_IMAGES} images that both have scored, and there are {len(mos)}"
    return why_constant(first, mos) or why_constant(second, mos)


def _judge(pair: Pair, adjusted: float, alpha: float) -> Verdict:
    if math.isnan(adjusted):
        return "untested"
    if adjusted > alpha:
        return "tied"
    return "better" if pair.difference > 0 else "worse"


def _calculate(
    columns: Sequence[Array],
    strata: Indices,
    coefficient: Coefficient,
    test: Callable[[float, float, float, int], TestResult],
) -> Pair:
    """Of the first metric, the second one and opinion."""
    n = len(strata)
    if coefficient == "srcc":
        columns = [_standard_ranks(column, strata) for column in columns]
    a, b, between = (float(pearson(columns[i], columns[j])(np.ones((1, n), dtype=np.intp))[0]) for i, j in _SIDES)
    # Each stratum has a mean of its own, which takes a degree of freedom.
    free = n - (len(np.unique(strata)) - 1)
    result = test(a, b, between, free)
    if coefficient == "srcc":
        result = _of_ranks(result, (a + b) / 2, free if test is williams_test else None)
    if math.isnan(result.p_value):
        return _untested(n, "the scores are equal up to rounding, or strata are too small")
    return Pair(a - b, math.nan, math.nan, result.statistic, result.p_value, math.nan, n, "untested")


def _of_ranks(result: TestResult, mean: float, n: int | None) -> TestResult:
    """The test with the variance of a rank correlation: 1 + ρ²/2 times as large as that of Pearson's."""
    if not math.isfinite(result.statistic) or result.statistic == 0:
        return result
    statistic = result.statistic / math.sqrt(1 + mean**2 / 2)
    stats = load_scipy("stats")
    tail = stats.norm.sf(abs(statistic)) if n is None else stats.t.sf(abs(statistic), n - 3)
    return TestResult(statistic, float(2 * tail))


def _jackknife_test(difference: float, without: Array) -> TestResult:
    """A difference against its values without one group after the other."""
    count = len(without)
    error = math.sqrt((count - 1) / count * float(np.square(without - without.mean()).sum()))
    # Two metrics that are alike wherever one looks are tied.
    t = difference / error if error > _SAME else math.copysign(math.inf, difference) if abs(difference) > _SAME else 0.0
    return TestResult(t, float(2 * load_scipy("stats").t.sf(abs(t), count - 1)))


class _GroupTest(ABC):
    """A test of two metrics without some groups; what it needs of each is computed once for a choice of images."""

    name: ClassVar[str]

    def __init__(self, mos: Array, groups: Sequence[Hashable] | None) -> None:
        self.mos = mos
        self.groups = groups
        self.known: dict[tuple[str, bytes], tuple[float, Array]] = {}

    def pair(self, names: tuple[str, str], columns: tuple[Array, Array], usable: Mask) -> Pair:
        n = int(usable.sum())
        codes = group_codes(keep_groups(self.groups, usable) or range(n), n)
        units = int(codes.max()) + 1
        if units < MINIMUM_UNITS:
            return _untested(n, f"a {self.name} needs at least {MINIMUM_UNITS} groups, and there are {units}")
        for name, column in zip(names, columns, strict=True):
            key = name, usable.tobytes()
            if key not in self.known:
                self.known[key] = self.values(column, usable, codes)
        (a, others_a), (b, others_b) = (self.known[name, usable.tobytes()] for name in names)
        return self.compare(a - b, others_a - others_b, n)

    @abstractmethod
    def values(self, column: Array, usable: Mask, codes: Indices) -> tuple[float, Array]:
        """A metric's coefficient on the usable rows, whose groups are the codes, and on parts or resamples of them."""

    @abstractmethod
    def compare(self, difference: float, differences: Array, n: int) -> Pair:
        """The test of two metrics, given the differences of their values."""


class _Jackknife(_GroupTest):
    """All metrics without one group after the other."""

    name = "jackknife"

    def __init__(
        self, mos: Array, coefficient: Coefficient, groups: Sequence[Hashable] | None, strata: Indices
    ) -> None:
        super().__init__(mos, groups)
        self.coefficient: Coefficient = coefficient
        self.strata = strata

    def values(self, column: Array, usable: Mask, codes: Indices) -> tuple[float, Array]:
        rows = column[usable], self.mos[usable], self.strata[usable]
        without = [self._of(*(row[codes != code] for row in rows)) for code in range(int(codes.max()) + 1)]
        return self._of(*rows), np.array(without)

    def compare(self, difference: float, differences: Array, n: int) -> Pair:
        if np.isnan(differences).any() or math.isnan(difference):
            return _untested(n, "without one of the groups there is no correlation")
        result = _jackknife_test(difference, differences)
        return Pair(difference, math.nan, math.nan, result.statistic, result.p_value, math.nan, n, "untested")

    def _of(self, column: Array, mos: Array, strata: Indices) -> float:
        if self.coefficient == "srcc":
            product = _standard_ranks(column, strata) * _standard_ranks(mos, strata)
            return float(product.mean()) if product.any() else math.nan
        statistic = COEFFICIENTS[self.coefficient](column, mos)
        return float(statistic(np.ones((1, len(mos)), dtype=np.intp))[0])


def _standard_ranks(column: Array, strata: Indices) -> Array:
    """Ranks within each stratum, of mean 0 and deviation 1."""
    ranks = np.empty_like(column)
    for code in np.unique(strata):
        own = strata == code
        values = rank(column[own])
        ranks[own] = (values - values.mean()) / (values.std() or 1.0)
    return ranks


class _Resampler(_GroupTest):
    """The paired bootstrap: all metrics on the same resamples."""

    name = "paired bootstrap"

    def __init__(
        self, mos: Array, coefficient: Coefficient, groups: Sequence[Hashable] | None, bootstrap: Bootstrap
    ) -> None:
        super().__init__(mos, groups)
        self.coefficient = COEFFICIENTS[coefficient]
        self.bootstrap = bootstrap

    def values(self, column: Array, usable: Mask, codes: Indices) -> tuple[float, Array]:
        correlation = self.coefficient(column[usable], self.mos[usable])
        n = len(codes)
        value = float(correlation(np.ones((1, n), dtype=np.intp))[0])
        return value, self.bootstrap.distribution(lambda counts: correlation(counts)[:, None], n, codes.tolist())[:, 0]

    def compare(self, difference: float, differences: Array, n: int) -> Pair:
        interval = self.bootstrap.percentile(differences)
        if interval.reason:
            return _untested(n, interval.reason)
        drawn = differences[~np.isnan(differences)]
        # Both sides have 0, so that equal metrics have p = 1; one resample more on each, so that no p is 0.
        beyond = min(int(np.sum(drawn <= 0)), int(np.sum(drawn >= 0)))
        p_value = min(1.0, 2 * (beyond + 1) / (len(drawn) + 1))
        return Pair(difference, interval.low, interval.high, math.nan, p_value, math.nan, n, "untested")


def _untested(n: int, reason: str) -> Pair:
    nan = math.nan
    return Pair(nan, nan, nan, nan, nan, nan, n, "untested", reason)
