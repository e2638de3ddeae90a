"""Intervals against scipy's, their coverage, groups, and where there are none."""

from __future__ import annotations

import math
import re
import time

import numpy as np
import pytest

from topiq_metrics.evaluation import Bootstrap, evaluate
from topiq_metrics.statistics.correlation import pearson, spearman

stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")

METHODS = ["percentile", "bca"]


def make(n, correlation, random):
    x = random.normal(size=n)
    return x, correlation * x + math.sqrt(1 - correlation**2) * random.normal(size=n)


def one(statistic):
    return lambda counts: statistic(counts)[:, None]


@pytest.mark.parametrize("method", METHODS)
def test_equals_scipy(method):
    x, y = make(40, 0.8, np.random.default_rng(0))
    (ours,) = Bootstrap(20000, method=method).intervals(one(pearson(x, y)), 40)
    theirs = stats.bootstrap(
        (x, y),
        lambda a, b, axis: stats.pearsonr(a, b, axis=axis).statistic,
        paired=True,
        n_resamples=20000,
        method=method,
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.006)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_coverage(method, confidence):
    hits = np.zeros(2)
    runs = 200
    for seed in range(runs):
        x, y = make(60, 0.7, np.random.default_rng(seed))
        rho, r = spearman(x, y), pearson(x, y)
        bootstrap = Bootstrap(300, confidence, method, seed)
        intervals = bootstrap.intervals(lambda counts, rho=rho, r=r: np.column_stack([rho(counts), r(counts)]), 60)
        # Spearman's correlation of a bivariate normal: 6/π · arcsin(ρ / 2).
        true = 6 / math.pi * math.asin(0.35), 0.7
        hits += [interval.low <= value <= interval.high for interval, value in zip(intervals, true, strict=True)]
    assert hits / runs == pytest.approx(confidence, abs=0.065)


def test_groups_that_vary_together_need_wider_intervals():
    """Where all images of a reference are alike, only references count."""
    random = np.random.default_rng(0)
    x, y = (column.repeat(20) for column in make(30, 0.7, random))
    groups = [f"reference {i // 20}" for i in range(600)]
    statistic = one(pearson(x, y))
    (alone,) = Bootstrap(1000).intervals(statistic, 600)
    (together,) = Bootstrap(1000).intervals(statistic, 600, groups)
    (representatives,) = Bootstrap(1000).intervals(one(pearson(x[::20], y[::20])), 30)
    assert (together.low, together.high) == pytest.approx((representatives.low, representatives.high), abs=1e-9)
    assert together.high - together.low > 3 * (alone.high - alone.low)


@pytest.mark.parametrize("method", METHODS)
def test_groups_of_different_sizes_and_any_kind_of_name(method):
    random = np.random.default_rng(1)
    x, y = make(50, 0.7, random)
    groups = [None if i < 3 else ("a", i % 7) if i < 20 else i % 5 for i in range(50)]
    (interval,) = Bootstrap(200, method=method).intervals(one(pearson(x, y)), 50, groups)
    assert interval.low < interval.high
    with pytest.raises(ValueError, match="Expected a group for each of 50 rows, but got 49"):
        Bootstrap(200).intervals(one(pearson(x, y)), 50, groups[:-1])


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_decides(method):
    x, y = make(30, 0.7, np.random.default_rng(2))
    intervals = [Bootstrap(100, method=method, seed=seed).intervals(one(pearson(x, y)), 30) for seed in (0, 0, 1)]
    assert intervals[0] == intervals[1] != intervals[2]


def test_parts_of_the_work_do_not_change_it(monkeypatch):
    x, y = make(30, 0.7, np.random.default_rng(3))
    whole = Bootstrap(100, method="bca").intervals(one(pearson(x, y)), 30)
    monkeypatch.setattr("topiq_metrics.statistics.bootstrap._NUMBERS_AT_ONCE", 7 * 30)
    (parts,) = Bootstrap(100, method="bca").intervals(one(pearson(x, y)), 30)
    assert (parts.low, parts.high) == pytest.approx((whole[0].low, whole[0].high), abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_a_perfect_metric(method):
    x = np.arange(20.0)
    (interval,) = Bootstrap(200, method=method).intervals(one(pearson(x, x)), 20)
    assert (interval.low, interval.high) == pytest.approx((1, 1), abs=1e-12)


@pytest.mark.parametrize(("groups", "unit"), [(None, "images"), ([1, 2, 3, 4], "groups")])
def test_too_few(groups, unit):
    x = np.array([1.0, 2, 4, 3])
    (interval,) = Bootstrap(50).intervals(one(pearson(x, x)), 4, groups)
    assert math.isnan(interval.low + interval.high)
    assert interval.reason == f"an interval needs at least 5 {unit}, and there are 4"


def test_resamples_without_a_value():
    x = np.array([1.0, 1, 1, 1, 2])
    (interval,) = Bootstrap(1000).intervals(one(pearson(x, np.arange(5.0))), 5)
    assert math.isnan(interval.low)
    # Those without the last image: 0.8⁵.
    assert re.fullmatch(r"there is no value for 3[1-5]% of the resamples", interval.reason)
    few = np.r_[np.zeros(16), np.ones(4)]
    (interval,) = Bootstrap(1000).intervals(one(pearson(few, np.arange(20.0))), 20)
    assert interval.low < interval.high


def test_bca_without_a_value_when_one_image_is_left_out():
    x = np.r_[np.zeros(29), 1]
    (interval,) = Bootstrap(100, method="bca").intervals(one(pearson(x, np.arange(30.0))), 30)
    assert interval.reason == "BCa needs a value without each of the images or groups"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resamples": 0}, "`resamples` must be at least 1, but got 0"),
        ({"confidence": 1.0}, "`confidence` must be between 0 and 1, but got 1.0"),
        ({"method": "t"}, r"`method` must be one of \('percentile', 'bca'\), but got 't'"),
    ],
)
def test_arguments_that_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Bootstrap(**arguments)


def test_it_takes_seconds():
    x, y = make(2000, 0.8, np.random.default_rng(4))
    start = time.process_time()
    result = evaluate(x, y)
    assert time.process_time() - start < 20
    assert result.krcc.low < result.krcc.value < result.krcc.high
