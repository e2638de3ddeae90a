"""The four figures against scipy, and what holds of them."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from topiq_metrics.evaluation import krcc, plcc, rmse, srcc
from topiq_metrics.statistics.correlation import kendall, pearson, rank, root_mean_square, spearman

pytestmark = pytest.mark.quick

stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")

FIGURES = [
    pytest.param(srcc, stats.spearmanr, id="srcc"),
    pytest.param(krcc, stats.kendalltau, id="krcc"),
    pytest.param(plcc, stats.pearsonr, id="plcc"),
]


def make(n, levels=None, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=n)
    columns = x, x + random.normal(size=n)
    return columns if levels is None else tuple(np.round(column * levels) for column in columns)


@pytest.mark.parametrize("levels", [None, 3, 1, 0.6])
@pytest.mark.parametrize("n", [3, 4, 10, 500])
@pytest.mark.parametrize(("figure", "reference"), FIGURES)
def test_equals_scipy_with_and_without_ties(figure, reference, n, levels):
    x, y = make(n, levels, seed=5)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert math.isnan(figure(x, y))
        return
    assert figure(x, y) == pytest.approx(reference(x, y).statistic, abs=1e-12)


def test_by_hand():
    x, y = [1, 2, 3, 4, 5], [2, 1, 4, 3, 5]
    # 1 − 6 Σd² / (n (n² − 1)) = 1 − 6 · 4 / 120; 8 pairs agree and 2 do not.
    assert srcc(x, y) == pytest.approx(0.8)
    assert krcc(x, y) == pytest.approx(0.6)
    assert rmse(x, y) == pytest.approx(math.sqrt(4 / 5))
    # One tie in x: (5 − 0) / √(5 · 6), as one of the six pairs is tied.
    assert krcc([1, 1, 2, 3], [1, 2, 3, 4]) == pytest.approx(5 / math.sqrt(5 * 6))
    assert rank(np.array([10.0, 30, 20, 30])).tolist() == [1, 3.5, 2, 3.5]


@pytest.mark.parametrize("figure", [srcc, krcc])
@pytest.mark.parametrize("transform", [np.exp, np.arctan, lambda x: 3 * x - 7, lambda x: x**3])
def test_rank_correlations_do_not_see_monotone_transforms(figure, transform):
    x, y = make(200)
    assert figure(transform(x), y) == pytest.approx(figure(x, y), abs=1e-15)
    assert figure(-transform(x), y) == pytest.approx(-figure(x, y), abs=1e-15)


@pytest.mark.parametrize("figure", [srcc, krcc, plcc])
def test_bounds_and_symmetry(figure):
    x, y = make(50)
    assert figure(x, x) == pytest.approx(1, abs=1e-15)
    assert abs(figure(x, -x)) <= 1
    assert figure(x, y) == pytest.approx(figure(y, x), abs=1e-15)
    assert figure(1e6 * x - 1e9, y) == pytest.approx(figure(x, y), abs=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("figure", [srcc, krcc, plcc, rmse])
def test_rows_that_are_not_finite_are_left_out(figure, bad):
    x, y = make(20)
    assert figure(np.r_[x, bad, 1], np.r_[y, 0, bad]) == figure(x, y)


@pytest.mark.parametrize("figure", [srcc, krcc, plcc])
@pytest.mark.parametrize(
    ("x", "y"),
    [([], []), ([1], [2]), ([1, 2], [3, 4]), ([1, 1, 1, 1], [1, 2, 3, 4]), ([1, 2, 3], [0.1, 0.1, 0.1])],
)
def test_there_is_no_correlation(figure, x, y):
    assert math.isnan(figure(x, y))


def test_equal_up_to_rounding():
    x = np.full(10, 0.3)
    x[::2] = 0.1 + 0.2
    assert np.ptp(x) > 0
    assert math.isnan(plcc(x, np.arange(10)))


def test_rmse_of_one_and_of_none():
    assert rmse([1.0], [3.0]) == 2
    assert math.isnan(rmse([], []))


@pytest.mark.parametrize(("x", "y"), [([1, 2], [1, 2, 3]), ([[1, 2]], [[1, 2]]), (1.0, 2.0)])
def test_shapes_that_are_refused(x, y):
    with pytest.raises(ValueError, match=r"Expected columns of one dimension and one length, but got predicted \("):
        srcc(x, y)


@pytest.mark.parametrize("levels", [None, 1])
@pytest.mark.parametrize("statistic", [spearman, kendall, pearson, root_mean_square])
def test_counts_are_repeated_rows(statistic, levels):
    x, y = make(30, levels)
    counts = np.random.default_rng(1).multinomial(30, [1 / 30] * 30, size=20)
    values = statistic(x, y)(counts)
    once = np.ones((1, 30), dtype=int)
    for value, row in zip(values, counts, strict=True):
        assert value == pytest.approx(statistic(x.repeat(row), y.repeat(row))(once)[0], abs=1e-12)


def test_without_scipy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs scipy .*: pip install 'topiq-metrics\[evaluation\]'"):
        krcc([1, 2, 3], [1, 2, 3])
