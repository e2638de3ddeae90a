"""Tests against published numbers and simulated truth, Holm's correction, and the matrix of verdicts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from topiq_metrics.evaluation import Bootstrap, compare, compare_agreements, holm, srcc, steiger_test, williams_test

stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")

TESTS = ["williams", "steiger", "jackknife", "bootstrap"]


def make(n, first, second, between, seed):
    """Scores of two metrics and opinions, of given correlations."""
    matrix = [[1, between, first], [between, 1, second], [first, second, 1]]
    return np.random.default_rng(seed).multivariate_normal(np.zeros(3), matrix, size=n).T


# Silver, Hittner, May, "A FORTRAN 77 program for comparing dependent correlations", Applied Psychological
# Measurement 30, 2006, and Steiger 1980, p. 249, case A (the paper's z, −.8913, is with rounded covariances).
def test_published_values():
    williams = williams_test(0.3, 0.4, 0.5, 100)
    assert (williams.statistic, williams.p_value) == pytest.approx((-1.0767, 0.2843), abs=5e-5)
    steiger = steiger_test(0.3, 0.4, 0.5, 100)
    assert (steiger.statistic, steiger.p_value) == pytest.approx((-1.0718, 0.2838), abs=5e-5)
    assert steiger_test(0.4, 0.5, 0.1, 103).statistic == pytest.approx(-0.8913, abs=3e-3)


def test_williams_by_hand():
    # |R| = 1 − .81 − .64 − .49 + 2 · .9 · .8 · .7 = .068; t = .1 √(9 · 1.7 / (2 · 9/7 · .068 + .7225 · .027)).
    expected = 0.1 * math.sqrt(9 * 1.7 / (2 * 9 / 7 * 0.068 + 0.7225 * 0.027))
    result = williams_test(0.9, 0.8, 0.7, 10)
    assert result.statistic == pytest.approx(expected, rel=1e-12)
    assert result.p_value == pytest.approx(2 * stats.t.sf(expected, 7), rel=1e-12)


@pytest.mark.parametrize("test", [williams_test, steiger_test])
def test_limits_of_the_tests(test):
    assert test(0.9, 0.8, 0.7, 10).statistic == -test(0.8, 0.9, 0.7, 10).statistic
    assert test(0.5, 0.5, 0.2, 50).p_value == 1
    assert test(0.7, 0.7, 1.0, 50).p_value == 1
    assert test(1.0, 0.6, 0.6, 50).p_value < 1e-6
    assert test(1.0, 1.0, 1.0, 50).p_value == 1
    assert test(1.0, -1.0, -1.0, 50).p_value < 1e-6
    assert math.isnan(test(0.9, 0.1, 0.1, 4).p_value)
    assert math.isnan(test(math.nan, 0.1, 0.1, 40).p_value)


@pytest.mark.parametrize(
    ("coefficient", "test", "n", "runs", "tolerance"),
    [
        ("plcc", "williams", 40, 600, 0.025),
        ("plcc", "steiger", 40, 600, 0.025),
        ("srcc", "williams", 40, 600, 0.035),
        ("srcc", "steiger", 40, 600, 0.035),
        ("plcc", "jackknife", 40, 200, 0.045),
        ("srcc", "jackknife", 40, 200, 0.045),
        ("plcc", "bootstrap", 60, 200, 0.045),
        ("srcc", "bootstrap", 60, 200, 0.045),
    ],
)
def test_false_verdicts_are_rare(coefficient, test, n, runs, tolerance):
    """Metrics that are truly equal are told apart in 5 % of samples."""
    false = 0
    for seed in range(runs):
        a, b, mos = make(n, 0.7, 0.7, 0.6, seed)
        found = compare({"a": a, "b": b}, mos, coefficient=coefficient, test=test, bootstrap=Bootstrap(200, seed=seed))
        false += found.verdict("a", "b") != "tied"
    assert false / runs == pytest.approx(0.05, abs=tolerance)


@pytest.mark.parametrize("test", ["williams", "steiger"])
def test_ranks_that_agree_well_are_not_told_apart_too_often(test):
    """The variance of a rank correlation is larger than that of Pearson's, the more so the higher it is."""
    random = np.random.default_rng(0)
    false = 0
    for _ in range(600):
        mos = random.normal(size=100)
        a, b = (mos + 0.3 * random.normal(size=100) for _ in "ab")
        false += compare({"a": a, "b": b}, mos, test=test).verdict("a", "b") != "tied"
    assert false / 600 == pytest.approx(0.05, abs=0.025)


@pytest.mark.parametrize("is_stratified", [False, True])
def test_versions_of_one_reference_are_not_independent(is_stratified):
    """Each metric has a bias of its own for each reference, and both are equally good."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 15).tolist()
    strata = (np.arange(300) % 3).tolist() if is_stratified else None
    false = naive = 0
    for _ in range(150):
        mos = random.normal(size=300)
        metrics = {name: mos + np.repeat(random.normal(size=20), 15) + 0.3 * random.normal(size=300) for name in "ab"}
        found = compare(metrics, mos, test="jackknife", groups=groups, strata=strata)
        false += found.verdict("a", "b") != "tied"
        naive += compare(metrics, mos, strata=strata).verdict("a", "b") != "tied"
    assert false / 150 == pytest.approx(0.05, abs=0.05)
    assert naive / 150 > 0.2


def test_jackknife_by_hand():
    a, b, mos = make(30, 0.8, 0.5, 0.4, 6)
    groups = np.arange(30) % 6
    pair = compare({"a": a, "b": b}, mos, coefficient="plcc", test="jackknife", groups=groups.tolist()).pairs["a", "b"]

    def difference(kept):
        return np.corrcoef(a[kept], mos[kept])[0, 1] - np.corrcoef(b[kept], mos[kept])[0, 1]

    without = np.array([difference(groups != group) for group in range(6)])
    error = math.sqrt(5 / 6 * np.sum((without - without.mean()) ** 2))
    assert pair.statistic == pytest.approx(difference(groups >= 0) / error)
    assert pair.p_value == pytest.approx(2 * stats.t.sf(abs(pair.statistic), 5))
    few = compare({"a": a, "b": b}, mos, test="jackknife", groups=(groups % 4).tolist()).pairs["a", "b"]
    assert few.reason == "a jackknife needs at least 5 groups, and there are 4"


@pytest.mark.parametrize("coefficient", ["srcc", "plcc", "krcc"])
@pytest.mark.parametrize("test", TESTS)
def test_verdicts(coefficient, test):
    if coefficient == "krcc" and test in {"williams", "steiger"}:
        pytest.skip("no test of KRCC")
    good, bad, mos = make(150, 0.9, 0.5, 0.4, 0)
    random = np.random.default_rng(1)
    metrics = {"good": good, "near": good + 0.05 * random.normal(size=150), "bad": bad, "wrong way": -good}
    found = compare(metrics, mos, coefficient=coefficient, test=test, bootstrap=Bootstrap(300))
    assert found.names == tuple(metrics)
    assert len(found.pairs) == 6
    assert found.verdict("good", "bad") == "better"
    assert found.verdict("bad", "good") == "worse"
    assert found.verdict("good", "near") == found.verdict("near", "good") == "tied"
    assert found.verdict("good", "good") == "tied"
    assert found.verdict("wrong way", "bad") == "worse"
    assert found.approximate == (coefficient == "srcc" and test in {"williams", "steiger"})
    turned = compare({"bad": bad, "good": good}, mos, coefficient=coefficient, test=test, bootstrap=Bootstrap(300))
    assert turned.verdict("bad", "good") == "worse"
    pair = found.pairs["good", "bad"]
    assert turned.pairs["bad", "good"].difference == -pair.difference
    assert pair.n == 150
    assert pair.p_value <= pair.adjusted < 0.05
    if test == "bootstrap":
        assert 0 < pair.low < pair.difference < pair.high
    else:
        assert pair.statistic > 2
    with pytest.raises(KeyError):
        found.verdict("good", "unknown")


def test_directions():
    good, bad, mos = make(100, 0.9, 0.4, 0.3, 1)
    expected = compare({"good": good, "bad": bad}, mos).pairs["good", "bad"]
    turned = compare(
        {"good": good, "bad": -bad}, -mos, higher_is_better={"good": True, "bad": False}, mos_higher_is_better=False
    )
    assert turned.pairs["good", "bad"] == expected
    assert expected.difference == pytest.approx(srcc(good, mos) - srcc(bad, mos))


@pytest.mark.parametrize("test", TESTS)
def test_monotone_transforms_of_a_metric_tie_in_rank(test):
    good, _, mos = make(50, 0.9, 0.4, 0.3, 2)
    found = compare({"a": good, "b": np.exp(good)}, mos, test=test, bootstrap=Bootstrap(100)).pairs["a", "b"]
    assert (found.difference, found.p_value, found.verdict) == (0, 1, "tied")


@pytest.mark.parametrize("test", TESTS)
def test_pairs_are_compared_on_images_that_both_have_scored(test):
    a, b, mos = make(60, 0.8, 0.5, 0.4, 3)
    holes, few = a.copy(), b.copy()
    holes[:10] = math.nan
    few[4:] = math.nan
    metrics = {"a": a, "b": b, "holes": holes, "few": few, "constant": np.ones(60), "failed": np.full(60, math.nan)}
    found = compare(metrics, mos, test=test, bootstrap=Bootstrap(100))
    assert found.pairs["a", "b"].n == 60
    assert found.pairs["b", "holes"].n == 50
    alone = compare({"b": b[10:], "holes": a[10:]}, mos[10:], test=test, bootstrap=Bootstrap(100))
    assert found.pairs["b", "holes"].difference == alone.pairs["b", "holes"].difference
    assert found.pairs["b", "holes"].p_value == alone.pairs["b", "holes"].p_value
    for other, reason in [
        ("few", "a test needs at least 5 images that both have scored, and there are 4"),
        ("constant", "all predictions are equal"),
        ("failed", "a test needs at least 5 images that both have scored, and there are 0"),
    ]:
        assert found.verdict("a", other) == found.verdict(other, "a") == "untested"
        assert found.pairs["a", other].reason == reason
        assert math.isnan(found.pairs["a", other].adjusted)


def test_groups_are_for_the_bootstrap():
    """Copies of images make a chance difference certain, unless they are known to belong together."""
    a, b, mos = (column.repeat(15) for column in make(15, 0.75, 0.6, 0.5, 4))
    groups = np.arange(15).repeat(15).tolist()
    options = {"test": "bootstrap", "coefficient": "plcc", "bootstrap": Bootstrap(500)}
    assert compare({"a": a, "b": b}, mos, **options).verdict("a", "b") != "tied"
    assert compare({"a": a, "b": b}, mos, groups=groups, **options).verdict("a", "b") == "tied"
    few = compare({"a": a, "b": b}, mos, groups=[g % 4 for g in groups], **options)
    assert few.pairs["a", "b"].reason == "a paired bootstrap needs at least 5 groups, and there are 4"
    with pytest.raises(ValueError, match=r"Groups need a test of .*: 'williams' assumes independent images"):
        compare({"a": a, "b": b}, mos, groups=groups)


def test_holm():
    # Sorted: .01 · 4, .02 · 3, .03 · 2 (not below the one before), .04 · 1.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []
    adjusted = holm([math.nan, 0.02, 0.03])
    assert math.isnan(adjusted[0])
    assert adjusted[1:] == pytest.approx([0.04, 0.04])


def test_many_equal_metrics_are_tied():
    random = np.random.default_rng(5)
    mos = random.normal(size=80)
    single = familywise = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        metrics = {f"metric {i}": mos + random.normal(size=80) for i in range(6)}
        pairs = compare(metrics, mos, coefficient="plcc").pairs.values()
        single += any(pair.p_value < 0.05 for pair in pairs)
        familywise += any(pair.verdict != "tied" for pair in pairs)
    assert single > 15
    assert familywise <= 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"coefficient": "r2"}, r"`coefficient` must be one of \('srcc', 'plcc', 'krcc'\), but got 'r2'"),
        ({"test": "t"}, r"`test` must be one of \('williams', .*, 'bootstrap'\), but got 't'"),
        ({"coefficient": "krcc"}, "KRCC is compared with a test of"),
        ({"strata": "aab", "coefficient": "plcc"}, "Strata need SRCC and another test than 'bootstrap'"),
        ({"strata": "aab", "test": "bootstrap"}, "Strata need SRCC and another test than 'bootstrap'"),
        ({"higher_is_better": {"b": True}}, "`higher_is_better` has no direction for 'a'"),
        ({"mos": [1, 2]}, r"one length, but got opinion scores \(2,\), a \(3,\)"),
    ],
)
def test_arguments_that_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        compare({"a": [1, 2, 3]}, **{"mos": [1, 2, 3], **arguments})


@pytest.mark.parametrize("test", ["williams", "steiger"])
class TestStrata:
    def test_a_level_of_each_stratum_counts_for_nothing(self, test):
        rng = np.random.default_rng(0)
        strata = np.repeat(np.arange(8), 30)
        mos = rng.normal(size=240)
        metrics = {"good": mos + rng.normal(size=240), "poor": mos + 3 * rng.normal(size=240)}
        pair = compare(metrics, mos, test=test, strata=strata).pairs["good", "poor"]
        shifted = {"good": metrics["good"] + 100 * strata, "poor": metrics["poor"]}
        assert compare(shifted, mos, test=test, strata=strata).pairs["good", "poor"] == pair
        assert compare(shifted, mos, test=test).pairs["good", "poor"].verdict == "worse"
        within = [
            stats.spearmanr(metrics["good"][strata == i], mos[strata == i])[0]
            - stats.spearmanr(metrics["poor"][strata == i], mos[strata == i])[0]
            for i in range(8)
        ]
        assert pair.difference == pytest.approx(np.mean(within))
        assert pair.verdict == "better"

    def test_false_verdicts_are_rare(self, test):
        # The test is made for normal scores, not for a few ranks.
        rng = np.random.default_rng(1)
        wrong = 0
        for _ in range(400):
            mos = rng.normal(size=120)
            metrics = {name: mos + rng.normal(size=120) for name in "ab"}
            strata = np.arange(120) % 4
            wrong += compare(metrics, mos, test=test, strata=strata).pairs["a", "b"].verdict != "tied"
        assert 0.02 < wrong / 400 < 0.085

    def test_strata_that_are_too_small(self, test):
        pair = compare({"a": [1, 3, 2, 5, 4, 6], "b": [1, 2, 3, 4, 6, 5]}, range(6), test=test, strata="uvwxyz")
        assert pair.pairs["a", "b"].verdict == "untested"


class TestAgreements:
    def test_the_test_is_that_of_scipy(self):
        rng = np.random.default_rng(0)
        votes = rng.random(80)
        columns = {name: np.where(rng.random(80) < share, votes, 1 - votes) for name, share in (("a", 0.9), ("b", 0.4))}
        columns["a"][:3] = np.nan
        found = compare_agreements(columns)
        expected = stats.ttest_rel(columns["a"][3:], columns["b"][3:])
        pair = found.pairs["a", "b"]
        assert (pair.statistic, pair.p_value) == pytest.approx((expected.statistic, expected.pvalue))
        assert pair.difference == pytest.approx(np.mean(columns["a"][3:] - columns["b"][3:]))
        assert (pair.n, found.coefficient, found.test) == (77, "2afc", "t")

    def test_pairs_of_one_reference_are_not_independent(self):
        rng = np.random.default_rng(0)
        groups = np.repeat(np.arange(20), 40).tolist()
        false = naive = 0
        for _ in range(150):
            columns = {name: rng.random(800) < np.repeat(rng.normal(0.8, 0.1, 20), 40) for name in "ab"}
            agreements = {name: column.astype(float) for name, column in columns.items()}
            false += compare_agreements(agreements, groups=groups).verdict("a", "b") != "tied"
            naive += compare_agreements(agreements).verdict("a", "b") != "tied"
        assert false / 150 == pytest.approx(0.05, abs=0.05)
        assert naive / 150 > 0.2

    def test_verdicts(self):
        always = np.ones(20)
        found = compare_agreements({"right": always, "too": always, "wrong": 0 * always, "few": always * np.nan})
        verdicts = {pair: found.pairs[pair].verdict for pair in found.pairs}
        assert verdicts["right", "too"] == "tied"
        assert verdicts["right", "wrong"] == "better"
        assert verdicts["wrong", "few"] == "untested"
